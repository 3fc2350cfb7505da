//! Parameters whose values are no part of a rule's text, but follow from what a request is.

use std::sync::Arc;

use super::{Aws, Found, Seen, read::read_aws, s3};
use crate::policy::files::Table;
use crate::policy::rules::{Call, Reading};

/// A parameter that requests show by themselves, and the requests that it judges.
#[derive(Clone, Debug)]
pub(in crate::policy) struct Attribute {
    pub(in crate::policy) param: Arc<str>,
    from: From,
    /// `None` for all requests.
    applies: Option<Aws>,
}

#[derive(Clone, Copy, Debug)]
enum From {
    Bucket,
    Region,
}

const WORDS: [(&str, From); 2] = [("aws.region", From::Region), ("aws.s3.bucket", From::Bucket)];

impl Attribute {
    /// The values that a call shows, all of which count; empty when it shows none, or none surely.
    pub(in crate::policy) fn values(&self, call: &Call<'_>) -> Vec<String> {
        let Some(Seen { host, region }) = Seen::of(call) else { return Vec::new() };
        match self.from {
            From::Region => vec![region],
            From::Bucket if host.service == "s3" => s3::buckets(call, &host).unwrap_or_default(),
            From::Bucket => Vec::new(),
        }
    }

    /// Whether a limit on it has a say about a call; only where that is sure has it none.
    pub(in crate::policy) fn judges(&self, call: &Call<'_>) -> bool {
        self.applies.as_ref().is_none_or(|aws| aws.find(call, Reading::Loose) != Found::No)
    }
}

/// Reads `from` and `applies` of a `[param.NAME]`; faults stay with the source.
pub(in crate::policy) fn read_attribute(name: &str, param: &mut Table<'_>) -> Option<Attribute> {
    let from = param.choice("from", &WORDS);
    let has_from = param.value("from").is_some();
    let mut applies = None;
    if let Some(mut table) = param.table("applies") {
        applies = read_aws(&mut table);
        if applies.is_none() {
            table.fault("`applies` says for which requests", "write `applies = { aws = { service = \"s3\" } }`");
        }
        table.finish();
        if !has_from {
            let fix = "add `from = \"aws.region\"` or `from = \"aws.s3.bucket\"`, or leave `applies` out";
            param.fault("`applies` belongs to a parameter with `from`", fix);
        }
    }
    Some(Attribute { param: name.into(), from: from?, applies })
}
