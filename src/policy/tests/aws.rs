//! Tests of rules about Amazon's services: what a request does is read off the wire, and host and signature must agree.

mod limits;

use http::HeaderMap;

use super::super::{
    Body, Content, Decision, LeaseFacts, Narrow, Peek, PolicySet, Protocol, RequestFacts, Until, Verdict,
};
use crate::base::{Authority, RefusalCode, Scheme};

const SERVICE: &str = r#"
schema = 1
kind   = "service"
id     = "cloud"
name   = "Cloud"
[host.any]
origin        = ["https://**.amazonaws.com", "https://**.api.aws", "https://**.on.aws"]
encoded_slash = "keep"
[param.region]
from = "aws.region"
[param.bucket]
from    = "aws.s3.bucket"
applies = { aws = { service = "s3" } }
[credential.key]
type = "token"
[[inject]]
host = "any"
use  = "key"
at   = [{ header = "x-key" }]
[cap.one]
about = "What a test asks for"
risk  = "read"
allow = [{ RULE }]
[cap.secrets]
about = "Secrets"
risk  = "secret"
allow = [{ aws = { service = ["secretsmanager", "ssm"], action = ["GetSecretValue", "GetParameter*"] } }]
[cap.destroy]
about = "Delete objects"
risk  = "destroy"
allow = [{ aws = { service = "s3", action = "Delete*" } }]
[cap.write]
about = "Write objects in named buckets"
risk  = "write"
allow = [{ aws = { service = "s3", action = ["PutObject", "CopyObject", "ListBuckets"] }, with = ["bucket"] }]
[cap.all]
about = "Everything"
risk  = "admin"
allow = [{ method = ["GET", "HEAD", "POST", "PUT", "DELETE"], path = "/**" }]
"#;

fn set(rule: &str, lists: &str) -> PolicySet {
    let service = SERVICE.replace("RULE", rule);
    let policy = format!("schema = 1\nkind = \"policy\"\n[[grant]]\nservice = \"cloud\"\nitem = \"k\"\n{lists}\n");
    PolicySet::of_texts(&[("cloud.toml", &service), ("mine.toml", &policy)]).unwrap_or_else(|errors| panic!("{errors}"))
}

/// One request; `scope` is region and service of its signature.
#[derive(Clone)]
struct Sent<'a> {
    host: &'a str,
    call: &'a str,
    scope: &'a str,
    fields: &'a [(&'static str, &'a str)],
    body: Option<&'a str>,
}

impl Sent<'_> {
    fn with<T>(&self, narrow: &[Narrow], look: impl FnOnce(&LeaseFacts<'_>, &RequestFacts<'_>) -> T) -> T {
        let (method, target) = self.call.split_once(' ').unwrap();
        let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
        let mut headers = HeaderMap::new();
        if !self.scope.is_empty() {
            headers.append("authorization", authorization(self.scope).parse().unwrap());
        }
        for (name, value) in self.fields {
            headers.append(*name, value.parse().unwrap());
        }
        let body = self.body.map_or_else(Body::unread, |body| Body::read(body.to_owned().into(), &headers));
        let (service, secret, client) = ("cloud".parse().unwrap(), "k".parse().unwrap(), "codex".parse().unwrap());
        let lease = LeaseFacts {
            service: &service,
            credential: "key",
            secret: &secret,
            client: &client,
            project: None,
            environment: None,
            narrow,
        };
        let authority = Authority::parse(self.host, Some(443)).unwrap();
        let content = Content { query, headers: &headers, body: &body };
        let (scheme, protocol) = (Scheme::Https, Protocol::Http);
        look(&lease, &RequestFacts { scheme, authority: &authority, method, path, protocol, content })
    }

    fn judge(&self, set: &PolicySet) -> Decision {
        self.with(&[], |lease, request| set.decide(lease, request))
    }

    /// Whether a rule about this service and action gives it.
    fn is(&self, service: &str, action: &str) -> bool {
        let rule = format!("aws = {{ service = \"{service}\", action = \"{action}\" }}");
        self.judge(&set(&rule, "allow = [\"one\"]")).verdict == Verdict::Allow
    }
}

fn authorization(scope: &str) -> String {
    format!("AWS4-HMAC-SHA256 Credential=LKIA0000/20260101/{scope}/aws4_request, SignedHeaders=host, Signature=00")
}

