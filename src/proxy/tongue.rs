//! How a client is told of a refusal: most read an answer's status and body, git shows a person only what its own
//! protocol carries.

use http::{Method, Uri};

use crate::{broker::Refusal, policy::Push};

/// What the client of one request understands.
#[derive(Clone, Debug, Default)]
pub(super) enum Tongue {
    /// Status, fields and a problem as JSON.
    #[default]
    Http,
    /// Git asking for refs, which prints a plain text next to the status.
    GitRefs,
    /// A push of these refs, whose client wants to hear what became of each, on a side band (gitprotocol-pack(5)).
    GitPush(Vec<Box<str>>),
}

/// The longest payload of a pkt-line on a side band.
const BAND: usize = 65_515;

impl Tongue {
    /// As far as a request line tells.
    pub(super) fn of(method: &Method, uri: &Uri) -> Self {
        let asks = matches!(uri.query(), Some("service=git-receive-pack" | "service=git-upload-pack"));
        let is_refs = *method == Method::GET && asks && uri.path().ends_with("/info/refs");
        if is_refs { Self::GitRefs } else { Self::Http }
    }

    /// What a push says of its client. Without commands, or with a client that would take silence for success, an
    /// answer's status is all there is.
    pub(super) fn hear(&mut self, push: &Push) {
        let reports = push.has("report-status") || push.has("report-status-v2");
        if push.has("side-band-64k") && reports && !push.commands().is_empty() {
            *self = Self::GitPush(push.commands().iter().map(|command| command.reference.clone()).collect());
        }
    }

    /// The text that git prints for its person.
    pub(super) fn plain(refusal: &Refusal, ask: Option<&str>) -> String {
        let Refusal { detail, code, fix, nearest, .. } = refusal;
        let nearest =
            nearest.as_ref().map_or_else(String::new, |call| format!("the nearest that is allowed: {call}\n"));
        let ask = ask.map_or_else(String::new, |ask| format!("to ask a person for it: {ask}\n"));
        format!("{detail} ({code})\nto mend it: {fix}\n{nearest}{ask}")
    }

    /// The answer to a push of which nothing was done.
    pub(super) fn push_report(refusal: &Refusal, refs: &[Box<str>], ask: Option<&str>) -> Vec<u8> {
        let mut report = pkt(b"unpack ok\n"); // git tells of each ref then, and of no second trouble
        for name in refs {
            report.extend(pkt(format!("ng {name} {}\n", refusal.code).as_bytes()));
        }
        report.extend(b"0000");
        let mut answer = Vec::new();
        let text = Self::plain(refusal, ask);
        for (band, text) in [(2_u8, text.as_bytes()), (1, &report)] {
            for part in text.chunks(BAND) {
                answer.extend(pkt(&[&[band], part].concat()));
            }
        }
        answer.extend(b"0000");
        answer
    }
}

/// One pkt-line; the payload is at most [`BAND`] and its band.
fn pkt(payload: &[u8]) -> Vec<u8> {
    [format!("{:04x}", payload.len() + 4).as_bytes(), payload].concat()
}
