//! A path with one hole for a credential, such as `/bot{}/**`.

use std::{fmt, ops::Range, str::FromStr};

/// Where in a path a credential stands. Compared with the client's own bytes, segment by segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathHole {
    text: Box<str>,
    segments: Vec<Segment>,
    /// Whether anything may follow.
    open: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Segment {
    Any,
    Hole { before: Box<str>, after: Box<str> },
    Literal(Box<str>),
}

/// Why a text is no path with a hole; the policy author's fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PathHoleError {
    /// No `{}`, or more than one.
    #[error("`{0}` must contain `{{}}` exactly once")]
    Hole(String),
    /// Not a path, or with characters that no path has.
    #[error("`{0}` is no path; it begins with `/` and has no query")]
    Path(String),
    /// A star that is neither a segment nor the end.
    #[error("`{0}`: `*` is a whole segment, and `**` the last one")]
    Star(String),
}

impl PathHole {
    /// The range that stands in the hole, if the path has this form.
    pub fn find(&self, path: &str) -> Option<Range<usize>> {
        let mut hole = None;
        let mut at = 1;
        let mut parts = path.strip_prefix('/')?.split('/');
        for segment in &self.segments {
            let part = parts.next()?;
            match segment {
                Segment::Any if !part.is_empty() => {}
                Segment::Literal(text) if **text == *part => {}
                Segment::Hole { before, after } => {
                    let inner =
                        part.strip_prefix(&**before)?.strip_suffix(&**after).filter(|inner| !inner.is_empty())?;
                    let start = at + before.len();
                    hole = Some(start..start + inner.len());
                }
                Segment::Any | Segment::Literal(_) => return None,
            }
            at += part.len() + 1;
        }
        hole.filter(|_| self.open || parts.next().is_none())
    }

    /// Whether the hole is a whole segment, where some values would be read as steps (`..`).
    pub fn is_whole_segment(&self) -> bool {
        self.segments
            .iter()
            .any(|segment| matches!(segment, Segment::Hole { before, after } if before.is_empty() && after.is_empty()))
    }
}

impl FromStr for PathHole {
    type Err = PathHoleError;

    fn from_str(text: &str) -> Result<Self, PathHoleError> {
        let usable = |b: u8| b.is_ascii_graphic() && !b"?#%\\\"<>^`|".contains(&b);
        let rest = text.strip_prefix('/').filter(|rest| rest.bytes().all(usable));
        let rest = rest.ok_or_else(|| PathHoleError::Path(text.escape_debug().to_string()))?;
        if text.matches("{}").count() != 1 || text.replace("{}", "").contains(['{', '}']) {
            return Err(PathHoleError::Hole(text.to_owned()));
        }
        let (rest, open) = rest.strip_suffix("/**").map_or((rest, false), |rest| (rest, true));
        let segment = |segment: &str| match segment.split_once("{}") {
            _ if segment == "*" => Ok(Segment::Any),
            _ if segment.contains('*') => Err(PathHoleError::Star(text.to_owned())),
            _ if matches!(segment, "" | "." | "..") => Err(PathHoleError::Path(text.to_owned())),
            Some((before, after)) => Ok(Segment::Hole { before: before.into(), after: after.into() }),
            None => Ok(Segment::Literal(segment.into())),
        };
        let segments = rest.split('/').map(segment).collect::<Result<_, _>>()?;
        Ok(Self { text: text.into(), segments, open })
    }
}

impl fmt::Display for PathHole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hole_is_found_in_paths_of_its_form() {
        for (form, path, found) in [
            ("/bot{}/**", "/bot12:ab/getMe", Some("12:ab")),
            ("/bot{}/**", "/bot12:ab", Some("12:ab")),
            ("/bot{}/**", "/bot/getMe", None),
            ("/bot{}/**", "/file/bot1/x", None),
            ("/file/bot{}/**", "/file/bot1/x/y", Some("1")),
            ("/v1/*/{}/x", "/v1/any/KEY/x", Some("KEY")),
            ("/v1/*/{}/x", "/v1//KEY/x", None),
            ("/v1/*/{}/x", "/v1/any/KEY/x/y", None),
            ("/{}", "/KEY", Some("KEY")),
            ("/a-{}-b", "/a-KEY-b", Some("KEY")),
            ("/a-{}-b", "/A-KEY-b", None),
        ] {
            let hole: PathHole = form.parse().unwrap();
            assert_eq!(hole.find(path).map(|range| &path[range]), found, "{form} {path}");
        }
    }

    #[test]
    fn a_form_has_one_hole_and_plain_segments() {
        for wrong in ["bot{}", "/bot", "/{}/{}", "/{x}", "/a*{}", "/**/{}", "/{}?a", "/a//{}", "/../{}", "/%41{}"] {
            assert!(wrong.parse::<PathHole>().is_err(), "{wrong}");
        }
    }
}
