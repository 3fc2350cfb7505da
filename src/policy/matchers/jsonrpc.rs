//! Rules over JSON-RPC 2.0 messages, and over those of the Model Context Protocol: which methods, which tools.

use serde_json::{Map, Value};

use super::{Found, globs::Globs, json::fold};
use crate::policy::{
    files::Table,
    rules::{Call, Reading},
};

/// What a rule wants of each message.
#[derive(Clone, Debug)]
pub(in crate::policy) struct Rpc {
    methods: Option<Globs>,
    /// Of `tools/call`.
    tools: Option<Globs>,
}

/// One message of a client.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Message {
    /// [`RESPONSE`] for an answer to the server.
    method: Box<str>,
    /// The tool that `tools/call` names; `None` when it is not clear.
    tool: Option<Box<str>>,
}

/// The word for a message that answers the server.
const RESPONSE: &str = "response";

/// The method whose tool counts.
const CALL: &str = "tools/call";

const KEYS: [&str; 6] = ["jsonrpc", "method", "params", "id", "result", "error"];

impl Rpc {
    /// Reads `jsonrpc = { method }`.
    pub(super) fn read(mut table: Table<'_>) -> Self {
        let methods = Globs::read(&mut table, "method", |_| None);
        if methods.is_none() {
            table.fault("`jsonrpc` names no `method`", "add `method = [\"eth_call\", \"net_*\"]`, or `\"**\"` for all");
        }
        table.finish();
        Self { methods, tools: None }
    }

    /// Reads `mcp = { method, tool }`.
    pub(super) fn read_mcp(mut table: Table<'_>) -> Self {
        let methods = Globs::read(&mut table, "method", |_| None);
        let tools = Globs::read(&mut table, "tool", |_| None);
        if methods.is_none() && tools.is_none() {
            table.fault(
                "`mcp` names neither `method` nor `tool`",
                "add `method = [\"initialize\", \"notifications/*\", \"tools/list\"]` and `tool = [\"get_*\"]`",
            );
        }
        if tools.is_some() && methods.as_ref().is_some_and(|methods| methods.fit(CALL, Reading::Loose)) {
            let fix = "list the other methods one by one, such as `tools/list`";
            table.fault("`method` covers `tools/call`, so `tool` limits nothing", fix);
        }
        table.finish();
        Self { methods, tools }
    }

    pub(super) fn find(&self, call: &Call<'_>, reading: Reading) -> Found {
        if reading == Reading::Exact && call.method != "POST" {
            return Found::No;
        }
        let fits = |message: &Message| self.fits(message, reading);
        let view = call.content.body.messages();
        view.found(reading, |messages| messages.iter().all(fits), |messages| messages.iter().any(fits))
    }

    fn fits(&self, message: &Message, reading: Reading) -> bool {
        let is_call = match reading {
            Reading::Exact => *message.method == *CALL,
            Reading::Loose => message.method.eq_ignore_ascii_case(CALL),
        };
        let tool =
            |tools: &Globs| message.tool.as_ref().map_or(reading == Reading::Loose, |tool| tools.fit(tool, reading));
        self.methods.as_ref().is_some_and(|methods| methods.fit(&message.method, reading))
            || (is_call && self.tools.as_ref().is_some_and(tool))
    }
}

impl Message {
    /// The messages of a body; `None` when some part of it is none, or could be understood in two ways.
    pub(super) fn read_all(body: &Value) -> Option<Vec<Self>> {
        match body {
            Value::Array(items) if items.is_empty() => None,
            Value::Array(items) => items.iter().map(Self::read).collect(),
            _ => Self::read(body).map(|message| vec![message]),
        }
    }

    fn read(value: &Value) -> Option<Self> {
        let members = value.as_object()?;
        if has_twin(members, &KEYS) || members.get("jsonrpc")? != "2.0" {
            return None;
        }
        let answers = members.contains_key("result") || members.contains_key("error");
        match members.get("method") {
            Some(Value::String(method)) if !answers => {
                let tool =
                    members.get("params").and_then(Value::as_object).filter(|params| !has_twin(params, &["name"]));
                let tool = tool.and_then(|params| params.get("name")?.as_str());
                Some(Self { method: (**method).into(), tool: tool.map(Into::into) })
            }
            None if answers => Some(Self { method: RESPONSE.into(), tool: None }),
            _ => None,
        }
    }
}

/// Whether a key differs from a known one by case alone.
fn has_twin(members: &Map<String, Value>, known: &[&str]) -> bool {
    members.keys().any(|key| known.iter().any(|known| key != known && fold(key) == *known))
}
