//! Reads beside an answer what it says was used. Nothing is changed and nothing waits.
//!
//! Invariants: only answers that a limit's meter counts are read; what is kept of one is bounded, and never shown.

use std::{fmt, sync::Arc};

use http::{HeaderMap, header::CONTENT_TYPE};
use memchr::memchr2;

use super::{scrub::is_json, usage::Seen};
use crate::policy::{Meter, Usage};

/// The most bytes of a JSON answer that are kept; of a longer one it is not known what was used.
const MOST_WHOLE: usize = 4 * 1024 * 1024;

/// The most bytes of one event of a stream, and of one line; a longer one is passed over.
const MOST_EVENT: usize = 1024 * 1024;

/// The reader of one answer.
pub(super) struct Gauge {
    seen: Seen,
    form: Form,
}

/// What the answer is.
enum Form {
    Whole { kept: Vec<u8>, is_lost: bool },
    Events(Events),
    Unread,
}

impl Gauge {
    /// A reader of an answer with this head; `None` when nothing is asked of it.
    pub(super) fn new(meters: &[Arc<Meter>], headers: &HeaderMap) -> Option<Self> {
        let seen = Seen::nothing(meters);
        if seen.is_empty() {
            return None;
        }
        let form = if is_json(headers) {
            Form::Whole { kept: Vec::new(), is_lost: false }
        } else if is_event_stream(headers) && seen.streams() {
            Form::Events(Events::default())
        } else {
            Form::Unread
        };
        Some(Self { seen, form })
    }

    /// The next decoded bytes of the answer.
    pub(super) fn feed(&mut self, data: &[u8]) {
        match &mut self.form {
            Form::Whole { kept, is_lost } => {
                *is_lost |= kept.len() + data.len() > MOST_WHOLE;
                if *is_lost {
                    *kept = Vec::new();
                } else {
                    kept.extend_from_slice(data);
                }
            }
            Form::Events(events) => events.feed(data, &mut self.seen),
            Form::Unread => {}
        }
    }

    /// The answer has ended or was cut: what it said.
    pub(super) fn finish(mut self) -> Usage {
        match &mut self.form {
            Form::Whole { kept, .. } => drop(self.seen.read(kept)),
            Form::Events(events) => events.finish(&mut self.seen),
            Form::Unread => {}
        }
        self.seen.usage()
    }
}

impl fmt::Debug for Gauge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gauge").field("seen", &self.seen).finish_non_exhaustive()
    }
}

/// Splits a `text/event-stream` into events, as the standard of HTML has it: lines end with LF, CR or both, an empty one
/// ends an event, and the `data` of one event are joined.
#[derive(Default)]
struct Events {
    line: Vec<u8>,
    is_line_lost: bool,
    event: Vec<u8>,
    is_event_lost: bool,
    after_return: bool,
}

impl Events {
    fn feed(&mut self, data: &[u8], seen: &mut Seen) {
        let mut rest = data;
        if self.after_return && !rest.is_empty() {
            self.after_return = false;
            rest = rest.strip_prefix(b"\n").unwrap_or(rest);
        }
        while let Some(at) = memchr2(b'\n', b'\r', rest) {
            let (line, end) = rest.split_at(at);
            self.add(line);
            self.end_line(seen);
            let is_return = end.first() == Some(&b'\r');
            rest = end.get(1..).unwrap_or_default();
            if is_return {
                self.after_return = rest.is_empty();
                rest = rest.strip_prefix(b"\n").unwrap_or(rest);
            }
        }
        self.add(rest);
    }

    fn add(&mut self, data: &[u8]) {
        let room = MOST_EVENT.saturating_sub(self.line.len());
        self.is_line_lost |= data.len() > room;
        self.line.extend_from_slice(data.get(..room).unwrap_or(data));
    }

    fn end_line(&mut self, seen: &mut Seen) {
        let is_lost = std::mem::take(&mut self.is_line_lost);
        if self.line.is_empty() {
            return self.end_event(seen);
        }
        if let Some(value) = self.line.strip_prefix(b"data:") {
            let value = value.strip_prefix(b" ").unwrap_or(value);
            self.is_event_lost |= is_lost || self.event.len() + value.len() >= MOST_EVENT;
            if !self.is_event_lost {
                self.event.extend_from_slice(value);
                self.event.push(b'\n');
            }
        }
        self.line.clear();
    }

    fn end_event(&mut self, seen: &mut Seen) {
        let is_lost = std::mem::take(&mut self.is_event_lost);
        if !is_lost && !self.event.is_empty() && seen.may_be_in(&self.event) {
            let mut next = seen.clone();
            if next.read_event(&self.event) {
                *seen = next; // an event that was cut off could hold half a number
            }
        }
        self.event.clear();
    }

    /// The last event may lack its empty line.
    fn finish(&mut self, seen: &mut Seen) {
        if !self.line.is_empty() {
            self.end_line(seen);
        }
        self.end_event(seen);
    }
}

