//! D: addresses (52 to 59): no packet to what is not meant to be reached, however it is spelled.

use crate::{
    bait::Bait,
    house::{HOST, House},
    seen::{assert_refused, code},
    support::{Answer, RawClient, TestCa},
    yard::Yard,
};

async fn connect(house: &House, authority: &str) -> Answer {
    RawClient::connect(house.proxy()).await.ask_connect(authority).await
}

async fn clear(house: &House, authority: &str) -> Answer {
    RawClient::connect(house.proxy()).await.get(authority, &format!("http://{authority}/"), &[]).await
}

/// Both ways in are denied, said and recorded.
async fn assert_denied(house: &House, authority: &str) {
    assert_refused(&connect(house, authority).await, 403, "address_denied");
    let record = house.last_refusal();
    assert_eq!(
        (record.action.as_str(), record.code.as_deref()),
        ("tunnel_ended", Some("address_denied")),
        "{authority}"
    );
    assert!(
        record.host.is_some_and(|host| authority.to_ascii_lowercase().starts_with(host.trim_end_matches(']'))),
        "{authority}"
    );
    assert_refused(&clear(house, authority).await, 403, "address_denied");
    assert_eq!(house.last_refusal().action, "request_ended", "{authority}");
}

#[tokio::test]
async fn attack_52_metadata_services_are_denied() {
    let house = House::new().await;
    for address in
        ["169.254.169.254", "169.254.170.2", "[fd00:ec2::254]", "100.100.100.200", "192.0.0.192", "168.63.129.16"]
    {
        assert_denied(&house, &format!("{address}:80")).await;
        assert_denied(&house, &format!("{address}:443")).await;
    }
}

#[tokio::test]
async fn attack_52_metadata_services_are_denied_even_where_everything_is_allowed() {
    let yard = Yard::with(&TestCa::new(), "allow_addresses = [\"0.0.0.0/0\", \"::/0\"]\n").await;
    for address in ["169.254.169.254", "[::ffff:169.254.169.254]", "[64:ff9b::a9fe:a9fe]", "[fd00:ec2::254]"] {
        let answer = RawClient::connect(yard.proxy()).await.ask_connect(&format!("{address}:80")).await;
        assert_refused(&answer, 403, "address_denied");
        assert_eq!(yard.last_refusal().code.as_deref(), Some("address_denied"));
    }
}

#[tokio::test]
async fn attack_53_private_addresses_in_ipv6_wrappings_are_denied() {
    let house = House::new().await;
    let bait = Bait::everywhere();
    for address in [
        "[::ffff:127.0.0.1]",
        "[::ffff:7f00:1]",
        "[::127.0.0.1]",
        "[64:ff9b::127.0.0.1]",
        "[64:ff9b:1::127.0.0.1]",
        "[2002:7f00:1::]",
        "[2001:0:1::80ff:fffe]",
        "[fec0::1]",
        "[::ffff:10.0.0.1]",
        "[::ffff:0:127.0.0.1]",
    ] {
        let authority = format!("{address}:{}", bait.port());
        assert_refused(&connect(&house, &authority).await, 403, "address_denied");
        let record = house.last_refusal();
        assert_eq!((record.action.as_str(), record.code.as_deref()), ("tunnel_ended", Some("address_denied")));
        assert_refused(&clear(&house, &authority).await, 403, "address_denied");
        assert!(!bait.is_touched(), "{authority} was dialled");
    }
}

