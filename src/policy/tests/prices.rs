//! Files of kind `prices`: what they say, what is refused with its place, and what an answer costs.

use std::sync::Arc;

use super::super::{Money, Narrow, PolicySet, Tariff, Usage};
use super::{ASKER, Asker, ask};

const OPENAI: &str = include_str!("../../../policies/openai.toml");
const ANTHROPIC: &str = include_str!("../../../policies/anthropic.toml");
const GEMINI: &str = include_str!("../../../policies/gemini.toml");
const SERPER: &str = include_str!("../../../policies/serper.toml");

const GRANT: &str =
    "schema = 1\nkind = \"policy\"\n[[grant]]\nservice = \"openai\"\nitem = \"k\"\nallow = [\"infer\", \"models\"]\n";
const CHAT: &str = "POST https://api.openai.com/v1/chat/completions";

const PRICES: &str = r#"schema = 1
kind = "prices"
currency = "USD"

[[price]]
service = "openai"
model = ["gpt-4o", "gpt-4o-2024-*"]
input_tokens = "2.50"
cached_tokens = 1.25
output_tokens = 10

[[price]]
service = "openai"
model = "gpt-4o*"
tokens = "3"

[[price]]
service = "openai"
model = "o1-*"
input_tokens = "15"
output_tokens = "60"
request = "0.01"
"#;

/// A set of three services, prices and a policy.
fn set(prices: &str, policy: &str) -> Result<PolicySet, String> {
    let services =
        [("openai.toml", OPENAI), ("anthropic.toml", ANTHROPIC), ("gemini.toml", GEMINI), ("serper.toml", SERPER)];
    let texts = [&services[..], &[("prices.toml", prices), ("mine.toml", policy)]].concat();
    PolicySet::of_texts(&texts).map_err(|errors| errors.to_string())
}

fn tariff<'a>(set: &'a PolicySet, service: &str) -> &'a Tariff {
    set.tariff(&service.parse().unwrap()).unwrap()
}

/// What these amounts cost, as it is recorded.
fn cost(set: &PolicySet, service: &str, model: Option<&str>, amounts: &[(&str, u64)]) -> String {
    let service_of = set.service(&service.parse().unwrap()).unwrap();
    let amount = |name: &str| amounts.iter().find(|(known, _)| *known == name).map(|(_, amount)| *amount);
    let meters = service_of.meters().map(|meter| (Arc::clone(meter), amount(meter.name())));
    let usage = Usage { model: model.map(Into::into), amounts: meters.collect() };
    assert!(amounts.iter().all(|(name, _)| service_of.meters().any(|meter| meter.name() == *name)), "{amounts:?}");
    tariff(set, service).cost(&usage).words
}

#[test]
fn an_answer_costs_what_the_most_literal_price_of_its_model_says() {
    let set = set(PRICES, GRANT).unwrap();
    let all = [("tokens", 1_500), ("input_tokens", 1_000), ("cached_tokens", 400), ("output_tokens", 500)];
    for (model, amounts, words) in [
        // 600 at 2.50, 400 at 1.25, 500 at 10
        (Some("gpt-4o"), &all[..], "0.007 USD at gpt-4o, gpt-4o-2024-*"),
        (Some("gpt-4o-2024-08-06"), &all, "0.007 USD at gpt-4o, gpt-4o-2024-*"),
        (Some("gpt-4o-mini"), &all, "0.0045 USD at gpt-4o*"),
        // No price of its own for what is cached, so it costs what input does.
        (Some("o1-pro"), &all, "0.055 USD at o1-*"),
        // A total that is more than its parts: the rest is the dearest of them.
        (Some("gpt-4o"), &[("tokens", 1_000), ("input_tokens", 100)], "0.00925 USD at gpt-4o, gpt-4o-2024-*"),
        (Some("gpt-4o"), &[("tokens", 100)], "0.001 USD at gpt-4o, gpt-4o-2024-*"),
        (Some("gpt-4o"), &[("cached_tokens", 400)], "0.0005 USD at gpt-4o, gpt-4o-2024-*"),
        // Rounded up once.
        (Some("gpt-4o"), &[("cached_tokens", 1)], "0.000002 USD at gpt-4o, gpt-4o-2024-*"),
        (Some("gpt-4o"), &[("tokens", 0)], "0.00 USD at gpt-4o, gpt-4o-2024-*"),
        (Some("gpt-4o"), &[], "0.00 USD at gpt-4o, gpt-4o-2024-*, usage unknown"),
        (Some("gpt-5"), &all, "0.055 USD at the dearest price, as no price is for the model"),
        (None, &all, "0.055 USD at the dearest price, as no model is said"),
        (None, &[], "0.01 USD at the dearest price, as no model is said, usage unknown"),
        (Some("o1-x"), &[("output_tokens", u64::MAX)], "18446744073709.551615 USD at o1-*"),
    ] {
        assert_eq!(cost(&set, "openai", model, amounts), words, "{model:?} {amounts:?}");
    }
}

