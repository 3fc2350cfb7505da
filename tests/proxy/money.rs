//! Limits on money: what answers say was used, at the user's own prices; charged at their end, never in their way.

use leasehold::base::Clock;

use crate::{
    house::{HOST, House, SECRET},
    kit::{H1, H2, Yard, assert_paired, bearer, lease, with_service},
    limits::{assert_over, grant_file},
    meters::{ANTHROPIC, GEMINI, OPENAI, SERVICE, answer_of, call, json, said},
    support::{Origin, Speaks, TestCa},
};

/// The meters of a shipped service, for two paths of the stand-in origin.
fn meters_of(service: &str) -> String {
    let blocks = service.split("\n\n").filter_map(|block| Some(&block[block.find("[meter.")?..]));
    let moved = |block: &str| {
        let (head, rest) = block.split_at(block.find("on   =").unwrap());
        format!("{head}on = {{ path = [\"/answer\", \"/sse\"] }}{}\n", &rest[rest.find("\njson").unwrap()..])
    };
    blocks.map(moved).collect()
}

fn prices(entries: &str) -> String {
    format!(
        "schema = 1\nkind = \"prices\"\ncurrency = \"USD\"\n{}",
        entries.replace("[[price]]", "[[price]]\nservice = \"acme\"")
    )
}

/// A house with these meters and prices, whose only grant has this limit, and a lease.
async fn priced(meters: &str, entries: &str, limit: &str, speaks: Speaks) -> (House, String) {
    let (house, lease) = with_service(&format!("{SERVICE}{meters}"), speaks, "").await;
    std::fs::write(house.home.policies().join("prices.toml"), prices(entries)).unwrap();
    let grant = grant_file(&house.home);
    let text = std::fs::read_to_string(&grant).unwrap() + &format!("\nlimit = {{ {limit} }}\n");
    std::fs::write(&grant, &text).unwrap();
    house.broker().live_policy().reload().unwrap_or_else(|errors| panic!("{errors}\n{text}"));
    (house, lease)
}

fn stream(body: &str) -> String {
    answer_of("text/event-stream", body)
}

const OPENAI_PRICES: &str = "[[price]]\nmodel = \"gpt-4o-*\"\ninput_tokens = \"2.50\"\ncached_tokens = \"1.25\"\n\
    output_tokens = \"10\"\n[[price]]\nmodel = \"o1\"\ninput_tokens = \"15\"\noutput_tokens = \"60\"\n";
const OPENAI_JSON: &str = r#"{"id":"c","model":"gpt-4o-2024-08-06","choices":[{"message":{"content":"\"model\":\"o1\""}}],"usage":{"prompt_tokens":300,"completion_tokens":100,"total_tokens":400,"prompt_tokens_details":{"cached_tokens":200}}}"#;
const OPENAI_STREAM: &str = "data: {\"type\":\"response.created\",\"response\":{\"id\":\"r\",\"model\":\"gpt-4o-mini\",\"usage\":null}}\n\n\
    data: {\"type\":\"response.output_text.delta\",\"delta\":\"model\"}\n\n\
    data: {\"type\":\"response.completed\",\"response\":{\"model\":\"gpt-4o-mini\",\"usage\":{\"input_tokens\":300,\"output_tokens\":100,\"total_tokens\":400,\"input_tokens_details\":{\"cached_tokens\":200}}}}\n\n";
const ANTHROPIC_PRICES: &str = "[[price]]\nmodel = \"claude-opus-*\"\ninput_tokens = \"5\"\noutput_tokens = \"25\"\n\
    cache_write_tokens = \"6.25\"\ncached_tokens = \"0.50\"\n";
const ANTHROPIC_JSON: &str = r#"{"id":"m","type":"message","model":"claude-opus-4-1","usage":{"input_tokens":100,"cache_creation_input_tokens":40,"cache_read_input_tokens":1000,"output_tokens":20}}"#;
const ANTHROPIC_STREAM: &str = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"model\":\"claude-opus-4-1\",\"usage\":{\"input_tokens\":100,\"cache_creation_input_tokens\":40,\"cache_read_input_tokens\":1000,\"output_tokens\":1}}}\n\n\
    event: message_delta\ndata: {\"type\":\"message_delta\",\"usage\":{\"output_tokens\":20}}\n\n";
