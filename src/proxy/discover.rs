//! `http://leasehold.internal` and `http://lease.localhost`: the proxy's own answers to agents about what they may do.
//! Never dialled.

use bytes::Bytes;
use http::{
    HeaderValue, Method, Request, Response, StatusCode,
    header::{ACCEPT, CACHE_CONTROL, CONTENT_TYPE},
};
use hyper::body::Incoming;
use serde_json::Value;

use super::{
    answer::AnswerBody,
    entrance::Entrance,
    exchange::Refused,
    need,
    outcome::{Kind, Notes},
    shared::Shared,
};
use crate::{
    audit::{Action, Event},
    base::{Authority, RefusalCode, harmless},
    broker::{Broker, Refusal, Session},
};

/// The hosts that are the proxy itself. Clients that keep `localhost` away from proxies, as curl does by our own
/// `NO_PROXY`, keep every name below it away too; `.internal` is reserved for private use (ICANN, 2024-07-29).
const HOSTS: [&str; 2] = ["leasehold.internal", "lease.localhost"];

const HELP: &str = "This is the proxy itself. It answers:\n\
     GET http://leasehold.internal/v1/me      what this session may do, as JSON, or Markdown with `Accept: text/markdown`\n\
     POST http://leasehold.internal/v1/needs  tells a person what you lack, and gives nothing: {\"service\": \"github\",\n\
     \x20   \"caps\": [\"read\"], \"why\": \"...\"} or {\"method\": \"GET\", \"url\": \"https://...\", \"why\": \"...\"}\n";

const ME: &str = "/v1/me";
const NEEDS: &str = "/v1/needs";

/// Whether a request is for the proxy itself.
pub(super) fn is_for_us(authority: &Authority) -> bool {
    authority.host.name().is_some_and(|name| HOSTS.contains(&name))
}

/// Answers it.
pub(super) async fn answer(shared: &Shared, entrance: &Entrance, request: Request<Incoming>) -> Response<AnswerBody> {
    let (method, uri) = (request.method().clone(), request.uri().clone());
    match find(shared, entrance, request).await {
        Ok(answer) => answer,
        Err(refusal) => {
            let mut notes = Notes::new(Kind::Request, method, uri, None);
            entrance.note(&mut notes);
            Refused::Before(Box::new(notes), refusal).answer(&shared.broker)
        }
    }
}

async fn find(
    shared: &Shared,
    entrance: &Entrance,
    request: Request<Incoming>,
) -> Result<Response<AnswerBody>, Refusal> {
    let (broker, path) = (&*shared.broker, request.uri().path());
    let takes = match path {
        "/" | ME => Method::GET,
        NEEDS => Method::POST,
        _ => {
            let detail = "the proxy itself has nothing at this path";
            return Err(Refusal::new(RefusalCode::NotFound, detail, "curl http://leasehold.internal/"));
        }
    };
    if *request.method() != takes {
        let detail = format!("the proxy itself answers {takes} only at this path");
        return Err(Refusal::new(RefusalCode::MethodDenied, detail, "curl http://leasehold.internal/"));
    }
    if path == "/" {
        record(broker, entrance.session(), path)?;
        return Ok(reply("text/plain; charset=utf-8", HELP.to_owned()));
    }
    let Some(session) = entrance.session() else {
        let detail = if path == ME {
            "only a session can be told what it may do, and this request came without one"
        } else {
            "only a session can say what it needs, and this request came without one"
        };
        return Err(Refusal::new(RefusalCode::NoLease, detail, "secrets exec -- curl http://leasehold.internal/v1/me"));
    };
    if path == NEEDS {
        let (status, answer) = need::take(shared, session, request).await?;
        let mut response = reply("application/json", answer);
        *response.status_mut() = status;
        return Ok(response);
    }
    record(broker, Some(session), path)?;
    let manifest = broker.manifest(session);
    let accepts = request.headers().get(ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    if accepts.contains("text/markdown") {
        return Ok(reply("text/markdown; charset=utf-8", markdown(&manifest)));
    }
    Ok(reply("application/json", format!("{manifest:#}\n")))
}

fn record(broker: &Broker, session: Option<&Session>, path: &str) -> Result<(), Refusal> {
    let mut event = Event::new(Action::Discovery).path(path);
    if let Some(session) = session {
        event = event.session(session.id()).client(session.client());
    }
    broker.audit().append(&event).map_err(|error| {
        let detail = format!("the request cannot be recorded: {error}");
        Refusal::new(RefusalCode::AuditUnavailable, detail, "secrets doctor")
    })
}

fn reply(kind: &'static str, body: String) -> Response<AnswerBody> {
    let mut response = Response::new(AnswerBody::from(Bytes::from(body)));
    *response.status_mut() = StatusCode::OK;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

/// The same for models that read.
fn markdown(manifest: &Value) -> String {
    let text = |value: &Value| harmless(value.as_str().unwrap_or_default());
    let list = |value: &Value| value.as_array().into_iter().flatten().map(text).collect::<Vec<_>>().join(", ");
    let mut lines = vec![format!("# What `{}` may do", text(&manifest["client_id"]))];
    for service in manifest["services"].as_array().into_iter().flatten() {
        lines.push(format!("\n## {} (`{}`)\n", text(&service["name"]), text(&service["service"])));
        for (what, names) in [("hosts", list(&service["hosts"])), ("the lease is in", list(&service["env"]))] {
            lines.extend((!names.is_empty()).then(|| format!("- {what}: {names}")));
        }
        lines.push(format!("- until {}", text(&service["expires_at"])));
        for only in service["only"].as_array().into_iter().flatten() {
            let (param, values) = (text(&only["param"]), list(&only["values"]));
            lines.push(match &*values {
                "" => format!("- `{param}` may have no value"),
                _ => format!("- only `{param}` in: {values}"),
            });
        }
        for limit in service["limits_left"].as_array().into_iter().flatten() {
            let next = match limit["next_in_s"].as_u64() {
                Some(0) => String::new(),
                Some(seconds) => format!(", next in {seconds} s"),
                None => ", next when one has ended".to_owned(),
            };
            lines.push(format!("- at most: {} ({} left{next})", text(&limit["limit"]), text(&limit["left"])));
        }
        for cap in service["capabilities"].as_array().into_iter().flatten() {
            let verdict = if cap["verdict"] == "ask" { "a person is asked" } else { "allowed" };
            lines.push(format!("- `{}` ({verdict}): {}", text(&cap["name"]), text(&cap["about"])));
        }
    }
    lines.push(format!("\nWhat is missing here can be asked for, with `POST {}`.", need::PLACE));
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_list_is_said_in_words_or_not_at_all() {
        let service = |hosts: &[&str], values: &[&str]| {
            let only = serde_json::json!([{ "param": "repo", "values": values }]);
            serde_json::json!({ "services": [{ "hosts": hosts, "env": [], "only": only }] })
        };
        let text = markdown(&service(&[], &[]));
        assert!(text.contains("- `repo` may have no value\n"), "{text}");
        assert!(!text.contains("hosts") && !text.contains("the lease is in") && !text.contains(": \n"), "{text}");
        let text = markdown(&service(&["api.acme.test"], &["acme/*", "acme/web"]));
        assert!(text.contains("- hosts: api.acme.test\n- until"), "{text}");
        assert!(text.contains("- only `repo` in: acme/*, acme/web\n"), "{text}");
    }
}