#[test]
fn caches_are_counted_as_each_provider_states_them() {
    let prices = "schema = 1\nkind = \"prices\"\n[[price]]\nservice = \"anthropic\"\ninput_tokens = \"3\"\n\
        cache_write_tokens = \"3.75\"\ncache_write_1h_tokens = \"6\"\ncached_tokens = \"0.30\"\noutput_tokens = \"15\"\n\
        [[price]]\nservice = \"gemini\"\ninput_tokens = \"1.25\"\noutput_tokens = \"10\"\n\
        [[price]]\nservice = \"serper\"\nrequest = \"0.001\"\n";
    let set = set(prices, GRANT).unwrap();
    let amounts = [
        ("tokens", 10_000),
        ("input_tokens", 1_000),
        ("cache_write_tokens", 2_000),
        ("cache_write_1h_tokens", 500),
        ("cached_tokens", 6_000),
        ("output_tokens", 1_000),
    ];
    // 3,000 + 5,625 + 3,000 + 1,800 + 15,000 millionths
    assert_eq!(cost(&set, "anthropic", Some("claude-x"), &amounts), "0.028425");
    let amounts = [("tokens", 2_100), ("input_tokens", 1_000), ("cached_tokens", 900), ("output_tokens", 1_000)];
    assert_eq!(cost(&set, "gemini", None, &amounts), "0.01225", "the other hundred count as output");
    assert_eq!(cost(&set, "serper", None, &[]), "0.001");
}

#[test]
fn money_limits_apply_to_what_costs() {
    let limits = "limit = { money = \"5.00/day\" }\n[[budget]]\nsecret = \"k\"\nlimit = { money = \"20/week\" }\n";
    let set = set(PRICES, &format!("{GRANT}{limits}")).unwrap();
    let project = "schema = 1\nkind = \"project\"\n[[narrow]]\nservice = \"openai\"\nlimit = { money = \"1/hour\" }\n";
    let mut narrow = set.parse_project(".secrets.toml", project).unwrap().narrows;
    narrow.push(Narrow::of_lease("openai".parse().unwrap()).limited("money", "0.50/day").unwrap());
    let asker = Asker { service: "openai", project: Some("/src"), narrow: &narrow, ..ASKER };
    let applied = |call| ask(&set, &asker, call).limits;
    let words: Vec<String> = applied(CHAT).iter().map(ToString::to_string).collect();
    let expected = [
        "money = 5.00/day of the grant at mine.toml:3",
        "money = 1/hour of the project in /src",
        "money = 0.50/day of the lease of codex",
        "money = 20/week of the budget at mine.toml:8",
    ];
    assert_eq!(words, expected);
    assert!(applied(CHAT).iter().all(|limit| limit.reads.len() == 4 && limit.tariff.is_some()));
    // It spends, and no meter is for it.
    let images = applied("POST https://api.openai.com/v1/images/generations");
    assert!(images.len() == 4 && images.iter().all(|limit| limit.reads.is_empty()), "{images:?}");
    assert!(applied("GET https://api.openai.com/v1/models").is_empty());
}

