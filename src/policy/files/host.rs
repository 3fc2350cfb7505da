//! Reads `[host.NAME]` and `[param.NAME]` of a service file.

use std::{fmt::Display, path::Path, sync::Arc};

use crate::{
    base::{Authority, Host, HostPattern, HostPatternError, Scheme},
    net::Roots,
};

use super::read::{At, Source, Span, Table, expected};
use crate::policy::{
    matchers::{Attribute, read_attribute},
    rules::{EncodedSlash, Param, ValuePattern},
    services::{Carries, HostBlock, OriginPattern},
};

/// The protocols that are no HTTP, with the ports that they have by themselves.
const RAW: [(&str, Option<u16>); 4] =
    [("postgres", Some(5432)), ("mysql", Some(3306)), ("redis", Some(6379)), ("tcp", None)];

/// Reads every host; ties between them are faults. Client certificates are shown where the service has some.
pub(in crate::policy) fn read_hosts(
    tables: Vec<(At<&str>, Table<'_>)>,
    params: &[Param],
    certificates: bool,
) -> Vec<HostBlock> {
    let mut blocks: Vec<HostBlock> = Vec::new();
    for (name, mut table) in tables {
        let source = table.source();
        if table.value("origin").is_none() {
            table.fault(
                format!("`[host.{}]` has no `origin`", name.value),
                "add `origin = \"https://api.example.com\"`",
            );
        }
        let mut origins: Vec<OriginPattern> = Vec::new();
        let list = table.value("origin").and_then(|value| value.get_ref().as_array());
        if list.is_some_and(|list| list.is_empty()) {
            table.fault(
                format!("`origin` of `[host.{}]` lists no host", name.value),
                "write it like `origin = \"https://api.example.com\"`",
            );
        }
        for text in table.texts("origin").unwrap_or_default() {
            let Some(origin) = read_origin(source, &text) else { continue };
            check_params(source, &text, &origin.pattern, params);
            let tie = |other: &&OriginPattern| other.overlaps(&origin) && other.pattern.rank() == origin.pattern.rank();
            let mut before = blocks.iter().map(|block| (&*block.name, &block.origins)).chain([(name.value, &origins)]);
            let tied = before.find_map(|(name, all)| Some(format!("`{}` of `[host.{name}]`", all.iter().find(tie)?)));
            drop(before);
            if let Some(other) = tied {
                let message = format!("`{origin}` ties with {other}: neither is more particular");
                let fix = "make one of them more literal, or put both into one block once";
                source.fault(text.span.clone(), message, fix);
            }
            origins.push(origin);
        }
        let except = table.texts("except").unwrap_or_default();
        let except = except.iter().filter_map(|text| read_except(source, text)).collect();
        let carries =
            table.choice("credential", &[("lease", Carries::Lease), ("never", Carries::Never)]).unwrap_or_default();
        let slash = table.choice("encoded_slash", &[("keep", EncodedSlash::Keep), ("refuse", EncodedSlash::Refuse)]);
        let raw = read_raw(&mut table, &name, &origins);
        let Tls { client, ca } = read_tls(&mut table, certificates);
        table.finish();
        let is_held = |param: &&Param| {
            param.pattern.is_some() && origins.iter().any(|origin| origin.pattern.params().any(|p| *p == *param.name))
        };
        let params = params.iter().filter(is_held).cloned().collect();
        let slash = slash.unwrap_or_default();
        let clear = origins.iter().any(|origin| origin.scheme == Scheme::Http);
        if let Some(span) = ca.as_ref().map(|ca| &ca.span).or(client.as_ref()).filter(|_| clear) {
            source.fault(span.clone(), "`tls` says nothing about `http://`", "write the origin with `https://`");
        }
        let (shows, unshown) = if certificates { (client, None) } else { (None, client) };
        let unshown = unshown.map(|span| {
            source.not_yet_but(span, format_args!("`tls.client_cert` of `[host.{}]`", name.value), NOT_DIALLED)
        });
        let not_yet = raw.or(unshown);
        let roots = ca.filter(|_| not_yet.is_none()).and_then(|ca| read_roots(source, &ca)); // else nothing is dialled
        let name = name.value.into();
        blocks.push(HostBlock { name, origins, except, carries, slash, params, not_yet, roots, shows });
    }
    blocks
}

/// A host, or a pattern over hosts, that a block leaves out.
fn read_except(source: &Source, text: &At<&str>) -> Option<HostPattern> {
    let wrong = |error| {
        let host = text.value.split_once("://").map_or(text.value, |(_, host)| host);
        let fix = canonical(host).map_or_else(
            || "write it like `www.example.com` or `*.internal.example.com`".to_owned(),
            |host| format!("did you mean `{host}`?"),
        );
        source.fault(text.span.clone(), error, fix);
    };
    text.value.parse().map_err(|error: HostPatternError| wrong(error)).ok()
}

fn read_origin(source: &Source, text: &At<&str>) -> Option<OriginPattern> {
    let wrong = |message: &dyn Display| source.fault(text.span.clone(), message, mended(text.value));
    let split = text.value.split_once("://").and_then(|(word, rest)| match word {
        "https" => Some((Scheme::Https, None, rest)),
        "http" => Some((Scheme::Http, None, rest)),
        _ => RAW.iter().find(|(name, _)| *name == word).map(|raw| (Scheme::Https, Some(raw), rest)),
    });
    let Some((scheme, raw, rest)) = split else {
        wrong(&format!("`{}` is no origin", text.value.escape_debug()));
        return None;
    };
    if is_address(rest) {
        let message = format!("`{}` is an address, and no address gets a credential", rest.escape_debug());
        source.fault(text.span.clone(), message, "write the name of the host");
        return None;
    }
    let usual = raw.map_or(Some(scheme.default_port()), |(_, port)| *port);
    let (host, port) = match rest.split_once(':') {
        Some((host, port)) => (host, read_port(port)),
        None => (rest, usual),
    };
    let Some(port) = port else {
        wrong(&format!("`{}` has no usable port", text.value.escape_debug()));
        return None;
    };
    let raw = raw.map(|(name, _)| *name);
    host.parse().map_err(|error| wrong(&error)).ok().map(|pattern| OriginPattern { scheme, pattern, port, raw })
}

fn read_port(text: &str) -> Option<u16> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit()); // a sign would be read as well
    text.parse().ok().filter(|port| digits && *port != 0)
}

