//! S3's actions and buckets, by method, target, sub-resource and a few fields.
//!
//! Invariant: a query parameter that is not known here may be a sub-resource, so the request has no action.

use http::HeaderMap;
use percent_encoding::percent_decode_str;

use super::{
    super::pairs::pairs,
    host::{Host, is_bucket},
};
use crate::policy::rules::Call;

/// What a request is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Level {
    Bucket,
    Object,
    /// All buckets.
    Service,
}

/// Level, method, sub-resources in the order of the alphabet, action.
type Row = (Level, &'static str, &'static [&'static str], &'static str);

const ROWS: &[Row] = &[
    (Level::Service, "GET", &[], "ListBuckets"),
    (Level::Bucket, "HEAD", &[], "HeadBucket"),
    (Level::Bucket, "GET", &[], "ListObjects"),
    (Level::Bucket, "GET", &["list-type"], "ListObjectsV2"),
    (Level::Bucket, "GET", &["versions"], "ListObjectVersions"),
    (Level::Bucket, "GET", &["uploads"], "ListMultipartUploads"),
    (Level::Bucket, "PUT", &[], "CreateBucket"),
    (Level::Bucket, "DELETE", &[], "DeleteBucket"),
    (Level::Bucket, "POST", &["delete"], "DeleteObjects"),
    (Level::Object, "HEAD", &[], "HeadObject"),
    (Level::Object, "HEAD", &["partNumber"], "HeadObject"),
    (Level::Object, "GET", &[], "GetObject"),
    (Level::Object, "GET", &["partNumber"], "GetObject"),
    (Level::Object, "GET", &["attributes"], "GetObjectAttributes"),
    (Level::Object, "GET", &["uploadId"], "ListParts"),
    (Level::Object, "PUT", &[], "PutObject"),
    (Level::Object, "PUT", &["partNumber", "uploadId"], "UploadPart"),
    (Level::Object, "POST", &["uploads"], "CreateMultipartUpload"),
    (Level::Object, "POST", &["uploadId"], "CompleteMultipartUpload"),
    (Level::Object, "DELETE", &["uploadId"], "AbortMultipartUpload"),
    (Level::Object, "DELETE", &[], "DeleteObject"),
    (Level::Object, "POST", &["restore"], "RestoreObject"),
    (Level::Object, "POST", &["select", "select-type"], "SelectObjectContent"),
];

/// Level, sub-resource, the actions that read, write and delete it; an empty one is not there.
type Part = (Level, &'static str, [&'static str; 3]);