const GEMINI_PRICES: &str = "[[price]]\nmodel = \"gemini-2.5-*\"\ninput_tokens = \"1.25\"\noutput_tokens = \"10\"\n";
const GEMINI_JSON: &str = r#"{"candidates":[],"usageMetadata":{"promptTokenCount":300,"candidatesTokenCount":100,"thoughtsTokenCount":50,"totalTokenCount":450},"modelVersion":"gemini-2.5-pro"}"#;

#[tokio::test]
async fn answers_cost_what_their_model_costs_and_the_next_is_refused_when_the_money_is_gone() {
    let shapes = [
        // 100 at 2.50, 200 at 1.25, 100 at 10
        (OPENAI, OPENAI_PRICES, json(OPENAI_JSON), "money 0.0015 USD at gpt-4o-*"),
        (OPENAI, OPENAI_PRICES, stream(OPENAI_STREAM), "money 0.0015 USD at gpt-4o-*"),
        // 100 at 5, 40 at 6.25, 1000 at 0.50, 20 at 25
        (ANTHROPIC, ANTHROPIC_PRICES, json(ANTHROPIC_JSON), "money 0.00175 USD at claude-opus-*"),
        (ANTHROPIC, ANTHROPIC_PRICES, stream(ANTHROPIC_STREAM), "money 0.00175 USD at claude-opus-*"),
        (GEMINI, GEMINI_PRICES, json(GEMINI_JSON), "money 0.001875 USD at gemini-2.5-*"),
    ];
    let ways = [(H1, Speaks::Http1), (H1, Speaks::Http2), (H2, Speaks::Http1), (H2, Speaks::Http2), (H2, Speaks::Both)];
    for ((service, entries, path, words), (alpn, speaks)) in shapes.into_iter().zip(ways) {
        let (house, lease) = priced(&meters_of(service), entries, "money = \"0.0029/day\"", speaks).await;
        for at in 1..=2 {
            assert_eq!(call(&house, alpn, &lease, &path).await.status, 200);
            assert_eq!(said(&house, at).await.as_deref(), Some(words), "{path}");
        }
        let seconds = assert_over(&call(&house, alpn, &lease, &path).await, "money = 0.0029/day");
        assert!((1..=36_000).contains(&seconds), "{seconds}");
        assert_eq!(house.origin.requests().len(), 2, "what was refused never left");
        let refused = house.records_of("request_refused");
        assert_eq!((refused.len(), refused[0].code.as_deref(), refused[0].status), (1, Some("limit"), Some(429)));
        assert_paired(&house.records());
    }
}

