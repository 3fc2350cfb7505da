//! What a rule says of a request: path, patterns, and whether two rules can be about the same one.

mod glob;
mod meet;
mod path;
mod path_pattern;
mod rule;
mod when;
mod words;

pub(super) use glob::{Glob, GlobError, ValuePattern};
pub(super) use meet::{Example, Heads, Meeting, example, meet};
pub use path::{EncodedSlash, NormalPath};
pub(super) use path_pattern::{Param, PathPattern, Reading, Shown};
pub use rule::Protocol;
pub(super) use rule::{COMMON_METHODS, Call, Met, Rule, Seen};
pub(super) use when::{InjectRule, When, Written};
pub(super) use words::Words;
