//! JSON-RPC 2.0 on one line: requests and answers between bytes and types.
//!
//! As in agent-secrets the `jsonrpc` member is not checked, a request without id is answered, and there are no batches.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{Answer, Call, Failure, FailureCode, api::without_values, buffer::Buffer};

/// The id of a request, echoed in its answer.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub(super) enum Id {
    /// Missing, or not readable.
    #[default]
    Null,
    /// A number.
    Number(serde_json::Number),
    /// A text.
    Text(String),
}

impl Id {
    const MAX_TEXT: usize = 256;

    fn is_usable(&self) -> bool {
        !matches!(self, Self::Text(text) if text.len() > Self::MAX_TEXT)
    }
}

#[derive(Deserialize)]
struct Request<'a> {
    #[serde(default)]
    id: Id,
    method: String,
    #[serde(borrow, default)]
    params: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct OnlyId {
    #[serde(default)]
    id: Id,
}

/// Reads one request line: its id, and the call or why it is none.
pub(super) fn read_request(line: &[u8]) -> (Id, Result<Call, Failure>) {
    let request: Request<'_> = match serde_json::from_slice(line) {
        Ok(request) => request,
        Err(error) => return (id_of(line), Err(no_request(line, &error))),
    };
    if !request.id.is_usable() {
        let why = format!("an id has at most {} bytes", Id::MAX_TEXT);
        return (Id::Null, Err(Failure::new(FailureCode::InvalidRequest, why)));
    }
    (request.id, Call::decode(&request.method, request.params))
}

fn id_of(line: &[u8]) -> Id {
    serde_json::from_slice::<OnlyId>(line).map(|only| only.id).ok().filter(Id::is_usable).unwrap_or_default()
}

fn no_request(line: &[u8], error: &serde_json::Error) -> Failure {
    if !matches!(error.classify(), serde_json::error::Category::Data) {
        return Failure::new(FailureCode::ParseError, format!("the line is not JSON: {error}"));
    }
    if line.trim_ascii_start().starts_with(b"[") {
        return Failure::new(FailureCode::InvalidRequest, "batches are not supported; send one request per line");
    }
    let why = without_values(&error.to_string());
    Failure::new(FailureCode::InvalidRequest, format!("the line is not a JSON-RPC request: {why}"))
}

#[derive(Serialize)]
struct Response<'a> {
    jsonrpc: &'static str,
    id: &'a Id,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<&'a Answer>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<ErrorObject>,
}

#[derive(Serialize, Deserialize)]
struct ErrorObject {
    code: i64,
    message: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    data: Option<ErrorData>,
}

/// Ours: which code exactly, and the command that mends it.
#[derive(Serialize, Deserialize)]
struct ErrorData {
    kind: FailureCode,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    fix: Option<String>,
}

/// Writes one answer line.
pub(super) fn write_response(id: &Id, outcome: &Result<Answer, Failure>) -> Buffer {
    let (result, error) = match outcome {
        Ok(answer) => (Some(answer), None),
        Err(failure) => (None, Some(failure)),
    };
    let error = error.map(|failure| ErrorObject {
        code: failure.code.number().into(),
        message: failure.message.clone(),
        data: Some(ErrorData { kind: failure.code, fix: failure.fix.clone() }),
    });
    let mut line = Buffer::default();
    if serde_json::to_writer(&mut line, &Response { jsonrpc: "2.0", id, result, error }).is_err() {
        // Only a map with keys that are no strings could fail, and no answer has one.
        line.clear();
        line.extend(br#"{"jsonrpc":"2.0","id":null,"error":{"code":-32603,"message":"the answer cannot be written"}}"#);
    }
    line.extend(b"\n");
    line
}

#[derive(Serialize)]
struct Outgoing<'a, T> {
    jsonrpc: &'static str,
    id: u64,
    method: &'a str,
    params: &'a T,
}

/// Writes one request line.
pub(super) fn write_request<T: Serialize>(id: u64, method: &str, params: &T) -> Result<Buffer, serde_json::Error> {
    let mut line = Buffer::default();
    serde_json::to_writer(&mut line, &Outgoing { jsonrpc: "2.0", id, method, params })?;
    line.extend(b"\n");
    Ok(line)
}

#[derive(Deserialize)]
struct Incoming<'a> {
    #[serde(default)]
    id: Id,
    #[serde(borrow, default)]
    result: Option<&'a RawValue>,
    #[serde(default)]
    error: Option<ErrorObject>,
}

