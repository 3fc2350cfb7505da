//! `secrets ca`: the root that clients of the proxy must trust; its key is never shown.

use clap::{Args, Subcommand};
use serde_json::json;

use crate::cli::{context::Context, envelope::NextAction, printer::Outcome, report::Report, sanitize};
use crate::control::{Certificate, ShowCa};

#[derive(Args, Debug)]
pub(in crate::cli) struct Arguments {
    #[command(subcommand)]
    act: Act,
}

#[derive(Clone, Copy, Debug, Subcommand)]
enum Act {
    /// Print the path of the certificate
    Path,
    /// Print the certificate with its fingerprint
    Show,
}

impl Arguments {
    pub(in crate::cli) const fn name(&self) -> &'static str {
        match self.act {
            Act::Path => "secrets ca path",
            Act::Show => "secrets ca show",
        }
    }
}

pub(super) async fn run(context: &mut Context, arguments: &Arguments) -> Result<Outcome, Report> {
    let certificate = context.call(ShowCa {}, None).await?;
    let path = sanitize::line(&certificate.path.to_string_lossy());
    let human = match arguments.act {
        Act::Path => format!("{path}\n"),
        // The text around the block is a comment to every reader of PEM (RFC 7468, section 2).
        Act::Show => format!(
            "file:    {path}\nsha-256: {}\n{}{}{}\n",
            sanitize::line(&certificate.fingerprint),
            certificate.expires_at.map(|ends| format!("ends:    {ends}\n")).unwrap_or_default(),
            names(&certificate),
            certificate.pem.trim_end(),
        ),
    };
    let result = match arguments.act {
        Act::Path => json!({"path": certificate.path, "fingerprint": certificate.fingerprint}),
        Act::Show => json!(certificate),
    };
    let restart = NextAction::new("secrets daemon restart", "Make a root that vouches for every granted host");
    let next = if certificate.uncovered.is_empty() { vec![] } else { vec![restart] };
    Ok(Outcome::Shown { result, human, next })
}

fn names(certificate: &Certificate) -> String {
    let line = |title: &str, names: &[String]| format!("{title} {}\n", sanitize::line(&names.join(", ")));
    let mut lines = certificate.names.as_ref().map(|names| line("names:  ", names)).unwrap_or_default();
    if !certificate.uncovered.is_empty() {
        lines.push_str(&line("missing:", &certificate.uncovered));
        lines.push_str("         `secrets daemon restart` makes a root that vouches for them\n");
    }
    lines
}