/// Whether an address stands where a host should, in brackets or as four numbers.
fn is_address(rest: &str) -> bool {
    rest.starts_with('[') || matches!(Authority::parse(rest, Some(1)), Ok(Authority { host: Host::Address(_), .. }))
}

/// How an origin that is none would be written: in small letters, as a name is sent, without user and path.
fn mended(text: &str) -> String {
    let usual = "write it like `https://api.example.com`, `https://*.example.com` or `https://api.example.com:8443`";
    let (scheme, rest) = text.split_once("://").unwrap_or(("https", text));
    let scheme = match &*scheme.to_ascii_lowercase() {
        "http" | "ws" => "http",
        "https" | "wss" => "https",
        _ => return usual.to_owned(),
    };
    let rest = rest.split(['/', '?', '#']).next().unwrap_or("");
    let rest = rest.rsplit('@').next().unwrap_or("");
    let (host, port) = rest.split_once(':').map_or((rest, ""), |(host, port)| (host, port));
    let port = if port.is_empty() { Some(String::new()) } else { read_port(port).map(|port| format!(":{port}")) };
    match (canonical(host), port) {
        (Some(host), Some(port)) => format!("did you mean `{scheme}://{host}{port}`?"),
        _ => usual.to_owned(),
    }
}

/// The one form of a pattern over hosts, if a text is meant as one.
fn canonical(text: &str) -> Option<HostPattern> {
    let bare = text.strip_suffix('.').unwrap_or(text);
    let named = || bare.parse::<Host>().ok().and_then(|host| host.name().map(str::to_owned));
    let lower = bare.to_lowercase().parse::<HostPattern>().ok();
    lower.or_else(|| named()?.parse().ok()).filter(|pattern| pattern.as_str().contains('.'))
}

/// The parameters of an origin are declared, and each stands once.
fn check_params(source: &Source, text: &At<&str>, pattern: &HostPattern, params: &[Param]) {
    let names: Vec<&str> = pattern.params().collect();
    for (at, name) in names.iter().enumerate() {
        if names.iter().skip(at + 1).any(|other| other == name) {
            let message = format!("`{{{name}}}` stands twice in one origin");
            source.fault(text.span.clone(), message, "give each label a name of its own");
        }
        if names.iter().take(at).any(|other| other == name) || params.iter().any(|param| *param.name == **name) {
            continue;
        }
        // Without its `[param.NAME]` the label would be any at all, whatever pattern was meant to hold it.
        let known: Vec<&str> = params.iter().map(|param| &*param.name).collect();
        let near = expected(name, &known);
        let fix = if near.starts_with("did") { near } else { format!("add `[param.{name}]`") };
        source.fault(text.span.clone(), format!("`{{{name}}}` is not declared"), fix);
    }
}

