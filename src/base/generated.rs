//! Files that we write and others may edit: a line at their top tells ours that nobody has touched from the rest.
//!
//! The line is `# generated: KIND sha256:HEX` and stands below what the file says of itself; the digest covers everything
//! but the line. It keeps nobody out: it tells what may go without a loss from what is somebody's work.

use super::{hex, sha256};

const MARK: &str = "# generated: ";

/// What became of a file that we wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generated {
    /// What it is, such as `grant`.
    pub kind: String,
    /// Whether somebody has changed it since.
    pub is_edited: bool,
}

impl Generated {
    /// What a file says of itself; `None` for one that we did not write, or not under this line.
    pub fn read(content: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(content).ok()?;
        let (above, rest) = match text.strip_prefix(MARK) {
            Some(rest) => ("", rest),
            None => text.split_once(&format!("\n{MARK}"))?,
        };
        let (line, below) = rest.split_once('\n').unwrap_or((rest, ""));
        let (kind, digest) = line.trim_end().split_once(" sha256:")?;
        let is_edited = digest != digest_of(above, below);
        Some(Self { kind: kind.to_owned(), is_edited })
    }

    /// A file of this kind: what it says of itself, in comment lines without a final line feed, and the rest.
    pub fn write(kind: &str, about: &str, body: &str) -> String {
        format!("{about}\n{MARK}{kind} sha256:{}\n{body}", digest_of(about, body))
    }
}

fn digest_of(above: &str, below: &str) -> String {
    hex(&sha256(format!("{above}\n{below}").as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_known_and_what_was_edited_too() {
        let text = Generated::write("grant", "# About this.", "a = 1\n");
        let read = |text: &str| Generated::read(text.as_bytes());
        let of = |is_edited| Some(Generated { kind: "grant".to_owned(), is_edited });
        assert_eq!(read(&text), of(false));
        for edited in [
            text.replace("a = 1", "a = 2"),
            text.replace("About", "On"),
            text.replace('\n', "\r\n"),
            format!("{text}\n"),
            format!("# mine\n{text}"),
            text.replace("sha256:", "sha256:0"),
        ] {
            assert_eq!(read(&edited), of(true), "{edited}");
        }
        assert_eq!(read("# About this.\na = 1\n"), None);
        assert_eq!(Generated::read(b"\xff"), None);
        assert_eq!(read(&text.replace("# generated", "# made")), None);
    }
}
