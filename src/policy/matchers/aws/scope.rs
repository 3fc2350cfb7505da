//! The scope of a signature (Signature Version 4): for which service and region a request is signed.

use http::header::AUTHORIZATION;

use super::{super::pairs::values_of, host::is_region};
use crate::policy::{matchers::Content, rules::Reading};

/// What a request is signed for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Scope {
    pub(super) region: String,
    pub(super) service: String,
}

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

impl Scope {
    /// Out of the one signature of a request, in its head or its query.
    pub(super) fn read(content: &Content<'_>) -> Option<Self> {
        let named = |name| values_of(content.query.unwrap_or(""), name, Reading::Exact);
        let (in_query, algorithms) = (named("X-Amz-Credential")?, named("X-Amz-Algorithm")?);
        let mut fields = content.headers.get_all(AUTHORIZATION).iter();
        match (fields.next(), fields.next(), in_query.as_slice(), algorithms.as_slice()) {
            (Some(only), None, [], []) => Self::of_field(only.to_str().ok()?),
            (None, None, [only], [algorithm]) if algorithm == ALGORITHM => Self::of_credential(only),
            _ => None,
        }
    }

    fn of_field(text: &str) -> Option<Self> {
        let mut credential = None;
        let mut names = Vec::new();
        for part in text.strip_prefix(ALGORITHM)?.strip_prefix(' ')?.split(',') {
            let (name, value) = part.trim().split_once('=')?;
            names.push(name);
            credential = credential.or((name == "Credential").then_some(value));
        }
        names.sort_unstable();
        (names == ["Credential", "Signature", "SignedHeaders"]).then(|| Self::of_credential(credential?)).flatten()
    }

    /// `KEY/20260101/REGION/SERVICE/aws4_request`.
    fn of_credential(text: &str) -> Option<Self> {
        let parts: Vec<&str> = text.split('/').collect();
        let [key, date, region, service, "aws4_request"] = parts.as_slice() else { return None };
        let is_date = date.len() == 8 && date.bytes().all(|byte| byte.is_ascii_digit());
        let is_service = service.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
        let usable = !key.is_empty() && is_date && is_region(region) && !service.is_empty() && is_service;
        usable.then(|| Self { region: (*region).to_owned(), service: (*service).to_owned() })
    }
}

/// Every word that could name a service in any signature of a request; `None` for what could be any.
pub(super) fn words(content: &Content<'_>) -> Option<Vec<String>> {
    let fields = content.headers.get_all(AUTHORIZATION).iter();
    let fields = fields.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned());
    let query = values_of(content.query.unwrap_or(""), "X-Amz-Credential", Reading::Loose)?;
    let separators = ['/', ',', ' ', '='];
    Some(fields.chain(query).flat_map(|text| text.split(separators).map(str::to_owned).collect::<Vec<_>>()).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_is_read_whole_or_not_at_all() {
        let good =
            "AWS4-HMAC-SHA256 Credential=LKIA000/20260101/eu-west-1/s3/aws4_request, SignedHeaders=host, Signature=ab";
        let scope = Scope::of_field(good).unwrap();
        assert_eq!((&*scope.region, &*scope.service), ("eu-west-1", "s3"));
        assert!(Scope::of_field(&good.replace(", ", ",")).is_some());
        for (from, to) in [
            ("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"),
            ("aws4_request", "aws4"),
            ("20260101", "2026"),
            ("eu-west-1", "*"),
            ("LKIA000", ""),
            ("LKIA000", "a/b"),
            ("/s3/", "//"),
            ("/s3/", "/S3/"),
            (", Signature=ab", ""),
            ("SignedHeaders=host", "Credential=LKIA000/20260101/eu-west-1/iam/aws4_request"),
            ("Signature=ab", "Signature=ab, Credential=x"),
        ] {
            assert_eq!(Scope::of_field(&good.replacen(from, to, 1)), None, "{from} {to}");
        }
    }
}