const NOT_DIALLED: &str =
    "until then the proxy connects nobody to the host; leave the block out, or keep it for a later version";

/// Reads `raw`, which origins that are no HTTP must have; why the host cannot be used yet.
fn read_raw(table: &mut Table<'_>, name: &At<&str>, origins: &[OriginPattern]) -> Option<Arc<str>> {
    let source = table.source();
    let schemes = origins.iter().filter_map(|origin| origin.raw);
    let scheme = schemes.clone().next();
    if let Some(mut raw) = table.table("raw") {
        raw.required_text("protocol");
        let protocol = raw.choice("protocol", &RAW.map(|(word, _)| (word, word)));
        if let Some((protocol, scheme)) = protocol.zip(scheme).filter(|(one, other)| one != other) {
            raw.fault(format!("`raw` says `{protocol}`, and `origin` says `{scheme}`"), "write the same in both");
        }
        let span = raw.span();
        raw.finish();
        return Some(source.not_yet_but(span, format_args!("`raw` of `[host.{}]`", name.value), NOT_DIALLED));
    }
    let scheme = scheme?;
    table.fault(
        format!("`[host.{}]` is no HTTP and has no `raw`", name.value),
        format!("add `raw = {{ protocol = \"{scheme}\" }}`"),
    );
    None
}

/// What `tls` says: where the client certificate is named, and the file of the only authority.
#[derive(Default)]
struct Tls<'a> {
    client: Option<Span>,
    ca: Option<At<&'a str>>,
}

fn read_tls<'a>(table: &mut Table<'a>, certificates: bool) -> Tls<'a> {
    let source = table.source();
    let Some(mut tls) = table.table("tls") else { return Tls::default() };
    // What is weaker than this does not exist: an upstream is verified, or not used.
    tls.choice("mode", &[("verify-full", ())]);
    let ca = tls.text("ca").and_then(|ca| {
        let file = ca.value.strip_prefix("file:").filter(|file| is_file_name(file));
        if file.is_none() {
            let message = format!("`{}` names no file of certificates", ca.value.escape_debug());
            source.fault(ca.span.clone(), message, "write it like `file:internal-ca.pem`, beside the service file");
        }
        file.map(|value| At { value, span: ca.span })
    });
    let client = tls.text("client_cert");
    if let Some(client) = &client {
        let usable = client.value.strip_prefix("cred.").is_some_and(super::read::is_name);
        if !usable {
            let message = format!("`{}` names no field of a credential", client.value.escape_debug());
            source.fault(client.span.clone(), message, "write it like `cred.cert`");
        } else if certificates && client.value != "cred.cert" {
            let message = format!("`{}` is no part of a credential of the type `certificate`", client.value);
            source.fault(client.span.clone(), message, "write `cred.cert`, which is the whole of it");
        }
    }
    tls.finish();
    Tls { client: client.map(|client| client.span), ca }
}

/// A name in the folder of the service file: whoever can write elsewhere must not choose whom we trust.
fn is_file_name(text: &str) -> bool {
    !text.is_empty() && !text.starts_with('.') && !text.contains(['/', '\\']) && !text.contains(char::is_control)
}

/// Reads the certificates beside the service file.
fn read_roots(source: &Source, ca: &At<&str>) -> Option<Roots> {
    let path = Path::new(&**source.file()).with_file_name(ca.value);
    let fix = format!("put the certificate of the authority, in PEM, at `{}`", path.display());
    Roots::read(&path).map_err(|error| source.fault(ca.span.clone(), error, fix)).ok()
}

/// Reads every parameter, and those among them that requests show by themselves.
pub(in crate::policy) fn read_params(file: &mut Table<'_>) -> (Vec<Param>, Vec<Attribute>) {
    let (mut params, mut attributes) = (Vec::new(), Vec::new());
    for (name, mut table) in file.named("param") {
        table.text("about");
        let pattern = table.parsed::<ValuePattern>("pattern").map(|at| Arc::new(at.value));
        let segments = table.count("segments", 8).map_or(1, |at| at.value);
        attributes.extend(read_attribute(name.value, &mut table));
        table.finish();
        params.push(Param { name: name.value.into(), pattern, segments });
    }
    (params, attributes)
}
