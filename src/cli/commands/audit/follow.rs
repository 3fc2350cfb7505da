//! Rows as they end, until nobody reads any more.

use std::{io, time::Duration};

use super::show;
use crate::{
    audit::{Filter, Follower, Line, Recent, Row, RowState, Rows},
    cli::{context::Context, printer::Outcome, report::Report},
};

/// Between two looks at a log that is followed.
const PAUSE: Duration = Duration::from_millis(100);

/// Shows the last rows that are over, and then each one as it ends. Ends when its reader goes away.
pub(super) async fn run(
    context: &mut Context,
    mut follower: Follower,
    filter: &Filter,
    recent: Recent,
) -> Result<Outcome, Report> {
    let seen = recent.newest;
    let mut joiner = Rows::after(&recent.open);
    let mut rows: Vec<Row> = recent.rows.into_iter().filter(|row| row.state == RowState::Done).collect();
    loop {
        for row in &rows {
            if show(context, row).is_err() {
                return Ok(Outcome::Silent);
            }
        }
        tokio::time::sleep(PAUSE).await;
        let new = follower.poll()?;
        let is_new = |line: &&Line| line.record().is_none_or(|record| record.seq.is_none() || record.seq > seen);
        let ended = new.iter().filter(is_new).filter_map(|line| joiner.push(line));
        rows = ended.filter(|row| filter.wants_row(row)).collect();
    }
}

fn show(context: &mut Context, row: &Row) -> io::Result<()> {
    let line = show::line(row, context.printer.form());
    let stream = context.printer.stream();
    writeln!(stream, "{line}").and_then(|()| stream.flush())
}
