//! Where a secret value comes from: a file, standard input, the terminal; never the argument list by advice.
//!
//! Every byte counts, and exactly one line end at the very end does not: `echo v |` and editors add it.

use std::{
    fs::File,
    io::{self, IsTerminal as _, Read},
    path::{Path, PathBuf},
};

use clap::Args;

use super::{context::Context, exit::ExitStatus, prompt, report::Report};
use crate::base::SecretBytes;

/// The flags that say where the value comes from; without any it is piped in, or asked for.
#[derive(Args, Clone, Debug, Default)]
pub(super) struct ValueInput {
    /// Read the value from this file (all of it, except one line end at its end)
    #[arg(long, value_name = "FILE", conflicts_with = "value")]
    value_file: Option<PathBuf>,
    /// Keep a line end at the end of the value
    #[arg(long)]
    exact: bool,
    /// The value itself; visible to other processes and in the shell's history
    #[arg(long, value_name = "VALUE", allow_hyphen_values = true, hide = true)]
    value: Option<String>,
}

/// What a missing value means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Missing {
    /// There is something else to change; nobody is asked.
    Allowed,
    /// There must be a value.
    Refused,
}

impl ValueInput {
    /// Whether somebody is asked, or standard input is waited for: not before it is known that the value can be used.
    pub(super) const fn is_waited_for(&self) -> bool {
        self.value.is_none() && self.value_file.is_none()
    }

    /// The value, or `None` when it may be missing and is; `retry` is the command that asks for it.
    pub(super) fn read(
        &self,
        context: &mut Context,
        name: &str,
        missing: Missing,
        retry: &str,
    ) -> Result<Option<SecretBytes>, Report> {
        let value = if let Some(value) = &self.value {
            context.printer.say("`--value` shows the value to other processes and in the shell's history; pipe it in");
            SecretBytes::new(value.clone().into_bytes())
        } else if let Some(path) = &self.value_file {
            let file = File::open(path).map_err(|error| Report::io("open", path, &error))?;
            self.take_from(file, path, retry)?
        } else if !io::stdin().is_terminal() {
            self.take_from(io::stdin().lock(), Path::new("/dev/stdin"), retry)?
        } else if missing == Missing::Allowed {
            return Ok(None);
        } else {
            prompt::hidden(&format!("Value of {name}"), retry)?
        };
        match (value.is_empty(), missing) {
            (false, _) => Ok(Some(value)),
            (true, Missing::Allowed) => Ok(None),
            (true, Missing::Refused) => {
                Err(Report::new(ExitStatus::Generic, format!("the value of `{name}` is empty"), retry))
            }
        }
    }

    fn take_from(&self, reader: impl Read, path: &Path, retry: &str) -> Result<SecretBytes, Report> {
        let most = SecretBytes::MAX_LEN + 1; // a value of the largest size and its line end
        let mut bytes = Vec::with_capacity(most + 1); // never grows, so that no copy stays behind
        let read = reader.take(most as u64 + 1).read_to_end(&mut bytes);
        read.map_err(|error| Report::io("read", path, &error))?;
        if !self.exact && bytes.last() == Some(&b'\n') {
            bytes.pop();
        }
        let value = SecretBytes::new(bytes);
        if value.len() > SecretBytes::MAX_LEN {
            let message = format!("a value has at most {} bytes", SecretBytes::MAX_LEN);
            return Err(Report::misuse(message, retry));
        }
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(input: &[u8], exact: bool) -> Result<SecretBytes, Report> {
        let flags = ValueInput { exact, ..ValueInput::default() };
        flags.take_from(input, Path::new("x"), "retry")
    }

    #[test]
    fn exactly_one_line_end_is_cut() {
        assert_eq!(read(b"v\n", false).unwrap().expose(), b"v");
        assert_eq!(read(b" v\r\n\n", false).unwrap().expose(), b" v\r\n");
        assert_eq!(read(b"-----BEGIN\nabc\n", false).unwrap().expose(), b"-----BEGIN\nabc");
        assert_eq!(read(b"\xff\x00\n", true).unwrap().expose(), b"\xff\x00\n");
    }

    #[test]
    fn a_value_is_bounded() {
        let largest = [vec![b'x'; SecretBytes::MAX_LEN], b"\n".to_vec()].concat();
        assert_eq!(read(&largest, false).unwrap().len(), SecretBytes::MAX_LEN);
        assert_eq!(read(&largest, true).unwrap_err().status, ExitStatus::Misuse);
        assert_eq!(read(&vec![b'x'; SecretBytes::MAX_LEN * 2], false).unwrap_err().status, ExitStatus::Misuse);
    }
}
