//! `secrets policy explain`: every layer's verdict on one request, given as people give one to curl.
//!
//! Invariant: no value of a field and no byte of a body is printed, since either may hold a credential.

use std::{
    convert::Infallible,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use clap::Args;
use serde_json::json;

use super::folder;
use crate::cli::{
    context::{Context, client_id},
    envelope::NextAction,
    exit::ExitStatus,
    printer::Outcome,
    report::Report,
    table::{self, Table},
};
use crate::{
    base::{Environment, SecretBytes, SecretName, counted},
    control::{AskedBody, AskedField, BodyVerdict, ExplainPolicy, Explanation, WireToken, WireValue},
};

#[derive(Args, Debug)]
pub(super) struct Arguments {
    /// The HTTP method, in the letters in which it is sent
    method: String,
    /// The absolute URL; wss:// for a WebSocket
    url: String,
    /// A field of the head, such as 'content-type: application/json'; may be repeated
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE", value_parser = hidden)]
    headers: Vec<WireToken>,
    /// The body, or @FILE that holds it, without its line ends, as curl reads it; several are joined by `&`, and '' is none
    #[arg(short, long, value_name = "TEXT", allow_hyphen_values = true, conflicts_with = "data_file", value_parser = hidden)]
    data: Vec<WireToken>,
    /// The file that holds the body, byte for byte; - is standard input. At most 16 MiB
    #[arg(long, value_name = "FILE")]
    data_file: Option<PathBuf>,
    /// For whom; inside a session always for the session [default: user, shell and process, such as alice-zsh-4711]
    #[arg(long, value_name = "ID", visible_alias = "client-id")]
    client: Option<String>,
    /// With which secret [default: any that is for this host]
    #[arg(long, value_name = "NAME")]
    secret: Option<SecretName>,
    /// On what it works [default: nothing that was said]
    #[arg(long, value_name = "NAME")]
    environment: Option<Environment>,
    /// In which folder: its project narrows [default: this one]
    #[arg(long, value_name = "FOLDER")]
    project: Option<PathBuf>,
}

const HELP: &str = "secrets policy explain --help";

/// No rule looks further into a body.
const MAX_BODY: usize = 16 << 20;

/// Never refused here, so that no error quotes it.
#[expect(clippy::unnecessary_wraps, reason = "the form of a value parser")]
fn hidden(text: &str) -> Result<WireToken, Infallible> {
    Ok(WireToken::new(text))
}

pub(super) async fn run(context: &mut Context, arguments: &Arguments) -> Result<Outcome, Report> {
    let fields = arguments.headers.iter().filter_map(|text| field(text.reveal()).transpose());
    let request = ExplainPolicy {
        method: arguments.method.clone(),
        url: arguments.url.clone(),
        client_id: client_id(arguments.client.as_deref(), HELP)?,
        project_dir: Some(folder(arguments.project.as_ref().unwrap_or(&context.folder))?),
        environment: arguments.environment.clone(),
        secret: arguments.secret.clone(),
        headers: fields.collect::<Result<_, _>>()?,
        body: body(arguments)?.map(asked),
    };
    let explanation = context.call(request, arguments.secret.as_ref()).await?;
    let human = explained(&explanation);
    let next = vec![NextAction::new("secrets policy list", "See services and grants")];
    Ok(Outcome::Shown { result: json!(explanation), human, next })
}

/// As curl reads it: `NAME: VALUE`, `NAME;` for an empty one, and `NAME:` for a field that is not sent.
fn field(text: &str) -> Result<Option<AskedField>, Report> {
    let (name, value) = match (text.split_once(':'), text.strip_suffix(';')) {
        (Some((_, value)), _) if value.trim().is_empty() => return Ok(None),
        (Some((name, value)), _) => (name, value.trim()),
        (None, Some(name)) => (name, ""),
        (None, None) => return Err(Report::misuse("a header field is written `name: value`", HELP)),
    };
    Ok(Some(AskedField { name: WireToken::new(name.trim()), value: WireToken::new(value) }))
}

/// What the flags say of the body; `None` when they say nothing.
fn body(arguments: &Arguments) -> Result<Option<Vec<u8>>, Report> {
    match &arguments.data_file {
        Some(path) if path.as_os_str() == "-" => read(io::stdin().lock(), Path::new("/dev/stdin")).map(Some),
        Some(path) => read_file(path).map(Some),
        None if arguments.data.is_empty() => Ok(None),
        None => {
            let parts = arguments.data.iter().map(|text| match text.reveal().strip_prefix('@') {
                Some("-") => read(io::stdin().lock(), Path::new("/dev/stdin")).map(without_line_ends),
                Some(path) => read_file(Path::new(path)).map(without_line_ends),
                None => Ok(text.reveal().as_bytes().to_vec()),
            });
            let parts = parts.collect::<Result<Vec<_>, _>>()?;
            Ok(Some(parts.join(&b'&')))
        }
    }
}

fn without_line_ends(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.retain(|byte| !matches!(byte, b'\r' | b'\n' | 0));
    bytes
}

fn read_file(path: &Path) -> Result<Vec<u8>, Report> {
    let file = File::open(path).map_err(|error| Report::io("open", path, &error))?;
    read(file, path)
}

fn read(reader: impl Read, path: &Path) -> Result<Vec<u8>, Report> {
    let mut bytes = Vec::new();
    let most = MAX_BODY as u64 + 1;
    reader.take(most).read_to_end(&mut bytes).map_err(|error| Report::io("read", path, &error))?;
    if bytes.len() > MAX_BODY {
        let message = format!("`{}` has more than {MAX_BODY} bytes, and no rule looks further", path.display());
        return Err(Report::new(ExitStatus::Data, message, HELP));
    }
    Ok(bytes)
}

fn asked(mut body: Vec<u8>) -> AskedBody {
    let length = body.len() as u64;
    body.truncate(AskedBody::MAX_FRONT);
    AskedBody { front: WireValue::new(SecretBytes::new(body)), length }
}

fn explained(explanation: &Explanation) -> String {
    let mut lines = vec![("verdict", explanation.verdict.clone())];
    lines.extend(explanation.code.iter().map(|code| ("code", code.clone())));
    lines.extend(explanation.capability.iter().map(|capability| ("capability", capability.clone())));
    lines.extend((!explanation.reason.is_empty()).then(|| ("reason", explanation.reason.clone())));
    lines.extend(explanation.nearest.iter().map(|nearest| ("nearest", nearest.clone())));
    lines.extend(explanation.limits.iter().map(|limit| ("limit", limit.clone())));
    lines.extend(explanation.body.as_ref().and_then(body_told).map(|body| ("body", body)));
    lines.extend(explanation.fields.iter().map(|field| {
        let told = if field.given { "given" } else { "not given; --header says it" };
        ("looks at", format!("{}: {told}", field.name))
    }));
    let mut layers = Table::new(&["layer", "verdict", "reason"]);
    for layer in &explanation.layers {
        layers.row([&layer.layer, &layer.verdict, &layer.reason]);
    }
    format!("{}\n{}", table::pairs(lines), layers.render("no layer had a say"))
}

/// What became of the body; `None` where there is none and none is needed.
fn body_told(body: &BodyVerdict) -> Option<String> {
    let bytes = body.length.map(|length| counted(length, "byte"));
    let told = match (&*body.seen, bytes) {
        ("missing", _) => {
            "not given, and rules look into it: --data or --data-file says it, and --data '' that there is none"
                .to_owned()
        }
        (_, None) => return None,
        ("read", Some(bytes)) => format!("{bytes}, read"),
        ("too_long", Some(bytes)) => format!("{bytes}; rules look into {} at most", body.most.unwrap_or_default()),
        ("cut", Some(bytes)) => {
            let most = AskedBody::MAX_FRONT;
            format!("{bytes}; rules look into more than the {most} bytes that can be asked about, so it is not known")
        }
        (_, Some(bytes)) => format!("{bytes}, which no rule looks into"),
    };
    Some(told)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_written_as_for_curl_and_an_error_quotes_nothing() {
        let read = |text: &str| {
            let field = field(text).unwrap()?;
            Some((field.name.reveal().to_owned(), field.value.reveal().to_owned()))
        };
        let is = |name: &str, value: &str| Some((name.to_owned(), value.to_owned()));
        assert_eq!(read("X-A: b: c "), is("X-A", "b: c"));
        assert_eq!(read("x-a:b"), is("x-a", "b"));
        assert_eq!(read("x-a;"), is("x-a", ""));
        assert_eq!(read("x-a:"), None);
        let why = field("Bearer canary").unwrap_err();
        assert!(!why.message.contains("canary") && !why.fix.contains("canary"), "{why:?}");
    }

    #[test]
    fn a_long_body_goes_over_by_its_beginning_and_its_length() {
        let asked = asked(vec![b'x'; AskedBody::MAX_FRONT + 5]);
        assert_eq!((asked.front.reveal().len(), asked.length), (AskedBody::MAX_FRONT, AskedBody::MAX_FRONT as u64 + 5));
        assert!(read(io::repeat(b'x'), Path::new("x")).is_err(), "what never ends is not read to its end");
        assert_eq!(without_line_ends(b"{\r\n\0}\n".to_vec()), b"{}");
    }
}
