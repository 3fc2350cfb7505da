//! What every attack is judged by: the answer, the record, and what reached the origin.

use leasehold::audit::Record;

use crate::{
    house::{HOST, House, SECRET},
    support::{Answer, until},
};

/// The stable code that an answer carries in its header.
pub fn code(answer: &Answer) -> String {
    answer.header("x-leasehold-code").unwrap_or_default()
}

/// The answer is this refusal, said the same way in status, header and body.
pub fn assert_refused(answer: &Answer, status: u16, code: &str) {
    assert_eq!((answer.status, self::code(answer).as_str()), (status, code), "{answer:?}");
    assert_eq!(answer.header("content-type").as_deref(), Some("application/problem+json"), "{answer:?}");
    assert_eq!(answer.json()["code"], code, "{answer:?}");
    for said in ["detail", "fix", "request_id"] {
        assert!(answer.json()[said].as_str().is_some_and(|text| !text.is_empty()), "no `{said}`: {answer:?}");
    }
    assert_eq!(answer.count(SECRET.as_bytes()), 0, "a refusal tells nothing");
}

/// How often a needle stands in bytes.
pub fn count(text: &[u8], needle: &str) -> usize {
    memchr::memmem::find_iter(text, needle.as_bytes()).count()
}

impl House {
    /// The newest record that has a code.
    pub fn last_refusal(&self) -> Record {
        let mut records = self.records();
        records.retain(|record| record.code.is_some());
        records.pop().expect("a refusal is recorded")
    }

    /// Waits for a record with this action and code; for what is recorded after the connection was closed.
    pub async fn recorded(&self, action: &str, code: &str) -> Record {
        let find = || self.records_of(action).into_iter().find(|record| record.code.as_deref() == Some(code));
        until(&format!("a record `{action}` with `{code}`"), || find().is_some()).await;
        find().unwrap()
    }

    /// The last refusal is recorded as `action` with `code`, for the stand-in host.
    pub fn assert_recorded(&self, action: &str, code: &str) {
        self.assert_recorded_for(action, code, HOST);
    }

    /// The same for another host.
    pub fn assert_recorded_for(&self, action: &str, code: &str, host: &str) {
        let record = self.last_refusal();
        let said = (record.action.as_str(), record.code.as_deref(), record.host.as_deref());
        assert_eq!(said, (action, Some(code), Some(host)), "{record:?}");
        assert_eq!(record.outcome.as_deref(), Some("refused"), "{record:?}");
    }

    /// Nothing was dialled, and neither secret nor token is anywhere that others read.
    pub fn assert_nothing_left(&self, token: &str) {
        assert_eq!(self.origin.connections().len(), 0, "the origin was dialled: {:?}", self.origin.connections());
        self.assert_no_request(token);
    }

    /// No request went out, and neither secret nor token is anywhere that others read.
    pub fn assert_no_request(&self, token: &str) {
        assert!(self.origin.requests().is_empty(), "{:?}", self.origin.requests());
        assert_eq!(self.origin.count(SECRET.as_bytes()), 0, "the origin received the secret");
        self.assert_token_stayed(token);
    }

    /// The token reached neither the origin nor a file; the secret stands in no file.
    pub fn assert_token_stayed(&self, token: &str) {
        assert_eq!(self.origin.count(token.as_bytes()), 0, "the origin received the token");
        self.records(); // flushes
        for (path, content) in self.public_files() {
            assert_eq!(count(&content, SECRET), 0, "{} holds the secret", path.display());
            assert_eq!(count(&content, token), 0, "{} holds the token", path.display());
        }
    }

    /// One request with a credential of its own still goes through: the attack broke nothing.
    pub async fn assert_still_works(&self) {
        let before = self.origin.requests().len();
        let lease = self.lease();
        let answer = self.http1().await.get(HOST, "/echo", &[("Authorization", &format!("Bearer {lease}"))]).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_eq!(self.origin.requests()[before].values("authorization"), [format!("Bearer {SECRET}")]);
    }
}

/// `Bearer TOKEN`.
pub fn bearer(token: &str) -> String {
    format!("Bearer {token}")
}