#[tokio::test]
async fn attack_54_numbers_are_no_hosts() {
    let house = House::new().await;
    let bait = Bait::everywhere();
    for host in [
        "2130706433",
        "0x7f000001",
        "0x7f.1",
        "0X7F.0.0.1",
        "017700000001",
        "127.1",
        "127.0.1",
        "001.002.003.004",
        "127.0.0.01",
        "0127.0.0.1",
        "127.0.0.1.",
        "127.0.0.0x1",
        "%31%32%37.0.0.1",
        "１２７.0.0.1",
        "127。0。0。1",
        "①②⑦.0.0.1",
    ] {
        let authority = format!("{host}:{}", bait.port());
        for answer in [connect(&house, &authority).await, clear(&house, &authority).await] {
            // Bytes beyond ASCII end in hyper, which answers without a body of ours.
            assert_eq!(answer.status, 400, "{authority}: {answer:?}");
        }
        let record = house.recorded_last().await;
        assert_eq!(record.code.as_deref(), Some("bad_request"), "{authority}: {record:?}");
        assert!(!bait.is_touched(), "{authority} was dialled");
    }
    assert!(house.records_of("tunnel_begun").is_empty() && house.records_of("request_begun").is_empty());
}

impl House {
    /// The newest refusal, once there is one.
    async fn recorded_last(&self) -> leasehold::audit::Record {
        let any = || self.records().iter().any(|record| record.code.is_some());
        crate::support::until("a refusal is recorded", any).await;
        self.last_refusal()
    }
}

#[tokio::test]
async fn attack_55_what_is_no_destination_is_denied() {
    let house = House::new().await;
    let bait = Bait::everywhere();
    let port = bait.port();
    for host in ["0.0.0.0", "[::]", "[::1]", "127.0.0.1", "127.8.8.8", "255.255.255.255", "224.0.0.1", "[ff02::1]"] {
        assert_denied(&house, &format!("{host}:{port}")).await;
        assert!(!bait.is_touched(), "{host} was dialled");
    }
    for host in ["localhost", "localhost.", "LOCALHOST", "LocalHost.", "x.localhost", "localhost.localhost."] {
        let authority = format!("{host}:{port}");
        for answer in [connect(&house, &authority).await, clear(&house, &authority).await] {
            assert_refused(&answer, 403, "address_denied");
        }
        assert!(house.last_refusal().host.is_some_and(|host| host.ends_with("localhost")));
        assert!(!bait.is_touched(), "{host} was dialled");
    }
    for host in ["0", "00", "[]", ""] {
        let answer = connect(&house, &format!("{host}:{port}")).await;
        assert_eq!(answer.status, 400, "{host}: {answer:?}");
    }
    assert!(!bait.is_touched());
}

#[tokio::test]
async fn attack_56_the_address_that_is_dialled_is_the_one_that_was_judged() {
    // The operator's own word on where a host is stands in for a resolver: there is no second look-up that could differ.
    let ca = TestCa::new();
    let bait = Bait::at("127.0.0.1").unwrap();
    let yard = Yard::with(&ca, &format!("[upstream.hosts]\n\"{HOST}\" = \"169.254.169.254:{}\"\n", bait.port())).await;
    let lease = yard.lease("acme_key");
    let answer = yard.http1().await.get(HOST, "/", &[("Authorization", &crate::seen::bearer(&lease))]).await;
    assert_refused(&answer, 403, "address_denied");
    let record = yard.last_refusal();
    assert_eq!((record.action.as_str(), record.host.as_deref()), ("request_ended", Some(HOST)));
    assert!(!bait.is_touched());
}

#[tokio::test]
async fn attack_57_a_name_that_leads_inside_is_denied() {
    use std::net::ToSocketAddrs as _;
    let house = House::new().await;
    let bait = Bait::everywhere();
    let own = rustix::system::uname().nodename().to_string_lossy().into_owned();
    for host in [own.as_str(), "ip6-localhost", "ip6-loopback", "inside.invalid"] {
        let authority = format!("{host}:{}", bait.port());
        // This machine's own hosts file decides which of them resolve; all that do lead inside.
        let found: Vec<_> = authority.to_socket_addrs().map(Iterator::collect).unwrap_or_default();
        let is_inside = found.iter().any(|address: &std::net::SocketAddr| {
            address.ip().is_loopback() || matches!(address.ip(), std::net::IpAddr::V4(v4) if v4.is_private())
        });
        for answer in [connect(&house, &authority).await, clear(&house, &authority).await] {
            let is_expected = match (answer.status, &*code(&answer)) {
                (403, "address_denied") => is_inside,
                (502, "upstream_failed") | (504, "upstream_timeout") => !is_inside, // as fast as its name service says so
                _ => false,
            };
            assert!(is_expected, "{authority}: {answer:?}");
        }
        assert!(!bait.is_touched(), "{authority} was dialled");
    }
}

