//! `secrets demo`: the demonstration writes its transcript as it goes.

use crate::cli::{context::Context, printer::Outcome, report::Report};

pub(super) fn run(context: &mut Context) -> Result<Outcome, Report> {
    let demo = context.parts.demo;
    match demo(context.printer.stream()) {
        Ok(()) => Ok(Outcome::Silent),
        Err(failure) => Err(context.subject(None).failure(failure)),
    }
}