#[test]
fn faults_of_prices_are_told_with_their_place() {
    let price = |more: &str| format!("schema = 1\nkind = \"prices\"\n[[price]]\nservice = \"openai\"\n{more}");
    let both = "input_tokens = \"1\"\noutput_tokens = \"1\"\n";
    let again = "[[price]]\nservice = \"openai\"\n";
    for (text, said) in [
        (
            price("input_token = \"1\"\n"),
            "5:1: `openai` has no meter `input_token` to price; did you mean `input_tokens`?",
        ),
        (price("input_tokens = \"1,5\"\n"), "5:16: `input_tokens` cannot cost `1,5`; expected an amount"),
        (price("input_tokens = 1e3\noutput_tokens = \"1\"\n"), "5:16: `input_tokens` cannot cost `1e3`"),
        (price("input_tokens = \"-1\"\n"), "5:16: `input_tokens` cannot cost `-1`"),
        (price("request = [\"1\"]\n"), "5:11: `request` cannot cost"),
        (
            price("input_tokens = \"1\"\n"),
            "3:1: the price does not say what `output_tokens` of `openai` cost; add `output_tokens = \"…\"`",
        ),
        (
            price("cached_tokens = \"1\"\noutput_tokens = \"1\"\n"),
            "3:1: the price does not say what `input_tokens` of `openai` cost",
        ),
        (price(""), "3:1: the price does not say what `input_tokens`, `output_tokens` of `openai` cost"),
        (price(&format!("model = []\n{both}")), "3:1: the price is for no model; leave `model` out"),
        (price(&format!("model = \"\"\n{both}")), "5:9: a pattern cannot be empty"),
        (
            price(&format!("modell = \"x\"\n{both}")),
            "5:1: `openai` has no meter `modell` to price; did you mean `model`?",
        ),
        (
            price(&format!("{both}{again}{both}")),
            "7:1: this price of `openai` ties with the one at prices.toml:3: both are for any model",
        ),
        (
            price(&format!("model = \"gpt-4*\"\n{both}{again}model = [\"x\", \"*-mini\"]\n{both}")),
            "8:1: this price of `openai` ties with the one at prices.toml:3: `*-mini` and `gpt-4*` are equally literal",
        ),
        (price(both).replace("\"openai\"", "\"opnai\""), "4:11: there is no service `opnai`; did you mean `openai`?"),
        (price(both).replace("[[price]]", "[[prise]]"), "3:3: unknown key `prise` in the file; did you mean `price`?"),
        (
            price(both).replace("\"prices\"", "\"price\""),
            "2:8: a file of kind `price` does not belong here; did you mean `prices`?",
        ),
        (price(both).replace("[[price]]", "currency = \"\"\n[[price]]"), "3:12: `currency` cannot be ``"),
        (
            price("tokens = \"1\"\n").replace("\"openai\"", "\"serper\""),
            "5:1: `serper` has no meter `tokens` to price; expected one of `request`, `service`, `model`",
        ),
        (
            price("").replace("\"openai\"", "\"serper\""),
            "3:1: the price says nothing: no answer of `serper` says what was used",
        ),
    ] {
        let errors = set(&text, GRANT).unwrap_err();
        assert!(errors.contains(&format!("prices.toml:{said}")), "{said}\n{errors}");
    }
    let models =
        |one: &str, other: &str| price(&format!("model = \"{one}\"\n{both}{again}model = \"{other}\"\n{both}"));
    for (one, other) in [("gpt-4*", "gpt-5*"), ("gpt-4*", "gpt-4-*"), ("gpt-4*", "gpt-4"), ("*-mini", "gpt-4*x")] {
        assert!(set(&models(one, other), GRANT).is_ok(), "{one} {other}");
    }
    assert!(
        set(&price(&format!("{both}{again}model = \"*\"\n{both}")), GRANT).is_ok(),
        "any model is the least literal"
    );
}

