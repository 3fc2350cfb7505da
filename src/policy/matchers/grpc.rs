//! Rules over gRPC calls: which methods of which services. The path says it all, so no body is read.

use http::header::CONTENT_TYPE;

use super::Found;
use crate::policy::{
    files::Table,
    rules::{Call, PathPattern, Reading, Shown},
};

/// The calls that a rule names.
#[derive(Clone, Debug)]
pub(in crate::policy) struct Grpc {
    /// `/package.Service/Method`, where the method may be a glob.
    pub(super) paths: Vec<PathPattern>,
}

impl Grpc {
    /// Reads `grpc = ["package.Service/Method"]`.
    pub(super) fn read(rule: &mut Table<'_>) -> Option<Self> {
        let texts = super::globs::texts(rule, "grpc")?;
        let mut paths = Vec::new();
        for text in texts {
            match pattern(text.value) {
                Some(path) => paths.push(path),
                None => rule.source().fault(
                    text.span,
                    format!("`{}` is no method of gRPC", text.value.escape_debug()),
                    "write it like `package.Service/Method` or `package.Service/*`",
                ),
            }
        }
        Some(Self { paths })
    }

    /// Whoever takes looks at the path alone: some servers answer the same path in other wordings (gRPC-Web, Connect).
    pub(super) fn find(&self, call: &Call<'_>, reading: Reading) -> Found {
        let fits = |path: &str| self.paths.iter().any(|own| own.matches(path, reading, &mut Shown::default()));
        let holds = match reading {
            Reading::Exact => call.method == "POST" && is_grpc(call) && fits(call.path),
            Reading::Loose => fits(call.loose) || fits(call.path),
        };
        if holds { Found::Yes } else { Found::No }
    }
}

fn pattern(text: &str) -> Option<PathPattern> {
    let is_word = |word: &str| !word.is_empty() && word.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
    let (service, method) = text.split_once('/')?;
    let is_method = is_word(&method.replace('*', "x")) && !method.contains("**");
    let usable = is_method && service.split('.').all(is_word);
    usable.then(|| PathPattern::parse(&format!("/{text}"), &[]).ok()).flatten()
}

/// `application/grpc`, alone or with what its messages are written in.
fn is_grpc(call: &Call<'_>) -> bool {
    let mut types = call.content.headers.get_all(CONTENT_TYPE).iter();
    let (Some(only), None) = (types.next(), types.next()) else { return false };
    let kind = only.to_str().unwrap_or("").split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    kind.strip_prefix("application/grpc").is_some_and(|rest| rest.is_empty() || rest.starts_with('+'))
}
