//! One row per request for the table: *begun* and *ended* joined, everything else as it is.

use std::{collections::HashMap, time::Duration};

use super::{Action, Line, Record, action::Phase};
use crate::base::Timestamp;

/// A request, a tunnel, or any other event, as one row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// When it began; reckoned from its end and duration when only the end was read.
    pub began: Timestamp,
    /// Its newest record, with whatever only the older one said.
    pub record: Record,
    /// Whether it is over.
    pub state: RowState,
    /// The action of its beginning, where that is a record of its own.
    pub begun_as: Option<String>,
}

impl Row {
    /// Of a beginning whose end has not come yet.
    pub(super) fn begun(record: &Record) -> Self {
        let begun_as = Some(record.action.clone());
        Self { began: record.timestamp, record: record.clone(), state: RowState::Open, begun_as }
    }

    /// Of a beginning and its end.
    pub(super) fn joined(begun: Self, end: &Record) -> Self {
        let record = joined(end, begun.record);
        Self { record, state: RowState::Done, ..begun }
    }

    /// Of a record that stands for itself, or whose beginning nobody has.
    pub(super) fn alone(record: &Record) -> Self {
        let took = Duration::from_micros(record.duration_us.unwrap_or(0));
        let millis = i64::try_from(took.as_millis()).unwrap_or(i64::MAX);
        let began = Timestamp::from_millis(record.timestamp.as_millis().saturating_sub(millis));
        Self { began, record: record.clone(), state: RowState::Done, begun_as: None }
    }
}

/// Whether what a row shows is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowState {
    /// Over, or an event that takes no time.
    Done,
    /// Begun and not ended as far as the lines go.
    Open,
}

/// Joins lines into rows, line by line; holds only what is open.
#[derive(Debug, Default)]
pub struct Rows {
    open: HashMap<String, (u64, Row)>,
    count: u64,
}

impl Rows {
    /// Nothing yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes the next line; gives the row that it finishes. A damaged line finishes none.
    pub fn push(&mut self, line: &Line) -> Option<Row> {
        line.record().and_then(|record| self.take(record)).map(|(_, row)| row)
    }

    /// Takes a record; gives the row that it finishes and its place in the order of beginnings.
    fn take(&mut self, record: &Record) -> Option<(u64, Row)> {
        self.count += 1;
        let phase = Action::find(&record.action).map_or(Phase::Other, Action::phase);
        match (&record.request_id, phase) {
            (Some(id), Phase::Begins) => {
                self.open.insert(id.clone(), (self.count, Row::begun(record)));
                None
            }
            (Some(id), Phase::Ends) => Some(match self.open.remove(id) {
                Some((place, begun)) => (place, Row::joined(begun, record)),
                None => (self.count, Row::alone(record)),
            }),
            _ => Some((self.count, Row::alone(record))),
        }
    }

    /// Goes on from rows that were open before the first line.
    pub fn after(rows: &[Row]) -> Self {
        let open = rows.iter().filter(|row| row.state == RowState::Open).enumerate();
        let open = open.filter_map(|(at, row)| Some((row.record.request_id.clone()?, (at as u64, row.clone()))));
        Self { open: open.collect(), count: rows.len() as u64 }
    }

    /// What is still open, in the order of beginning.
    pub fn into_open(self) -> Vec<Row> {
        let mut open: Vec<(u64, Row)> = self.open.into_values().collect();
        open.sort_unstable_by_key(|(place, _)| *place);
        open.into_iter().map(|(_, row)| row).collect()
    }
}

/// The end's record, with the beginning's word where the end says nothing.
fn joined(end: &Record, begun: Record) -> Record {
    let mut record = end.clone();
    macro_rules! fill {
        ($($field:ident),*) => { $(record.$field = record.$field.take().or(begun.$field);)* };
    }
    fill!(client_id, lease_id, secret_name, service, session_id, capability, method, host, port, path, details);
    record
}