#[test]
fn money_without_a_price_is_a_fault_of_whoever_limits_it() {
    let none = "schema = 1\nkind = \"prices\"\n";
    for (policy, said) in [
        (
            "limit = { money = \"5/day\" }",
            "mine.toml:7:11: no price says what `openai` costs, so `money` cannot be counted; write a file of kind `prices`",
        ),
        (
            "[[budget]]\nsecret = \"k\"\nlimit = { requests = \"1/day\", money = \"5/day\" }",
            "mine.toml:9:31: no price says what `openai` costs",
        ),
        ("limit = { money = \"5\" }", "mine.toml:7:19: `money` cannot be `5`; expected an amount"),
    ] {
        let errors = set(none, &format!("{GRANT}{policy}\n")).unwrap_err();
        assert!(errors.contains(said), "{said}\n{errors}");
    }
    let other = "[[budget]]\nsecret = \"other\"\nlimit = { money = \"5/day\" }\n";
    assert!(set(none, &format!("{GRANT}{other}")).is_ok(), "nothing is granted with it");

    let without = set(none, GRANT).unwrap();
    let project = "schema = 1\nkind = \"project\"\n[[narrow]]\nservice = \"openai\"\nlimit = { money = \"1/hour\" }\n";
    assert!(without.parse_project(".secrets.toml", project).unwrap_err().to_string().contains("no price says"));
    // The prices went away while a lease was limited: it gives nothing.
    let narrow = [Narrow::of_lease("openai".parse().unwrap()).limited("money", "1/day").unwrap()];
    let asker = Asker { service: "openai", narrow: &narrow, ..ASKER };
    let decision = ask(&without, &asker, CHAT);
    assert!(decision.reason.contains("no price says") && decision.limits.is_empty(), "{}", decision.reason);
    assert!(without.check_narrow(&narrow[0]).is_err());
    assert_eq!(ask(&set(PRICES, GRANT).unwrap(), &asker, CHAT).reason, "");
}

#[test]
fn files_of_prices_are_one_whole_and_have_one_currency() {
    let of = |head: &str, model: &str| {
        format!(
            "schema = 1\nkind = \"prices\"\n{head}[[price]]\nservice = \"openai\"\nmodel = \"{model}\"\ntokens = \"1\"\n"
        )
    };
    let load = |one: &str, other: &str| {
        PolicySet::of_texts(&[("openai.toml", OPENAI), ("a.toml", one), ("b.toml", other), ("mine.toml", GRANT)])
    };
    let usd = "currency = \"USD\"\n";
    let both = load(&of(usd, "a"), &of("", "b")).unwrap();
    assert_eq!((tariff(&both, "openai").prices().count(), tariff(&both, "openai").currency()), (2, "USD"));
    let errors = load(&of(usd, "a"), &of("currency = \"EUR\"\n", "b")).unwrap_err().to_string();
    assert!(errors.contains("b.toml:3:12: the prices are in `USD` elsewhere"), "{errors}");
    let errors = load(&of(usd, "a"), &of("", "a")).unwrap_err().to_string();
    assert!(errors.contains("b.toml:3:1: this price of `openai` ties with the one at a.toml:4"), "{errors}");
    let price = tariff(&both, "openai").prices().next().unwrap();
    assert_eq!(price.units().collect::<Vec<_>>(), [("tokens", Money::from_micros(1_000_000))]);
}

#[test]
fn a_meter_says_what_it_is_a_part_of_and_where_the_model_stands() {
    let own = |from: &str, to: &str| {
        let text = OPENAI.replacen(from, to, 1);
        assert_ne!(text, OPENAI, "{from}");
        PolicySet::of_texts(&[("openai.toml", &text)]).unwrap_err().to_string()
    };
    let errors = own("part_of = \"tokens\"", "part_of = \"token\"");
    assert!(errors.contains("there is no other meter `token`; did you mean `tokens`?"), "{errors}");
    let errors = own("part_of = \"tokens\"", "part_of = \"cached_tokens\"");
    assert!(errors.contains("is a part of itself"), "{errors}");
    let errors = own("model = \"/model or", "model = \"/model or model or");
    assert!(errors.contains("`model` is no JSON pointer"), "{errors}");
}
