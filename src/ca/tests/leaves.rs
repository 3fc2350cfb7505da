//! Handshakes with a verifying client, and the cache behind them.

use super::*;

#[tokio::test]
async fn both_protocols_are_offered_or_one() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), clock());
    let ca = authority(folder.path(), &clock);
    let host = "api.example.com".parse().unwrap();
    let (client, config) = (client(&ca), ca.server_config(&host).await.unwrap());
    let first = connect(&config, &client, "api.example.com").unwrap();
    assert_eq!(first.alpn.as_deref(), Some(&b"h2"[..]));
    assert!(!first.resumed);
    clock.advance(6 * DAY); // the leaf is renewed
    let renewed = ca.server_config(&host).await.unwrap();
    assert!(!Arc::ptr_eq(&config, &renewed));
    assert_eq!((renewed.max_early_data_size, renewed.send_tls13_tickets), (0, 2));
    let one = ca.http1_server_config(&host).await.unwrap();
    let other = connect(&one, &client, "api.example.com").unwrap();
    assert_eq!(other.alpn.as_deref(), Some(&b"http/1.1"[..]));
}

#[tokio::test]
async fn a_session_is_resumed_for_its_own_host() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), clock());
    let ca = authority(folder.path(), &clock);
    let (client, config) = (client(&ca), ca.server_config(&"api.example.com".parse().unwrap()).await.unwrap());
    assert!(!connect(&config, &client, "api.example.com").unwrap().resumed);
    assert!(connect(&config, &client, "api.example.com").unwrap().resumed);
}

#[tokio::test]
async fn one_leaf_per_host_however_many_ask_at_once() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), clock());
    let ca = authority(folder.path(), &clock);
    let host: Host = "api.example.com".parse().unwrap();
    let asked = (0..64).map(|_| {
        let (ca, host) = (ca.clone(), host.clone());
        tokio::spawn(async move { ca.server_config(&host).await.unwrap() })
    });
    let configs: Vec<_> = futures_util::future::join_all(asked).await.into_iter().map(Result::unwrap).collect();
    assert!(configs.iter().all(|config| Arc::ptr_eq(config, &configs[0])));
    let other = ca.server_config(&"www.example.com".parse().unwrap()).await.unwrap();
    assert!(!Arc::ptr_eq(&other, &configs[0]));
    assert_eq!(ca.0.leaves.len(), 2);
}

#[tokio::test]
async fn attack_107_leaves_are_renewed_by_the_wall_clock() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), clock());
    let ca = authority(folder.path(), &clock);
    let host = "api.example.com".parse().unwrap();
    let first = ca.server_config(&host).await.unwrap();
    clock.set_wall(root::minus(clock.now().plus(DAY * 5), SECOND));
    assert!(Arc::ptr_eq(&first, &ca.server_config(&host).await.unwrap()));
    clock.set_wall(clock.now().plus(SECOND)); // 48 h before its end
    let second = ca.server_config(&host).await.unwrap();
    assert!(!Arc::ptr_eq(&first, &second));
    connect(&second, &client(&ca), "api.example.com").unwrap();
    clock.set_wall(root::minus(clock.now(), DAY * 5)); // set back: the new leaf is not valid yet
    let third = ca.server_config(&host).await.unwrap();
    assert!(!Arc::ptr_eq(&second, &third));
    connect(&third, &client(&ca), "api.example.com").unwrap();
}

#[tokio::test]
async fn attack_119_a_flood_of_names_is_bounded() {
    let (folder, clock) = (tempfile::tempdir().unwrap(), clock());
    let ca = authority(folder.path(), &clock);
    let kept = ca.server_config(&"api.example.com".parse().unwrap()).await.unwrap();
    let mut refused = 0;
    for number in 0..2_000 {
        let host = format!("h{number}.example.com").parse().unwrap();
        refused += usize::from(matches!(ca.server_config(&host).await, Err(Error::Flood(_))));
    }
    assert_eq!(refused, 2_000 - 511);
    assert!(ca.0.leaves.len() <= PROFILE.cache.hosts);
    assert!(Arc::ptr_eq(&kept, &ca.server_config(&"api.example.com".parse().unwrap()).await.unwrap()));
    clock.advance(SECOND);
    assert!(ca.server_config(&"h1999.example.com".parse().unwrap()).await.is_ok());
}
