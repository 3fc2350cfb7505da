//! Hidden input from the terminal; a value typed here is in no history, no argument list and no scroll-back.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _, Write as _},
    path::Path,
};

use rustix::termios::{LocalModes, OptionalActions, SpecialCodeIndex, Termios, tcgetattr, tcsetattr};
use zeroize::Zeroize as _;

use super::report::Report;
use crate::base::SecretBytes;

/// The longest line that can be typed; what is longer comes from a file.
const MAX_TYPED: usize = 64 * 1024;

/// Asks for a secret value; `retry` is the command that asks again.
pub(super) fn hidden(question: &str, retry: &str) -> Result<SecretBytes, Report> {
    let failed = |error: &io::Error| Report::io("read from", Path::new("/dev/tty"), error);
    let mut terminal = open_terminal().map_err(|error| failed(&error))?;
    let quiet = Quiet::new(&terminal).map_err(|error| failed(&error))?;
    let _ = write!(terminal, "{question}: "); // without a question there is still an answer
    let typed = read_line(&mut terminal);
    drop(quiet);
    let _ = writeln!(terminal);
    match typed.map_err(|error| failed(&error))? {
        Typed::Cancelled => Err(Report::misuse("nothing was entered", retry)),
        Typed::Line(value) => Ok(value),
        Typed::MoreLines => {
            let message =
                "a value of several lines cannot be typed or pasted here; pipe it in, or paste it and type Ctrl-D";
            Err(Report::misuse(message, piped(retry)))
        }
        Typed::TooLong => Err(Report::misuse("the value is too long to be typed; pipe it in", piped(retry))),
    }
}

/// The same command with all that is typed until Ctrl-D, or pasted, as its value.
fn piped(command: &str) -> String {
    format!("cat | {command}")
}

/// Asks a question with yes or no; anything but `y` and `yes` is no.
pub(super) fn confirmed(question: &str) -> io::Result<bool> {
    let mut terminal = open_terminal()?;
    write!(terminal, "{question} [y/N] ")?;
    let mut answer = [0; 64];
    let count = terminal.read(&mut answer)?;
    let answer = String::from_utf8_lossy(answer.get(..count).unwrap_or(&[])).trim().to_lowercase();
    Ok(matches!(answer.as_str(), "y" | "yes"))
}

fn open_terminal() -> io::Result<File> {
    OpenOptions::new().read(true).write(true).open("/dev/tty")
}

/// A terminal without echo, line discipline and signals; as it was again on drop. Signals are read as characters, so
/// that Ctrl-C cannot end the program while the echo is off.
struct Quiet {
    terminal: File,
    before: Termios,
}

impl Quiet {
    fn new(terminal: &File) -> io::Result<Self> {
        let terminal = terminal.try_clone()?;
        let before = tcgetattr(&terminal)?;
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG);
        quiet.special_codes[SpecialCodeIndex::VMIN] = 1;
        quiet.special_codes[SpecialCodeIndex::VTIME] = 0;
        tcsetattr(&terminal, OptionalActions::Flush, &quiet)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Quiet {
    fn drop(&mut self) {
        // Flush: the rest of a pasted key must not reach the shell as commands.
        let _ = tcsetattr(&self.terminal, OptionalActions::Flush, &self.before);
    }
}

#[derive(Debug, PartialEq)]
enum Typed {
    Cancelled,
    Line(SecretBytes),
    MoreLines,
    TooLong,
}

/// One line with the editing that people expect: backspace, Ctrl-U, Ctrl-C, Ctrl-D.
fn read_line(terminal: &mut impl io::Read) -> io::Result<Typed> {
    let mut line = Vec::with_capacity(MAX_TYPED); // never grows, so that no copy stays behind
    let mut chunk = [0; 4_096];
    let typed = loop {
        let count = terminal.read(&mut chunk)?;
        let read = chunk.get(..count).unwrap_or(&[]);
        if let Some(typed) = take(&mut line, read) {
            break typed;
        }
    };
    chunk.zeroize();
    line.zeroize();
    Ok(typed)
}

/// Adds what was read; the result when it ends the line.
fn take(line: &mut Vec<u8>, read: &[u8]) -> Option<Typed> {
    if read.is_empty() {
        return Some(Typed::Cancelled);
    }
    for (at, &byte) in read.iter().enumerate() {
        match byte {
            b'\r' | b'\n' => {
                let more = read.get(at + 1..).unwrap_or(&[]).iter().any(|rest| !rest.is_ascii_whitespace());
                return Some(if more { Typed::MoreLines } else { Typed::Line(SecretBytes::new(line.clone())) });
            }
            3 => return Some(Typed::Cancelled),
            4 if line.is_empty() => return Some(Typed::Cancelled),
            8 | 0x7f => {
                // One character, not one byte of it.
                while line.pop().is_some_and(|last| (0x80..0xc0).contains(&last)) {}
            }
            0x15 => line.clear(),
            _ if line.len() == MAX_TYPED => return Some(Typed::TooLong),
            other => line.push(other),
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn typed(keys: &[u8]) -> Typed {
        read_line(&mut &keys[..]).unwrap()
    }

    fn line(text: &str) -> Typed {
        Typed::Line(SecretBytes::new(text.as_bytes().to_vec()))
    }

    #[test]
    fn a_line_is_edited_as_people_expect() {
        assert_eq!(typed(b"sk-1\r"), line("sk-1"));
        assert_eq!(typed("ab\u{e9}\u{7f}\u{7f}c\n".as_bytes()), line("ac"));
        assert_eq!(typed(b"oops\x15sk-1\n"), line("sk-1"));
        assert_eq!(typed(b"\x7f\n"), line(""));
        assert_eq!(typed(b"sk\x03"), Typed::Cancelled);
        assert_eq!(typed(b"\x04"), Typed::Cancelled);
        assert_eq!(typed(b""), Typed::Cancelled);
    }

    #[test]
    fn several_lines_at_once_are_a_paste_and_refused() {
        assert_eq!(typed(b"-----BEGIN KEY-----\nabc\n"), Typed::MoreLines);
        assert_eq!(typed(b"sk-1\n\n"), line("sk-1"));
        assert_eq!(typed(&vec![b'x'; MAX_TYPED + 1]), Typed::TooLong);
    }
}
