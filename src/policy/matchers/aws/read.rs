//! Reads `aws = { service = …, action = … }` out of a file.

use super::{super::Values, Aws, rest, s3};
use crate::policy::{
    files::{At, Table, expected},
    rules::Glob,
};

/// Names by which people know services, and those that their signatures have; either may be written.
const ALSO: &[(&str, &str)] = &[
    ("bedrock-runtime", "bedrock"),
    ("cloudwatch", "monitoring"),
    ("elb", "elasticloadbalancing"),
    ("emr", "elasticmapreduce"),
    ("eventbridge", "events"),
    ("sesv2", "ses"),
    ("stepfunctions", "states"),
];

/// Reads `aws`; faults stay with the source.
pub(in crate::policy::matchers) fn read_aws(rule: &mut Table<'_>) -> Option<Aws> {
    let mut table = rule.table("aws")?;
    if table.value("service").is_none() {
        table.fault("`aws` has no `service`", "add `service = \"s3\"`, the name in the scope of signatures");
    }
    let mut services = table.texts("service").unwrap_or_default();
    for service in &mut services {
        service.value = ALSO.iter().find(|(also, _)| *also == service.value).map_or(service.value, |(_, name)| name);
    }
    let has_actions = table.value("action").is_some();
    let actions = table.texts("action").unwrap_or_default();
    for (key, is_empty) in [("service", services.is_empty()), ("action", has_actions && actions.is_empty())] {
        if is_empty && table.value(key).is_some() {
            table.fault(format!("`{key}` lists nothing, so the rule matches nothing"), "write `*` for any");
        }
    }
    let source = table.source();
    for service in &services {
        let usable = service.value.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-*".contains(&b));
        if !usable {
            let message = format!("no request is signed for `{}`", service.value.escape_debug());
            source.fault(service.span.clone(), message, "write a name such as `s3`, in lower case");
        }
    }
    let known = known(&services);
    for action in &actions {
        if action.value.contains(':') || !action.value.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'*') {
            let message = format!("`{}` is no action", action.value.escape_debug());
            source.fault(
                action.span.clone(),
                message,
                "write it like `GetObject` or `Get*`; the service stands beside it",
            );
        } else if !known.is_empty() && !could_be(action.value, &known) {
            let message = format!("no request is known to be `{}`", action.value);
            let fix = expected(action.value, &known);
            source.fault(action.span.clone(), message, fix);
        }
    }
    let values = |texts: &[At<&str>]| {
        let parsed = Values::parse(texts.iter().map(|text| text.value), &[]);
        let span = texts.first().map_or(0..0, |text| text.span.clone());
        parsed.map_err(|error| source.fault(span, error, "")).unwrap_or_default()
    };
    let aws = Aws { services: values(&services), actions: has_actions.then(|| values(&actions)) };
    table.finish();
    Some(aws)
}

/// The actions that are known of these services; empty when any of them names its actions on the wire.
fn known(services: &[At<&str>]) -> Vec<&'static str> {
    let mut all = Vec::new();
    for service in services {
        match service.value {
            "s3" => all.extend(s3::known()),
            "lambda" => all.extend(rest::LAMBDA.iter().map(|(.., action)| *action).chain([rest::FUNCTION_URL])),
            "bedrock" => {
                all.extend(rest::BEDROCK_RUNTIME.iter().chain(rest::BEDROCK).map(|(.., action)| *action));
            }
            _ => return Vec::new(),
        }
    }
    all.dedup();
    all
}

fn could_be(action: &str, known: &[&str]) -> bool {
    action.parse::<Glob>().is_ok_and(|glob| known.iter().any(|known| glob.matches(known)))
}