const PARTS: &[Part] = &[
    (Level::Object, "acl", ["GetObjectAcl", "PutObjectAcl", ""]),
    (Level::Object, "legal-hold", ["GetObjectLegalHold", "PutObjectLegalHold", ""]),
    (Level::Object, "retention", ["GetObjectRetention", "PutObjectRetention", ""]),
    (Level::Object, "tagging", ["GetObjectTagging", "PutObjectTagging", "DeleteObjectTagging"]),
    (Level::Bucket, "accelerate", ["GetBucketAccelerateConfiguration", "PutBucketAccelerateConfiguration", ""]),
    (Level::Bucket, "acl", ["GetBucketAcl", "PutBucketAcl", ""]),
    (Level::Bucket, "cors", ["GetBucketCors", "PutBucketCors", "DeleteBucketCors"]),
    (Level::Bucket, "encryption", ["GetBucketEncryption", "PutBucketEncryption", "DeleteBucketEncryption"]),
    (
        Level::Bucket,
        "lifecycle",
        ["GetBucketLifecycleConfiguration", "PutBucketLifecycleConfiguration", "DeleteBucketLifecycle"],
    ),
    (Level::Bucket, "location", ["GetBucketLocation", "", ""]),
    (Level::Bucket, "logging", ["GetBucketLogging", "PutBucketLogging", ""]),
    (Level::Bucket, "notification", ["GetBucketNotificationConfiguration", "PutBucketNotificationConfiguration", ""]),
    (Level::Bucket, "object-lock", ["GetObjectLockConfiguration", "PutObjectLockConfiguration", ""]),
    (
        Level::Bucket,
        "ownershipControls",
        ["GetBucketOwnershipControls", "PutBucketOwnershipControls", "DeleteBucketOwnershipControls"],
    ),
    (Level::Bucket, "policy", ["GetBucketPolicy", "PutBucketPolicy", "DeleteBucketPolicy"]),
    (Level::Bucket, "policyStatus", ["GetBucketPolicyStatus", "", ""]),
    (Level::Bucket, "publicAccessBlock", ["GetPublicAccessBlock", "PutPublicAccessBlock", "DeletePublicAccessBlock"]),
    (Level::Bucket, "replication", ["GetBucketReplication", "PutBucketReplication", "DeleteBucketReplication"]),
    (Level::Bucket, "requestPayment", ["GetBucketRequestPayment", "PutBucketRequestPayment", ""]),
    (Level::Bucket, "tagging", ["GetBucketTagging", "PutBucketTagging", "DeleteBucketTagging"]),
    (Level::Bucket, "versioning", ["GetBucketVersioning", "PutBucketVersioning", ""]),
    (Level::Bucket, "website", ["GetBucketWebsite", "PutBucketWebsite", "DeleteBucketWebsite"]),
];

/// Actions that fields and a version add to that of the target; see [`added`].
const ADDED: [&str; 5] =
    ["BypassGovernanceRetention", "CopyObject", "DeleteObjectVersion", "GetObjectVersion", "UploadPartCopy"];

/// Parameters that choose no action.
const HARMLESS: &[&str] = &[
    "continuation-token",
    "delimiter",
    "encoding-type",
    "fetch-owner",
    "key-marker",
    "marker",
    "max-buckets",
    "max-keys",
    "max-parts",
    "max-uploads",
    "part-number-marker",
    "prefix",
    "response-cache-control",
    "response-content-disposition",
    "response-content-encoding",
    "response-content-language",
    "response-content-type",
    "response-expires",
    "start-after",
    "upload-id-marker",
    "version-id-marker",
    "versionId",
    "X-Amz-Algorithm",
    "X-Amz-Content-Sha256",
    "X-Amz-Credential",
    "X-Amz-Date",
    "X-Amz-Expires",
    "X-Amz-Security-Token",
    "X-Amz-Signature",
    "X-Amz-SignedHeaders",
    "x-id",
];

/// Every action that is known.
pub(super) fn known() -> impl Iterator<Item = &'static str> {
    let parts = PARTS.iter().flat_map(|(.., actions)| actions).filter(|action| !action.is_empty());
    ROWS.iter().map(|(.., action)| *action).chain(parts.copied()).chain(ADDED)
}

/// Level and bucket; `None` for a target that is of no known form.
fn target<'c>(call: &Call<'c>, host: &Host<'c>) -> Option<(Level, Option<&'c str>)> {
    let path = call.path.strip_prefix('/')?;
    let of = |key: &str| if key.is_empty() { Level::Bucket } else { Level::Object };
    if let Some(bucket) = host.bucket {
        return Some((of(path), Some(bucket)));
    }
    if path.is_empty() {
        return Some((Level::Service, None));
    }
    let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
    is_bucket(bucket).then(|| (of(key), Some(bucket)))
}

/// The bucket that a request is about, and the one that it copies from.
pub(super) fn buckets(call: &Call<'_>, host: &Host<'_>) -> Option<Vec<String>> {
    let (_, bucket) = target(call, host)?;
    let source = Source::read(call.content.headers);
    let source = match source {
        Source::Bucket(source) => Some(source),
        Source::None => None,
        Source::Unclear => return None,
    };
    Some(bucket.map(str::to_owned).into_iter().chain(source).collect())
}

