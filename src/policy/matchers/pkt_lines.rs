//! Git's pkt-lines (gitprotocol-common(5)), and the list of commands that a push begins with (gitprotocol-pack(5)).
//!
//! Invariant: nothing after the flush packet is looked at, so that a pack of any length can stream.

use std::fmt::Write as _;

/// The next pkt-line of a text.
enum Line<'b> {
    Data(&'b [u8]),
    Flush,
    /// It does not end in this text.
    Open,
    /// It is none, or one of the kinds that a list of commands does not have.
    Wrong,
}

/// One line from here, and where the next begins.
fn line_at(text: &[u8], at: usize) -> (Line<'_>, usize) {
    let Some(digits) = text.get(at..at + 4) else { return (Line::Open, at) };
    let length = std::str::from_utf8(digits).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_hexdigit()));
    match length.and_then(|digits| usize::from_str_radix(digits, 16).ok()) {
        Some(0) => (Line::Flush, at + 4),
        Some(length) if length >= 4 => match text.get(at + 4..at + length) {
            Some(data) => (Line::Data(data), at + length),
            None => (Line::Open, at),
        },
        _ => (Line::Wrong, at),
    }
}

/// Finds the end of the first list of pkt-lines in a text that grows; what was looked at is not looked at again.
#[derive(Debug, Default)]
pub struct FlushFinder {
    at: usize,
}

impl FlushFinder {
    /// Whether what rules look at is all there: the flush packet, or something that is no pkt-line. `front` must begin
    /// with what was given before.
    pub fn is_there(&mut self, front: &[u8]) -> bool {
        loop {
            match line_at(front, self.at) {
                (Line::Data(_), next) => self.at = next,
                (Line::Flush | Line::Wrong, _) => return true,
                (Line::Open, _) => return false,
            }
        }
    }
}

/// What a push would change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Push {
    commands: Vec<Command>,
    capabilities: Box<str>,
}

/// One change of one ref.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// The full name, such as `refs/heads/main`.
    pub reference: Box<str>,
    /// Whether the ref would be gone.
    pub is_delete: bool,
}

impl Push {
    /// Of these commands; `None` if git would take one of the refs for none.
    pub(in crate::policy) fn of(commands: Vec<Command>) -> Option<Self> {
        let usable = !commands.is_empty() && commands.iter().all(|command| is_reference(&command.reference));
        usable.then(|| Self { commands, capabilities: "report-status".into() })
    }

    /// The front of a body that says this, with ids that stand for any.
    pub(in crate::policy) fn body(&self) -> String {
        let (none, some) = ("0".repeat(40), "1".repeat(40));
        let mut body = String::new();
        for (at, command) in self.commands.iter().enumerate() {
            let (old, new) = if command.is_delete { (&some, &none) } else { (&none, &some) };
            let capabilities = if at == 0 { format!("\0{}", self.capabilities) } else { String::new() };
            let line = format!("{old} {new} {}{capabilities}", command.reference);
            let _ = write!(body, "{:04x}{line}", line.len() + 4); // a `String` takes whatever is written
        }
        body + "0000"
    }

    /// Reads the front of the body of a `git-receive-pack` request. `None` for what two servers could read in two ways,
    /// for a list that does not end, and for a signed push, whose commands stand elsewhere.
    pub(super) fn read(front: &[u8]) -> Option<Self> {
        let mut push = Self { commands: Vec::new(), capabilities: Box::default() };
        let mut at = 0;
        loop {
            let (line, next) = line_at(front, at);
            at = next;
            match line {
                Line::Flush => return Some(push),
                Line::Open | Line::Wrong => return None,
                Line::Data(data) => push.add(data.strip_suffix(b"\n").unwrap_or(data))?,
            }
        }
    }

    fn add(&mut self, line: &[u8]) -> Option<()> {
        let text = std::str::from_utf8(line).ok()?;
        if let Some(shallow) = text.strip_prefix("shallow ").filter(|_| self.commands.is_empty()) {
            return is_id(shallow).then_some(());
        }
        let (command, capabilities) = match text.split_once('\0') {
            Some((command, capabilities)) if self.commands.is_empty() => (command, Some(capabilities)),
            _ => (text, None),
        };
        let mut words = command.splitn(3, ' ');
        let (old, new, reference) = (words.next()?, words.next()?, words.next()?);
        if !is_id(old) || !is_id(new) || old.len() != new.len() || !is_reference(reference) {
            return None;
        }
        self.commands.push(Command { reference: reference.into(), is_delete: new.bytes().all(|byte| byte == b'0') });
        self.capabilities = capabilities.map_or_else(|| std::mem::take(&mut self.capabilities), Into::into);
        Some(())
    }