/// Reads one answer line to the request `id`; `Ok(None)` when it answers another one.
pub(super) fn read_response<T>(id: u64, line: &[u8]) -> Result<Option<Result<T, Failure>>, serde_json::Error>
where
    T: serde::de::DeserializeOwned,
{
    let answer: Incoming<'_> = serde_json::from_slice(line)?;
    // An error about a line that could not be read carries no id; with one call at a time it is ours.
    if !(answer.id == Id::Number(id.into()) || answer.id == Id::Null && answer.error.is_some()) {
        return Ok(None);
    }
    if let Some(error) = answer.error {
        let (code, fix) = match error.data {
            Some(data) => (data.kind, data.fix),
            None => (FailureCode::from_number(error.code), None),
        };
        return Ok(Some(Err(Failure { code, message: error.message, fix })));
    }
    serde_json::from_str(answer.result.map_or("null", RawValue::get)).map(|result| Some(Ok(result)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(line: &str) -> (Id, Failure) {
        let (id, call) = read_request(line.as_bytes());
        (id, call.unwrap_err())
    }

    #[test]
    fn ids_of_every_kind_are_kept() {
        let id = |line: &str| read_request(line.as_bytes()).0;
        assert_eq!(id(r#"{"id":7,"method":"secrets.list"}"#), Id::Number(7.into()));
        assert_eq!(id(r#"{"id":"a","method":"secrets.list"}"#), Id::Text("a".into()));
        assert_eq!(id(r#"{"method":"secrets.list"}"#), Id::Null);
        assert_eq!(id(r#"{"id":9,"method":5}"#), Id::Number(9.into()), "even when the request is wrong");
        assert_eq!(id(r#"{"id":{"a":1},"method":"secrets.list"}"#), Id::Null);
    }

    #[test]
    fn what_is_no_request_gets_the_standards_codes() {
        assert_eq!(failure("nonsense").1.code, FailureCode::ParseError);
        assert_eq!(failure("{\"method\":\"\u{fffd}").1.code, FailureCode::ParseError);
        for line in [
            "[]",
            "5",
            "{}",
            r#"{"method":5}"#,
            r#"{"id":[1],"method":"secrets.list"}"#,
            r#"{"method":"a","method":"b"}"#,
        ] {
            assert_eq!(failure(line).1.code, FailureCode::InvalidRequest, "{line}");
        }
        assert_eq!(failure(r#"{"id":1,"method":"secrets.lease","params":[1]}"#).1.code, FailureCode::InvalidParams);
    }

    #[test]
    fn a_failure_crosses_whole() {
        let sent = Failure::new(FailureCode::SecretExists, "`a` exists").with_fix("secrets update a");
        let line = write_response(&Id::Number(3.into()), &Err(sent.clone()));
        let got = read_response::<serde_json::Value>(3, line.as_slice()).unwrap().unwrap().unwrap_err();
        assert_eq!(got, sent);
        assert!(read_response::<serde_json::Value>(4, line.as_slice()).unwrap().is_none());
    }

    #[test]
    fn null_and_missing_are_the_same_where_a_field_may_be_missing_and_nothing_else_is_made_up() {
        fn read<T: serde::de::DeserializeOwned>(result: &str) -> Result<T, serde_json::Error> {
            let line = format!(r#"{{"jsonrpc":"2.0","id":1,"result":{result}}}"#);
            read_response(1, line.as_bytes()).map(|answer| answer.unwrap().unwrap())
        }
        use super::super::{AuditEntries, Health, SecretList, Status};
        let counts = r#""total_secrets":0,"active_leases":0,"expiring_soon":0,"never_rotated":0,"stale_secrets":0"#;
        assert!(read::<Health>(&format!(r#"{{{counts},"warnings":null}}"#)).unwrap().warnings.is_empty());
        let warning = r#"{"type":"no_rotation_hook","message":"No rotation hook configured","severity":"info"}"#;
        let health = read::<Health>(&format!(r#"{{{counts},"warnings":[{warning}]}}"#)).unwrap();
        assert_eq!(health.warnings[0].timestamp, None);
        assert!(read::<SecretList>(r#"{"secrets":null}"#).unwrap().secrets.is_empty());
        assert!(read::<AuditEntries>(r#"{"entries":null}"#).unwrap().entries.is_empty());
        assert!(read::<SecretList>("{}").is_err(), "no list is not an empty one");
        let theirs = r#""running":true,"started_at":"2026-02-02T10:00:00Z","secrets_count":3,"active_leases":0"#;
        assert!(read::<Status>(&format!("{{{theirs}}}")).is_err(), "no process 0, and no audit log that fails");
        let ours = r#""sessions":0,"pid":7,"version":"0","proxy_addr":"a","audit_healthy":true"#;
        let nulls = r#""heartbeat":null,"kill":null,"notices":null,"policy_faults":null,"store_state":null,"store_warning":null"#;
        assert_eq!(read::<Status>(&format!("{{{theirs},{ours},{nulls}}}")).unwrap().pid, 7);
    }

    #[test]
    fn an_answer_of_agent_secrets_is_understood() {
        let line = br#"{"jsonrpc":"2.0","error":{"code":-32000,"message":"secret not found"},"id":1}"#;
        let got = read_response::<serde_json::Value>(1, line).unwrap().unwrap().unwrap_err();
        assert_eq!(got.code, FailureCode::SecretNotFound);
    }
}