/// What `x-amz-copy-source` says.
enum Source {
    Bucket(String),
    /// Nothing is copied.
    None,
    Unclear,
}

impl Source {
    fn read(headers: &HeaderMap) -> Self {
        let mut fields = headers.get_all("x-amz-copy-source").iter();
        match (fields.next(), fields.next()) {
            (None, _) => Self::None,
            (Some(only), None) => only.to_str().ok().and_then(bucket_of).map_or(Self::Unclear, Self::Bucket),
            _ => Self::Unclear,
        }
    }
}

/// Of `[/]BUCKET/KEY`, percent-encoded.
fn bucket_of(source: &str) -> Option<String> {
    let text = percent_decode_str(source).decode_utf8().ok()?;
    let (bucket, key) = text.strip_prefix('/').unwrap_or(&text).split_once('/')?;
    (is_bucket(bucket) && !key.is_empty()).then(|| bucket.to_owned())
}

/// All actions that a request needs; `None` for what is not known.
pub(super) fn actions(call: &Call<'_>, host: &Host<'_>) -> Option<Vec<&'static str>> {
    let (level, _) = target(call, host)?;
    let query = pairs(call.content.query.unwrap_or(""))?;
    let mut parts: Vec<&str> = query.iter().map(|(name, _)| &**name).filter(|name| !HARMLESS.contains(name)).collect();
    parts.sort_unstable();
    let values = |wanted: &'static str| query.iter().filter(move |(name, _)| name == wanted).map(|(_, value)| &**value);
    if values("list-type").any(|value| value != "2") || values("versionId").count() > 1 {
        return None;
    }
    let mut action = action(level, call.method, &parts)?;
    action = match (action, Source::read(call.content.headers)) {
        (_, Source::None) => action,
        ("PutObject", Source::Bucket(_)) => "CopyObject",
        ("UploadPart", Source::Bucket(_)) => "UploadPartCopy",
        _ => return None,
    };
    if !values("x-id").all(|said| said == action) {
        return None;
    }
    let has_version = values("versionId").next().is_some();
    Some(std::iter::once(action).chain(added(level, action, has_version, call.content.headers)).collect())
}

fn action(level: Level, method: &str, parts: &[&str]) -> Option<&'static str> {
    let mut rows = ROWS.iter();
    if let Some((.., action)) = rows.find(|(at, on, with, _)| *at == level && *on == method && *with == parts) {
        return Some(action);
    }
    let [part] = parts else { return None };
    let (.., [read, write, delete]) = PARTS.iter().find(|(at, name, _)| *at == level && name == part)?;
    let action = match method {
        "GET" => read,
        "PUT" => write,
        "DELETE" => delete,
        _ => "",
    };
    (!action.is_empty()).then_some(action)
}

/// What else a request does, by its fields and its version.
fn added(
    level: Level,
    action: &'static str,
    has_version: bool,
    headers: &HeaderMap,
) -> impl Iterator<Item = &'static str> {
    let has = |name: &str| headers.keys().any(|key| key.as_str().starts_with(name));
    let acl = if level == Level::Object { "PutObjectAcl" } else { "PutBucketAcl" };
    let all = [
        (has("x-amz-acl") || has("x-amz-grant-"), acl),
        (headers.contains_key("x-amz-tagging"), "PutObjectTagging"),
        (headers.contains_key("x-amz-object-lock-legal-hold"), "PutObjectLegalHold"),
        (has("x-amz-object-lock-mode") || has("x-amz-object-lock-retain-until-date"), "PutObjectRetention"),
        (headers.contains_key("x-amz-bypass-governance-retention"), "BypassGovernanceRetention"),
        (has_version && action == "GetObject", "GetObjectVersion"),
        (has_version && action == "DeleteObject", "DeleteObjectVersion"),
    ];
    all.into_iter().filter(move |(holds, more)| *holds && *more != action).map(|(_, more)| more)
}
