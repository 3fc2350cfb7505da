//! The newest rows of a log, read from its end: a long log costs nothing.

use std::{collections::HashMap, path::Path};

use super::{Action, Error, Filter, Line, Record, Row, action::Phase, files::Files};

/// The newest rows and what was met on the way to them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recent {
    /// One row per request, in the order of beginning.
    pub rows: Vec<Row>,
    /// Rows that are open whether or not they were wanted, oldest first; those that follow the log join them to ends.
    pub open: Vec<Row>,
    /// How many lines on the way were no record.
    pub damaged: u64,
    /// The number of the newest chained line.
    pub newest: Option<u64>,
}

/// The last `count` rows, by their beginning, that a filter wants. Reads back no further than to the beginning of the
/// first of them; with a filter's `since`, to a day before that time, by which clocks may have been wrong.
pub fn recent(path: &Path, filter: &Filter, count: usize) -> Result<Recent, Error> {
    let mut backwards = Files::find(path)?.backwards();
    let mut join = BackwardJoin { filter, place: 0, ends: HashMap::new(), rows: Vec::new(), recent: Recent::default() };
    while join.rows.len() < count {
        let Some(line) = backwards.next()? else { break };
        if join.push(&line.parse()) == Older::Unwanted {
            break;
        }
    }
    Ok(join.finish(count))
}

/// What reading on backwards is good for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Older {
    /// Nothing older can be wanted.
    Unwanted,
    /// There may be more.
    Wanted,
}

/// Joins ends to beginnings, end first.
struct BackwardJoin<'a> {
    filter: &'a Filter,
    /// Counts the records from the end.
    place: u64,
    /// Ends whose beginning has not come yet.
    ends: HashMap<String, (u64, Record)>,
    rows: Vec<(u64, Row)>,
    recent: Recent,
}

impl BackwardJoin<'_> {
    fn push(&mut self, line: &Line) -> Older {
        let Some(record) = line.record() else {
            self.recent.damaged += 1;
            return Older::Wanted;
        };
        self.recent.newest = self.recent.newest.max(record.seq);
        if self.ends.is_empty() && self.filter.is_long_before(record.timestamp) {
            return Older::Unwanted;
        }
        self.place += 1;
        match (&record.request_id, Action::find(&record.action)) {
            // A refusal comes instead of a beginning.
            (_, Some(Action::RequestRefused | Action::TunnelRefused)) => self.row(Row::alone(record)),
            (Some(id), Some(action)) if action.phase() == Phase::Ends => {
                self.ends.insert(id.clone(), (self.place, record.clone()));
            }
            (Some(id), Some(action)) if action.phase() == Phase::Begins => {
                let begun = Row::begun(record);
                let Some((_, end)) = self.ends.remove(id) else {
                    self.recent.open.push(begun.clone());
                    self.row(begun);
                    return Older::Wanted;
                };
                self.row(Row::joined(begun, &end));
            }
            _ => self.row(Row::alone(record)),
        }
        Older::Wanted
    }

    fn row(&mut self, row: Row) {
        if self.filter.wants_row(&row) {
            self.rows.push((self.place, row));
        }
    }

    fn finish(mut self, count: usize) -> Recent {
        if self.rows.len() < count {
            // The whole log was read: these beginnings are in no file.
            for (place, end) in std::mem::take(&mut self.ends).into_values() {
                let row = Row::alone(&end);
                if self.filter.wants_row(&row) {
                    self.rows.push((place, row));
                }
            }
            self.rows.sort_unstable_by_key(|(place, _)| *place);
            self.rows.truncate(count);
        }
        self.recent.rows = self.rows.into_iter().rev().map(|(_, row)| row).collect();
        self.recent.open.reverse();
        self.recent
    }
}