const DYNAMO: &str = "dynamodb.eu-west-1.amazonaws.com";
const STS: &str = "sts.eu-west-1.amazonaws.com";
const S3: &str = "s3.eu-west-1.amazonaws.com";
const JSON: (&str, &str) = ("content-type", "application/x-amz-json-1.0");
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded; charset=utf-8");
const GET_ITEM: (&str, &str) = ("x-amz-target", "DynamoDB_20120810.GetItem");

fn sent<'a>(host: &'a str, scope: &'a str, call: &'a str) -> Sent<'a> {
    Sent { host, call, scope, fields: &[], body: None }
}

#[test]
fn actions_of_the_json_protocols_stand_in_a_field() {
    let fields = [JSON, GET_ITEM];
    let good = Sent { fields: &fields, ..sent(DYNAMO, "eu-west-1/dynamodb", "POST /") };
    assert!(good.is("dynamodb", "GetItem") && good.is("dynamodb", "Get*") && good.is("*", "*"));
    assert!(!good.is("dynamodb", "PutItem") && !good.is("sts", "*") && !good.is("dynamodb", "getitem"));
    for account in ["123456789012.ddb.eu-west-1.amazonaws.com", "dynamodb.eu-west-1.api.aws"] {
        assert!(Sent { host: account, ..good.clone() }.is("dynamodb", "GetItem"), "{account}");
    }
    let put = ("x-amz-target", "DynamoDB_20120810.PutItem");
    let wrong: &[(&str, &[(&'static str, &str)])] = &[
        ("POST /", &[GET_ITEM]),
        ("POST /", &[("content-type", "application/json"), GET_ITEM]),
        ("POST /", &[JSON, FORM, GET_ITEM]),
        ("POST /", &[JSON, GET_ITEM, put]),
        ("POST /", &[JSON, GET_ITEM, GET_ITEM]),
        ("POST /", &[JSON, ("x-amz-target", "GetItem")]),
        ("POST /", &[JSON, ("x-amz-target", "DynamoDB_20120810.")]),
        ("POST /", &[JSON, ("x-amz-target", "DynamoDB_20120810.GetItem PutItem")]),
        ("POST /?Action=PutItem", &[JSON, GET_ITEM]),
        ("POST /x", &[JSON, GET_ITEM]),
        ("GET /", &[JSON, GET_ITEM]),
        ("POST /", &[JSON]),
    ];
    for (call, fields) in wrong {
        assert!(!Sent { call, fields, ..good.clone() }.is("dynamodb", "*"), "{call} {fields:?}");
    }
    let any = set("aws = { service = \"dynamodb\" }", "allow = [\"one\"]");
    let odd = Sent { call: "POST /x", ..good };
    assert_eq!(odd.judge(&any).verdict, Verdict::Allow, "without `action` all of a service is meant");
}

#[test]
fn host_and_signature_name_one_service_and_one_region() {
    let fields = [JSON, GET_ITEM];
    let good = Sent { fields: &fields, ..sent(DYNAMO, "eu-west-1/dynamodb", "POST /") };
    for (host, scope) in [
        (DYNAMO, "us-east-1/dynamodb"),
        (DYNAMO, "eu-west-1/sts"),
        (DYNAMO, ""),
        (STS, "eu-west-1/dynamodb"),
        ("dynamodb.amazonaws.com", "eu-west-1/dynamodb"),
        ("123456789012.s3-control.eu-west-1.amazonaws.com", "eu-west-1/dynamodb"),
    ] {
        assert!(!Sent { host, scope, ..good.clone() }.is("*", "*"), "{host} {scope}");
    }
    assert!(Sent { host: "dynamodb.amazonaws.com", scope: "us-east-1/dynamodb", ..good.clone() }.is("*", "*"));
    let second = authorization("eu-west-1/dynamodb");
    let twice = [JSON, GET_ITEM, ("authorization", &*second)];
    assert!(!Sent { fields: &twice, ..good.clone() }.is("*", "*"), "two signatures");
    let in_query = "POST /?X-Amz-Credential=LKIA0000%2F20260101%2Feu-west-1%2Fdynamodb%2Faws4_request";
    assert!(!Sent { call: in_query, ..good }.is("*", "*"), "one in the head, one in the query");
}

#[test]
fn actions_of_the_query_protocol_stand_once_in_query_or_body() {
    let post = |body| Sent { fields: &[FORM], body, ..sent(STS, "eu-west-1/sts", "POST /") };
    assert!(post(Some("Action=GetCallerIdentity&Version=2011-06-15")).is("sts", "GetCallerIdentity"));
    for body in [
        "",
        "Version=2011-06-15",
        "Action=AssumeRole",
        "Action=GetCallerIdentity&Action=AssumeRole",
        "Action=GetCallerIdentity&action=AssumeRole",
        "Action=GetCallerIdentity;Action=AssumeRole",
        "Action=GetCallerIdentity%",
        "Action=get-caller",
    ] {
        assert!(!post(Some(body)).is("sts", "GetCallerIdentity"), "{body}");
    }
    let both = Sent { call: "POST /?Action=GetCallerIdentity", ..post(Some("Action=GetCallerIdentity")) };
    assert!(!both.is("sts", "*"), "in both places");
    let field = [FORM, ("x-amz-target", "X.GetCallerIdentity")];
    assert!(!Sent { fields: &field, ..post(Some("Action=GetCallerIdentity")) }.is("sts", "*"));
    let plain = [("content-type", "text/plain")];
    assert!(!Sent { fields: &plain, ..post(Some("Action=GetCallerIdentity")) }.is("sts", "*"));

    let get = sent(STS, "eu-west-1/sts", "GET /?Action=GetCallerIdentity&Version=2011-06-15");
    assert!(get.is("sts", "GetCallerIdentity"));
    for call in [
        "GET /?Action=GetCallerIdentity&Action=AssumeRole",
        "GET /?action=GetCallerIdentity",
        "GET /",
        "PUT /?Action=X",
    ] {
        assert!(!Sent { call, ..get.clone() }.is("sts", "*"), "{call}");
    }
    let presigned = "GET /?Action=GetCallerIdentity&X-Amz-Algorithm=AWS4-HMAC-SHA256\
        &X-Amz-Credential=LKIA0000%2F20260101%2Feu-west-1%2Fsts%2Faws4_request&X-Amz-Signature=00";
    assert!(sent(STS, "", presigned).is("sts", "GetCallerIdentity"));

    let rule = set("aws = { service = \"sts\", action = \"GetCallerIdentity\" }", "allow = [\"one\"]");
    let peek = |sent: &Sent<'_>| sent.with(&[], |lease, request| rule.peek(lease, request));
    assert_eq!(peek(&post(None)), Some(Peek { most: Peek::MOST, until: Until::End }));
    assert_eq!(peek(&get), None);
    assert_eq!(peek(&sent(S3, "eu-west-1/s3", "PUT /acme/key")), None, "an upload streams");
    assert!(post(None).judge(&rule).reason.contains("only if its body fits"));
}

#[test]
fn s3_actions_follow_from_target_and_sub_resource() {
    let virtual_host = "acme.s3.eu-west-1.amazonaws.com";
    for (host, call, action) in [
        (S3, "GET /", "ListBuckets"),
        (S3, "GET /acme", "ListObjects"),
        (S3, "GET /acme/?list-type=2&prefix=a%2F", "ListObjectsV2"),
        (virtual_host, "GET /?list-type=2", "ListObjectsV2"),
        (S3, "GET /acme/a/b.txt", "GetObject"),
        (virtual_host, "GET /a/b.txt?x-id=GetObject", "GetObject"),
        (virtual_host, "GET /a?response-content-type=text%2Fplain", "GetObject"),
        ("www.acme.com.s3.amazonaws.com", "GET /a", "GetObject"),
        ("acme.s3-accelerate.dualstack.amazonaws.com", "PUT /a", "PutObject"),
        (S3, "HEAD /acme/a", "HeadObject"),
        (S3, "HEAD /acme", "HeadBucket"),
        (S3, "PUT /acme/a", "PutObject"),
        (S3, "PUT /acme/folder/", "PutObject"),
        (S3, "PUT /acme", "CreateBucket"),
        (S3, "DELETE /acme", "DeleteBucket"),
        (S3, "DELETE /acme/a", "DeleteObject"),
        (S3, "POST /acme?delete", "DeleteObjects"),
        (S3, "POST /acme?delete=", "DeleteObjects"),
        (S3, "POST /acme/a?uploads", "CreateMultipartUpload"),
        (S3, "PUT /acme/a?partNumber=1&uploadId=x", "UploadPart"),
        (S3, "PUT /acme/a?uploadId=x&partNumber=1&x-id=UploadPart", "UploadPart"),
        (S3, "POST /acme/a?uploadId=x", "CompleteMultipartUpload"),
        (S3, "DELETE /acme/a?uploadId=x", "AbortMultipartUpload"),
        (S3, "GET /acme/a?acl", "GetObjectAcl"),
        (S3, "PUT /acme/a?acl", "PutObjectAcl"),
        (S3, "GET /acme?policy", "GetBucketPolicy"),
        (S3, "PUT /acme?policy", "PutBucketPolicy"),
        (S3, "DELETE /acme?policy", "DeleteBucketPolicy"),
        (S3, "GET /acme?location", "GetBucketLocation"),
        (S3, "PUT /acme/a?tagging&versionId=1", "PutObjectTagging"),
    ] {
        let request = sent(host, "eu-west-1/s3", call);
        assert!(request.is("s3", action), "{call}: {action}");
        assert!(request.is("s3", "*") && !request.is("s3", "SelectObjectContent"), "{call}");
    }
    for call in [
        "GET /acme?unheard-of",
        "GET /acme/a?acl&tagging",
        "GET /acme/a?ACL",
        "GET /acme/a?x-id=DeleteObject",
        "PUT /acme/a?partNumber=1",
        "PUT /acme/a?x-amz-acl=public-read",
        "GET /acme?list-type=3",
        "GET /acme?list-type=2&list-type=2",
        "GET /acme/a?acl;tagging",
        "GET /acme/a?acl%zz",
        "POST /acme/a",
        "POST /acme",
        "DELETE /acme/a?acl",
        "GET /Acme/a",
        "GET /a.._b/a",
        "GET /ac%20me/a",
        "GET /ac%2Fme/a",
        "PATCH /acme/a",
    ] {
        assert!(!sent(S3, "eu-west-1/s3", call).is("s3", "*"), "{call}");
    }
    let target = [JSON, GET_ITEM];
    assert!(!Sent { fields: &target, ..sent(S3, "eu-west-1/s3", "GET /acme/a") }.is("s3", "*"));
}

#[test]
fn fields_and_versions_add_what_else_a_request_does() {
    let with = |call, fields| Sent { fields, ..sent(S3, "eu-west-1/s3", call) };
    let both = |request: &Sent<'_>, actions: &str| {
        let rule = format!("aws = {{ service = \"s3\", action = [{actions}] }}");
        request.judge(&set(&rule, "allow = [\"one\"]")).verdict == Verdict::Allow
    };
    let public: &[(&'static str, &str)] = &[("x-amz-acl", "public-read")];
    assert!(!with("PUT /acme/a", public).is("s3", "PutObject"), "it would be public");
    assert!(both(&with("PUT /acme/a", public), "\"PutObject\", \"PutObjectAcl\""));
    assert!(!with("PUT /acme/a", &[("x-amz-grant-read", "uri=x")]).is("s3", "PutObject"));
    assert!(!with("PUT /acme", &[("x-amz-acl", "public-read")]).is("s3", "CreateBucket"));
    assert!(!with("DELETE /acme/a?versionId=1", &[]).is("s3", "DeleteObject"));
    assert!(both(&with("DELETE /acme/a?versionId=1", &[]), "\"DeleteObject\", \"DeleteObjectVersion\""));
    assert!(with("PUT /acme/a", &[("x-amz-copy-source", "/other/b")]).is("s3", "CopyObject"));
    assert!(!with("PUT /acme/a", &[("x-amz-copy-source", "/other/b")]).is("s3", "PutObject"));
    let part = "PUT /acme/a?partNumber=1&uploadId=x";
    assert!(with(part, &[("x-amz-copy-source", "other/b")]).is("s3", "UploadPartCopy"));
    for source in ["/other", "arn:aws:s3:eu-west-1:1:accesspoint/x/object/y", "/Other/b", "/%zz/b", "//b"] {
        let fields = [("x-amz-copy-source", source)];
        assert!(!Sent { fields: &fields, ..sent(S3, "eu-west-1/s3", "PUT /acme/a") }.is("s3", "*"), "{source}");
    }
    assert!(!with("GET /acme/a", &[("x-amz-copy-source", "/other/b")]).is("s3", "*"));
    let twice = [("x-amz-copy-source", "/other/b"), ("x-amz-copy-source", "/acme/b")];
    assert!(!with("PUT /acme/a", &twice).is("s3", "*"));
}

#[test]
fn lambda_and_bedrock_actions_follow_from_method_and_path() {
    let (lambda, bedrock) = ("lambda.eu-west-1.amazonaws.com", "bedrock-runtime.eu-west-1.amazonaws.com");
    let model = "/model/arn%3Aaws%3Abedrock%3Aeu-west-1%3A1%3Ainference-profile%2Fx";
    for (host, service, call, action) in [
        (lambda, "lambda", "POST /2015-03-31/functions/f/invocations", "Invoke"),
        (lambda, "lambda", "POST /2015-03-31/functions/f/invocations?Qualifier=1", "Invoke"),
        (lambda, "lambda", "GET /2015-03-31/functions/f", "GetFunction"),
        (lambda, "lambda", "GET /2015-03-31/functions/", "ListFunctions"),
        (lambda, "lambda", "GET /2015-03-31/functions?MaxItems=5", "ListFunctions"),
        (lambda, "lambda", "PUT /2015-03-31/functions/f/code", "UpdateFunctionCode"),
        ("x1.lambda-url.eu-west-1.on.aws", "lambda", "PATCH /any/path", "InvokeFunctionUrl"),
        (bedrock, "bedrock", "POST /model/anthropic.claude-v2%3A1/invoke", "InvokeModel"),
        (bedrock, "bedrock", &format!("POST {model}/converse-stream"), "ConverseStream"),
        ("bedrock.eu-west-1.amazonaws.com", "bedrock", "GET /foundation-models", "ListFoundationModels"),
    ] {
        let scope = format!("eu-west-1/{service}");
        assert!(sent(host, &scope, call).is(service, action), "{call}");
    }
    for (host, service, call) in [
        (lambda, "lambda", "GET /2015-03-31/functions/f/"),
        (lambda, "lambda", "GET /2015-03-31/functions/f/code"),
        (lambda, "lambda", "GET /2015-03-31/functions/f?Action=ListFunctions"),
        (bedrock, "bedrock", "GET /model/x/invoke"),
        (bedrock, "bedrock", "POST /model/x/y/invoke"),
        ("bedrock.eu-west-1.amazonaws.com", "bedrock", "POST /model/x/invoke"),
        ("eks.eu-west-1.amazonaws.com", "eks", "GET /clusters"),
    ] {
        let scope = format!("eu-west-1/{service}");
        assert!(!sent(host, &scope, call).is(service, "*"), "{call}");
    }
}

#[test]
fn what_takes_away_takes_what_it_could_be() {
    let guarded = set("aws = { service = \"sts\" }", "allow = [\"all\"]\ndeny = [\"secrets\", \"destroy\"]");
    let secrets = "secretsmanager.eu-west-1.amazonaws.com";
    let named: &[(&'static str, &str)] = &[JSON, ("x-amz-target", "secretsmanager.GetSecretValue")];
    let lists: &[(&'static str, &str)] = &[JSON, ("x-amz-target", "secretsmanager.ListSecrets")];
    let lower: &[(&'static str, &str)] = &[JSON, ("x-amz-target", "secretsmanager.getsecretvalue")];
    for (host, scope, call, fields, expected) in [
        (secrets, "eu-west-1/secretsmanager", "POST /", named, Verdict::Deny),
        (secrets, "eu-west-1/secretsmanager", "POST /", lower, Verdict::Deny),
        (secrets, "eu-west-1/secretsmanager", "POST /", lists, Verdict::Allow),
        (secrets, "eu-west-1/secretsmanager", "POST /x", lists, Verdict::Deny),
        (secrets, "", "POST /", named, Verdict::Deny),
        (DYNAMO, "eu-west-1/secretsmanager", "POST /", named, Verdict::Deny),
        (DYNAMO, "eu-west-1/dynamodb", "POST /", named, Verdict::Allow),
        ("odd.thing.eu-west-1.amazonaws.com", "eu-west-1/dynamodb", "POST /", lists, Verdict::Deny),
        (S3, "eu-west-1/s3", "GET /acme/a", &[], Verdict::Allow),
        (S3, "eu-west-1/s3", "DELETE /acme/a", &[], Verdict::Deny),
        (S3, "eu-west-1/s3", "POST /acme?DELETE", &[], Verdict::Deny),
        (S3, "eu-west-1/s3", "GET /acme?unheard-of", &[], Verdict::Deny),
    ] {
        let judged = Sent { fields, ..sent(host, scope, call) }.judge(&guarded).verdict;
        assert_eq!(judged, expected, "{host} {scope} {call} {fields:?}");
    }
}