fn is_event_stream(headers: &HeaderMap) -> bool {
    headers
        .get_all(CONTENT_TYPE)
        .iter()
        .filter_map(|kind| kind.to_str().ok())
        .any(|kind| kind.split([';', ',']).next().unwrap_or("").trim().eq_ignore_ascii_case("text/event-stream"))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

    use super::*;

    fn gauge(kind: &'static str, parts: &[&str]) -> Gauge {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        let meter = Arc::new(Meter::new("tokens", parts, true).unwrap());
        Gauge::new(&[Arc::clone(&meter), meter], &headers).unwrap()
    }

    fn total(gauge: Gauge) -> Option<u64> {
        let all = gauge.finish().amounts;
        assert_eq!(all.len(), 1, "a meter that two limits count is read once");
        all[0].1
    }

    fn stream(pieces: &[&[u8]]) -> Option<u64> {
        let mut gauge = gauge("text/event-stream; charset=utf-8", &["/m/in", "/out"]);
        for piece in pieces {
            gauge.feed(piece);
        }
        total(gauge)
    }

    #[test]
    fn the_last_value_of_each_place_counts_wherever_the_stream_is_split() {
        for end in ["\n", "\r\n", "\r"] {
            let text = [
                "event: start",
                "data: {\"m\":{\"in\":25},\"out\":1}",
                "",
                ": a remark",
                "data:{\"out\":7}",
                "",
                "data: {",
                "data: \"out\": 9",
                "data: }",
                "",
                "data: [DONE]",
                "",
                "id: 4",
                "data: {\"text\":\"out\"}",
                "",
            ]
            .join(end);
            assert_eq!(stream(&[text.as_bytes()]), Some(34), "{text:?}");
            for at in 0..text.len() {
                let (a, b) = text.as_bytes().split_at(at);
                assert_eq!(stream(&[a, b]), Some(34), "{end:?} split at {at}");
            }
            let bytes: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
            assert_eq!(stream(&bytes), Some(34), "{end:?}");
        }
    }

    #[test]
    fn a_stream_that_is_cut_counts_as_far_as_it_was_whole() {
        assert_eq!(stream(&[b"data: {\"out\":500}\n\ndata: {\"out\":6"]), Some(500));
        assert_eq!(stream(&[b"data: {\"out\":500}"]), Some(500), "the end of the stream ends its last event");
        assert_eq!(stream(&[b"data: {\"out\":"]), None);
        assert_eq!(stream(&[]), None);
    }

    #[test]
    fn hostile_streams_keep_no_more_than_is_allowed() {
        let mut gauge = gauge("text/event-stream", &["/out"]);
        let piece = vec![b'x'; 64 * 1024];
        gauge.feed(b"data: {\"out\":5}\n\ndata: {\"out\":6,\"x\":\"");
        for _ in 0..100 {
            gauge.feed(&piece);
        }
        gauge.feed(b"\"}\n");
        for _ in 0..100 {
            gauge.feed(b"data: ");
            gauge.feed(&piece);
            gauge.feed(b"\n");
        }
        let Form::Events(events) = &gauge.form else { panic!() };
        assert!(events.line.capacity() + events.event.capacity() <= 4 * MOST_EVENT);
        gauge.feed(b"\n");
        let deep = format!("data: {{\"out\":{}\n\n", "[".repeat(500_000));
        gauge.feed(deep.as_bytes());
        gauge.feed(b"data: {\"out\":-1}\n\ndata: {\"out\":1e999}\n\n\n\n\xff\xfe\ndata: \xff\"out\"\n\n");
        assert_eq!(total(gauge), Some(5));
        assert_eq!(stream(&[b"data: {\"out\":99999999999999999999999,\"m\":{\"in\":9}}\n\n"]), Some(u64::MAX));
    }

    #[test]
    fn a_json_answer_is_read_whole_up_to_a_bound() {
        let parts = ["/usage/total_tokens"];
        let mut short = gauge("application/json", &parts);
        short.feed(b"{\"usage\":{\"total");
        short.feed(b"_tokens\":1234}}");
        short.feed(b" ");
        assert!(!format!("{short:?}").contains("1234"), "{short:?}");
        assert_eq!(total(short), Some(1234));
        let mut long = gauge("application/json", &parts);
        long.feed(b"{\"usage\":{\"total_tokens\":1234},\"x\":\"");
        for _ in 0..70 {
            long.feed(&vec![b'x'; 64 * 1024]);
        }
        long.feed(b"\"}");
        let Form::Whole { kept, .. } = &long.form else { panic!() };
        assert_eq!(kept.capacity(), 0);
        assert_eq!(total(long), None);
        let mut other = gauge("audio/mpeg", &parts);
        other.feed(b"{\"usage\":{\"total_tokens\":1234}}");
        assert_eq!(total(other), None);
    }
}
