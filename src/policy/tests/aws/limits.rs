//! Parameters that requests show by themselves, and what does not load.

use super::*;

#[test]
fn region_and_bucket_are_held_to_their_limits() {
    let rule = "aws = { service = [\"s3\", \"sts\", \"dynamodb\"] }";
    let limited = set(rule, "allow = [\"one\"]\nonly = { region = [\"eu-west-1\"], bucket = [\"acme-*\"] }");
    let json: &[(&'static str, &str)] = &[JSON, GET_ITEM];
    let copy: &[(&'static str, &str)] = &[("x-amz-copy-source", "/other/b")];
    let inside: &[(&'static str, &str)] = &[("x-amz-copy-source", "acme-old/b")];
    for (host, scope, call, fields, expected) in [
        (S3, "eu-west-1/s3", "GET /acme-dev/a", &[][..], Verdict::Allow),
        ("acme-dev.s3.eu-west-1.amazonaws.com", "eu-west-1/s3", "GET /a", &[], Verdict::Allow),
        (S3, "eu-west-1/s3", "GET /other/a", &[], Verdict::Deny),
        ("other.s3.eu-west-1.amazonaws.com", "eu-west-1/s3", "GET /acme-dev/a", &[], Verdict::Deny),
        (S3, "eu-west-1/s3", "GET /", &[], Verdict::Deny),
        (S3, "eu-west-1/s3", "PUT /acme-dev/a", copy, Verdict::Deny),
        (S3, "eu-west-1/s3", "PUT /acme-dev/a", inside, Verdict::Allow),
        ("s3.amazonaws.com", "us-east-1/s3", "GET /acme-dev/a", &[], Verdict::Deny),
        (DYNAMO, "eu-west-1/dynamodb", "POST /", json, Verdict::Allow),
        ("dynamodb.us-east-1.amazonaws.com", "us-east-1/dynamodb", "POST /", json, Verdict::Deny),
    ] {
        let decision = Sent { fields, ..sent(host, scope, call) }.judge(&limited);
        assert_eq!(decision.verdict, expected, "{host} {scope} {call} {fields:?}");
        let code = (expected == Verdict::Deny).then_some(RefusalCode::OutOfScope);
        assert_eq!(decision.code, code, "{host} {call}");
    }
    let narrow = Narrow::of_lease("cloud".parse().unwrap()).limiting("bucket", &["acme-dev"]).unwrap();
    let open = set(rule, "allow = [\"one\"]");
    let verdict = |call| {
        sent(S3, "eu-west-1/s3", call).with(std::slice::from_ref(&narrow), |lease, request| open.decide(lease, request))
    };
    assert_eq!(verdict("GET /acme-dev/a").verdict, Verdict::Allow);
    assert_eq!(verdict("GET /acme-prod/a").verdict, Verdict::Deny);
}

#[test]
fn a_rule_can_want_to_see_a_parameter() {
    let set = set("aws = { service = \"sts\" }", "allow = [\"write\"]");
    assert_eq!(sent(S3, "eu-west-1/s3", "PUT /acme/a").judge(&set).verdict, Verdict::Allow);
    assert_eq!(sent(S3, "eu-west-1/s3", "GET /").judge(&set).code, Some(RefusalCode::CapDenied), "shows no bucket");
}

#[test]
fn a_service_may_be_called_by_the_name_that_people_know() {
    let host = "monitoring.eu-west-1.amazonaws.com";
    let fields = [("x-amz-target", "X.GetMetricData"), ("content-type", "application/x-amz-json-1.0")];
    let call = |scope| Sent { fields: &fields, ..sent(host, scope, "POST /") };
    assert!(call("eu-west-1/monitoring").is("monitoring", "GetMetricData"));
    assert!(call("eu-west-1/monitoring").is("cloudwatch", "GetMetricData"));
    assert!(!call("eu-west-1/cloudwatch").is("cloudwatch", "GetMetricData"), "nothing is signed like that");
}

#[test]
fn aws_rules_that_can_match_nothing_are_faults() {
    for (rule, why) in [
        ("aws = { action = \"GetItem\" }", "`aws` has no `service`"),
        ("aws = { service = [] }", "`service` lists nothing"),
        ("aws = { service = \"sts\", action = [] }", "`action` lists nothing"),
        ("aws = { service = \"S3\" }", "no request is signed for `S3`"),
        ("aws = { service = \"s3\", action = \"s3:GetObject\" }", "`s3:GetObject` is no action"),
        ("aws = { service = \"s3\", action = \"GetObjct\" }", "did you mean `GetObject`?"),
        ("aws = { service = \"lambda\", action = \"Drop*\" }", "no request is known to be `Drop*`"),
        ("aws = { service = \"s3\", actions = \"GetObject\" }", "unknown key `actions`"),
        ("aws = { service = \"s3\" }, with = [\"region\", \"key\"]", "no `[param.key]` with `from`"),
    ] {
        let errors = PolicySet::of_texts(&[("cloud.toml", &SERVICE.replace("RULE", rule))]).unwrap_err().to_string();
        assert!(errors.contains(why), "{rule}: {errors}");
    }
    let good = SERVICE.replace("RULE", "aws = { service = \"sts\" }");
    for (from, to, why) in [
        ("\"aws.region\"", "\"aws.zone\"", "`from` cannot be `aws.zone`"),
        ("from    = \"aws.s3.bucket\"", "about = \"x\"", "`applies` belongs to a parameter with `from`"),
        ("{ aws = { service = \"s3\" } }", "{}", "`applies` says for which requests"),
        (
            "about = \"Secrets\"",
            "deny = [{ path = \"/x\", with = [\"region\"] }]\nabout = \"Secrets\"",
            "belongs to `allow`",
        ),
    ] {
        assert!(good.contains(from), "{from}");
        let errors = PolicySet::of_texts(&[("cloud.toml", &good.replacen(from, to, 1))]).unwrap_err().to_string();
        assert!(errors.contains(why), "{to}: {errors}");
    }
}
