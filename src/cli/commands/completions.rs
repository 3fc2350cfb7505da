//! `secrets completions`: a completion script for a shell.

use clap::{Args, CommandFactory};
use clap_complete::Shell;

use crate::cli::printer::Outcome;

#[derive(Args, Debug)]
pub(in crate::cli) struct Arguments {
    /// Which shell
    shell: Shell,
}

pub(super) fn run<C: CommandFactory>(arguments: &Arguments) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut C::command(), "secrets", &mut script);
    Outcome::Text(String::from_utf8_lossy(&script).into_owned())
}