    /// The changes; none in the request that only asks whether a push could begin.
    pub fn commands(&self) -> &[Command] {
        &self.commands
    }

    /// Whether the client said that it understands this, such as `side-band-64k`.
    pub fn has(&self, capability: &str) -> bool {
        self.capabilities.split([' ', '\n']).any(|word| word == capability)
    }
}

/// SHA-1 or SHA-256 in hex.
fn is_id(text: &str) -> bool {
    matches!(text.len(), 40 | 64) && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// What git-check-ref-format(1) takes, below `refs/`.
fn is_reference(name: &str) -> bool {
    let part = |part: &str| !part.is_empty() && !part.starts_with('.') && part.strip_suffix(".lock").is_none();
    name.starts_with("refs/")
        && !name.contains(|c: char| c.is_control() || " ~^:?*[\\".contains(c))
        && !name.contains("..")
        && !name.contains("@{")
        && !name.ends_with('.')
        && name.split('/').all(part)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &[u8]) -> Option<Vec<(String, bool)>> {
        let push = Push::read(body)?;
        Some(push.commands.into_iter().map(|command| (command.reference.into(), command.is_delete)).collect())
    }

    const ZERO: &str = "0000000000000000000000000000000000000000";
    const ID: &str = "a4e229a511e52b0e2121e18f7540382dd4f71053";

    fn line(text: &str) -> String {
        format!("{:04x}{text}", text.len() + 4)
    }

    #[test]
    fn commands_are_read_up_to_the_flush_and_no_further() {
        let make = |reference: &str| (reference.to_owned(), false);
        let body = line(&format!("{ZERO} {ID} refs/heads/main\0 report-status side-band-64k agent=git/2.39.5"))
            + &line(&format!("{ID} {ZERO} refs/heads/old\n"))
            + "0000PACK\u{1}zzzz";
        assert_eq!(read(body.as_bytes()).unwrap(), [make("refs/heads/main"), ("refs/heads/old".to_owned(), true)]);
        let push = Push::read(body.as_bytes()).unwrap();
        assert!(push.has("side-band-64k") && !push.has("side-band") && !push.has("push-options"));
        assert_eq!(read(b"0000").unwrap(), [], "the probe");
        let shallow = line(&format!("shallow {ID}\n")) + &line(&format!("{ZERO} {ID} refs/tags/v1")) + "0000";
        assert_eq!(read(shallow.as_bytes()).unwrap(), [make("refs/tags/v1")]);
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_not_read() {
        let long = "0".repeat(64);
        let good = line(&format!("{ZERO} {ID} refs/heads/a"));
        for lines in [
            String::new(),
            good.clone(), // without its flush
            good.clone() + "0001",
            good.clone() + "0003",
            good.clone() + "00zz0000",
            good.clone() + "0004" + "0000", // a line of nothing
            good.clone() + &line(&format!("{ZERO} {ID} refs/heads/b\0 atomic")) + "0000", // not in the first line
            good + &line(&format!("shallow {ID}")) + "0000",
            line("push-cert\0 atomic") + "0000",
            line(&format!("{ZERO} {ID} HEAD")) + "0000",
            line(&format!("{ZERO}  {ID} refs/heads/a")) + "0000",
            line(&format!("{ZERO} {long} refs/heads/a")) + "0000",
            line(&format!("{ZERO} {ID}\trefs/heads/a")) + "0000",
            line(&format!("{ZERO} {ID} refs/heads/a\n\n")) + "0000",
            line(&format!("{ZERO} {ID} refs/heads/a b")) + "0000",
            line(&format!("{ZERO} {ID} refs/heads//a")) + "0000",
            line(&format!("{ZERO} {ID} refs/heads/../a")) + "0000",
            line(&format!("{ZERO} {ID} refs/heads/.a")) + "0000",
            line(&format!("{ZERO} {ID} refs/heads/a/")) + "0000",
        ] {
            assert_eq!(read(lines.as_bytes()), None, "{lines:?}");
        }
        assert_eq!(read(b"0035\xff0000"), None);
    }

    #[test]
    fn the_end_is_found_wherever_the_text_is_cut() {
        let front = line(&format!("{ZERO} {ID} refs/heads/main\0 atomic")) + "0000";
        let body = format!("{front}PACK");
        for step in 1..=body.len() {
            let mut finder = FlushFinder::default();
            let found = (0..=body.len()).step_by(step).find(|end| finder.is_there(&body.as_bytes()[..*end]));
            assert!(found.is_none_or(|end| end >= front.len() && end < front.len() + step), "{step} {found:?}");
        }
        assert!(FlushFinder::default().is_there(b"PACK"), "no pkt-line: there is nothing to wait for");
        assert!(!FlushFinder::default().is_there(b"00af"));
    }
}
