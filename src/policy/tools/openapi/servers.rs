//! Where the service is: `servers` of version 3, `host`, `basePath` and `schemes` of version 2.

use serde_json::Value;

use super::Notes;
use crate::base::{Authority, HostPattern, Origin, Scheme};

/// A host pattern with the beginning of every path there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Server {
    /// As a service file writes it: `https://{tenant}.example.com`.
    pub(super) origin: String,
    /// The names in braces.
    pub(super) params: Vec<String>,
    /// Without a final slash; empty for none.
    pub(super) base: String,
}

/// All servers over https, or those that are wished for with the paths of the first.
pub(super) fn read(document: &Value, wished: &[Origin], notes: &mut Notes) -> Vec<Server> {
    let said = if document.get("swagger").is_some() { version_two(document) } else { version_three(document) };
    let mut servers: Vec<Server> = Vec::new();
    let base = said.iter().map(|url| split(url).1).next().unwrap_or_default();
    if !wished.is_empty() {
        let with_base =
            wished.iter().map(|origin| Server { origin: origin.to_string(), params: vec![], base: base.clone() });
        return with_base.collect();
    }
    for url in said {
        match server(&url) {
            Some(server) if !servers.contains(&server) => servers.push(server),
            Some(_) => {}
            None => notes.add(format!("the server `{}`, which is no host over https", url.escape_debug())),
        }
    }
    servers
}

fn version_two(document: &Value) -> Vec<String> {
    let text = |key: &str| document.get(key).and_then(Value::as_str);
    let Some(host) = text("host") else { return text("basePath").map(str::to_owned).into_iter().collect() };
    let schemes = document.get("schemes").and_then(Value::as_array);
    let is_clear = schemes.is_some_and(|schemes| !schemes.iter().any(|scheme| scheme == "https"));
    vec![format!("{}://{host}{}", if is_clear { "http" } else { "https" }, text("basePath").unwrap_or(""))]
}

/// Every URL, with variables that are no whole label of the host replaced by their defaults.
fn version_three(document: &Value) -> Vec<String> {
    let servers = document.get("servers").and_then(Value::as_array).into_iter().flatten();
    let urls = servers.filter_map(|server| {
        let mut url = server.get("url").and_then(Value::as_str)?.to_owned();
        let host_end = url.find("://").map_or(0, |at| at + 3);
        let host_end = url.get(host_end..)?.find('/').map_or(url.len(), |at| at + host_end);
        for (name, variable) in server.get("variables").and_then(Value::as_object).into_iter().flatten() {
            let hole = format!("{{{name}}}");
            let is_label = url.find(&hole).is_some_and(|at| {
                let (before, after) = (url.get(..at).unwrap_or(""), url.get(at + hole.len()..).unwrap_or(""));
                at < host_end && before.ends_with(['/', '.']) && after.starts_with('.')
            });
            let has_choice = variable.get("enum").and_then(Value::as_array).is_none_or(|all| all.len() != 1);
            if !is_label || !has_choice {
                url = url.replace(&hole, variable.get("default").and_then(Value::as_str).unwrap_or(""));
            }
        }
        Some(url)
    });
    urls.collect()
}

/// Origin and path of a URL; no origin for a relative one.
fn split(url: &str) -> (Option<(&str, &str)>, String) {
    let clean = |path: &str| path.trim_end_matches('/').to_owned();
    let Some((scheme, rest)) = url.split_once("://") else { return (None, clean(url)) };
    let (authority, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    (Some((scheme, authority)), clean(path.split(['?', '#']).next().unwrap_or("")))
}

fn server(url: &str) -> Option<Server> {
    let (origin, base) = split(url);
    let (scheme, authority) = origin.filter(|(scheme, _)| *scheme == Scheme::Https.as_str())?;
    let names = authority.split(['{', '}']).skip(1).step_by(2);
    let params: Vec<String> = names.map(param_name).collect();
    let mut written = authority.to_ascii_lowercase();
    for (name, param) in authority.split(['{', '}']).skip(1).step_by(2).zip(&params) {
        written = written.replace(&format!("{{{}}}", name.to_ascii_lowercase()), &format!("{{{param}}}"));
    }
    let (host, port) = written.rsplit_once(':').map_or((&*written, None), |(host, port)| (host, Some(port)));
    let is_usable = port.is_none_or(|port| port.parse::<u16>().is_ok())
        && host.parse::<HostPattern>().is_ok()
        && (!params.is_empty() || Authority::parse(&written, Some(443)).is_ok());
    is_usable.then(|| Server { origin: format!("{scheme}://{written}"), params, base })
}

/// A name that a service file takes.
fn param_name(name: &str) -> String {
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' }).collect()
}