#[tokio::test]
async fn an_unknown_model_costs_the_dearest_and_an_error_nothing() {
    let entries = OPENAI_PRICES.replace("output_tokens = \"60\"", "output_tokens = \"60\"\nrequest = \"0.02\"");
    let (house, lease) =
        priced(&meters_of(OPENAI), &entries, "money = \"100/day\", tokens = \"1M/day\"", Speaks::Both).await;
    let mut ended = 0;
    // 300 at 15, 100 at 60, and the request
    for (body, words) in [
        (
            OPENAI_JSON.replace("gpt-4o-2024-08-06", SECRET),
            "tokens 400, money 0.0305 USD at the dearest price, as no price is for the model",
        ),
        (
            OPENAI_JSON.replace("\"model\":\"gpt-4o-2024-08-06\",", ""),
            "tokens 400, money 0.0305 USD at the dearest price, as no model is said",
        ),
        (
            "{}".to_owned(),
            "tokens: usage unknown, money 0.02 USD at the dearest price, as no model is said, usage unknown",
        ),
        (r#"{"model":"gpt-4o-x"}"#.to_owned(), "tokens: usage unknown, money 0.00 USD at gpt-4o-*, usage unknown"),
    ] {
        assert_eq!(call(&house, H1, &lease, &json(&body)).await.status, 200);
        ended += 1;
        assert_eq!(said(&house, ended).await.as_deref(), Some(words), "{body}");
    }
    let failed = call(&house, H1, &lease, "/answer?status=500&header=Content-Type:application/json&body=%7B%7D").await;
    assert_eq!((failed.status, said(&house, ended + 1).await), (500, None));
    assert_eq!(call(&house, H1, &lease, "/echo").await.status, 200);
    assert_eq!(said(&house, ended + 2).await, None, "no meter is for it, and it does not spend");
}

#[tokio::test]
async fn a_service_without_meters_costs_by_the_request() {
    let (house, lease) = priced("", "[[price]]\nrequest = \"0.01\"\n", "money = \"0.015/day\"", Speaks::Both).await;
    for at in 1..=2 {
        assert_eq!(call(&house, H1, &lease, "/echo").await.status, 200);
        assert_eq!(said(&house, at).await.as_deref(), Some("money 0.01 USD"));
    }
    assert_over(&call(&house, H1, &lease, "/echo").await, "money = 0.015/day");
    assert_eq!(house.origin.requests().len(), 2);
}

#[tokio::test]
async fn new_prices_count_at_once_and_a_folder_without_them_is_not_taken() {
    let (house, lease) = priced("", "[[price]]\nrequest = \"0.01\"\n", "money = \"1/day\"", Speaks::Both).await;
    let file = house.home.policies().join("prices.toml");
    std::fs::write(&file, prices("[[price]]\nrequest = \"1.50\"\n")).unwrap();
    house.broker().live_policy().reload().unwrap();
    std::fs::remove_file(&file).unwrap();
    let errors = house.broker().live_policy().reload().unwrap_err().to_string();
    assert!(errors.contains("no price says what `acme` costs"), "{errors}");
    assert_eq!(call(&house, H1, &lease, "/echo").await.status, 200);
    assert_eq!(said(&house, 1).await.as_deref(), Some("money 1.50 USD"), "what was in force stays");
    assert_over(&call(&house, H1, &lease, "/echo").await, "money = 1/day");
}

#[tokio::test]
async fn a_secret_s_money_is_still_spent_after_a_restart() {
    let ca = TestCa::new();
    let origin = Origin::builder(ca.leaf_for(&[HOST])).speaks(Speaks::Http1).start();
    let yard = Yard::at(&ca, origin.address()).await;
    let folder = yard.home.policies();
    let entry = prices("[[price]]\nrequest = \"0.75\"\n").replace("\"acme\"", "\"api-acme-test\"");
    std::fs::write(folder.join("prices.toml"), entry).unwrap();
    let budget = "schema = 1\nkind = \"policy\"\n[[budget]]\nsecret = \"acme_key\"\nlimit = { money = \"1.00/day\" }\n";
    std::fs::write(folder.join("budget.toml"), budget).unwrap();
    yard.broker().live_policy().reload().unwrap();
    let token = bearer(&lease(yard.broker(), None, None).0);
    let headers = [("Authorization", &*token)];
    for at in 1..=2 {
        assert_eq!(yard.client(H1).await.get(HOST, "/echo", &headers).await.status, 200);
        assert_eq!(yard.ended(at).await.pop().unwrap().details.as_deref(), Some("money 0.75 USD"));
    }
    let yard = yard.restarted(Clock::system()).await;
    let over = yard.client(H1).await.get(HOST, "/echo", &headers).await;
    let seconds = assert_over(&over, "money = 1.00/day");
    assert!((21_600..=43_200).contains(&seconds), "half a unit too much is half a day: {seconds}");
    assert!(over.json()["detail"].as_str().unwrap().contains("of the budget at "), "{over:?}");
    assert_eq!(origin.requests().len(), 2);
}