#[tokio::test]
async fn attack_58_an_authority_is_a_host_and_a_port_and_nothing_else() {
    let house = House::new().await;
    let bait = Bait::everywhere();
    let port = bait.port();
    for authority in [
        format!("user@127.0.0.1:{port}"),
        format!("user@169.254.169.254:{port}"),
        format!("{HOST}@127.0.0.1:{port}"),
        format!("{HOST}:443@127.0.0.1:{port}"),
        format!("{HOST}#@127.0.0.1:{port}"),
        format!("{HOST}%00.evil.test:{port}"),
        format!("127%2e0%2e0%2e1:{port}"),
        format!("[fe80::1%25lo]:{port}"),
        format!("[::1%lo]:{port}"),
        format!("127.0.0.1\\@{HOST}:{port}"),
        format!("127.0.0.1 {HOST}:{port}"),
        format!("127.0.0.1\t:{port}"),
        format!("{HOST},127.0.0.1:{port}"),
        format!("127.0.0.1:{port}:443"),
        format!("127.0.0.1:+{port}"),
        "127.0.0.1:65536".to_owned(),
        "127.0.0.1:0".to_owned(),
        "127.0.0.1:".to_owned(),
        "127.0.0.1".to_owned(),
        format!(":{port}"),
        format!("/127.0.0.1:{port}"),
        "*".to_owned(),
    ] {
        let before = house.records().len();
        let answer = connect(&house, &authority).await;
        assert_eq!(answer.status, 400, "{authority}: {answer:?}");
        crate::support::until(&format!("{authority} is recorded"), || house.records().len() > before).await;
        let record = house.last_refusal();
        assert_eq!(record.code.as_deref(), Some("bad_request"), "{authority}: {record:?}");
        assert!(matches!(&*record.action, "tunnel_refused" | "connection_refused"), "{authority}: {record:?}");
        assert!(!bait.is_touched(), "{authority} was dialled");
    }
}

#[tokio::test]
async fn attack_58_a_connect_that_names_a_whole_uri_is_malformed() {
    let house = House::new().await;
    let lease = house.lease();
    for target in ["http://tunnel.test:443", "https://tunnel.test:443/", "http://tunnel.test:443/path?query"] {
        let answer = connect(&house, target).await;
        assert_refused(&answer, 400, "bad_request");
        assert_eq!(house.last_refusal().action, "tunnel_refused");
    }
    house.assert_nothing_left(&lease);
}

#[tokio::test]
async fn attack_59_loopback_is_not_reached_by_way_of_the_proxy() {
    let house = House::new().await;
    let bait = Bait::at("127.0.0.1").unwrap();
    for port in [bait.port(), house.proxy().port(), house.origin.port()] {
        assert_denied(&house, &format!("127.0.0.1:{port}")).await;
    }
    assert!(!bait.is_touched() && house.origin.connections().is_empty());
}

#[tokio::test]
async fn attack_59_what_the_operator_lists_is_reached_and_no_more() {
    let listed = Bait::at("127.0.0.1").unwrap();
    let yard = Yard::with(&TestCa::new(), "allow_addresses = [\"127.0.0.1\"]\n").await;
    let answer = RawClient::connect(yard.proxy()).await.ask_connect(&listed.address().to_string()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert!(listed.is_touched());
    let other = Bait::at("127.0.0.2").unwrap();
    let answer = RawClient::connect(yard.proxy()).await.ask_connect(&other.address().to_string()).await;
    assert_refused(&answer, 403, "address_denied");
    assert!(!other.is_touched());
}
