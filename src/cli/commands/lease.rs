//! `secrets lease`: the raw value, or an opaque token that is worth something at the proxy only.
//!
//! Invariant: standard output holds the value and nothing else, and nothing at all when the lease fails.

use clap::Args;
use serde_json::{Value, json};

use crate::cli::{
    context::{Context, client_id, secret_name},
    envelope::NextAction,
    narrow::NarrowFlags,
    printer::{Form, Outcome},
    project_file,
    report::Report,
    sanitize::shell_word,
};
use crate::{
    base::{SecretBytes, TimeToLive},
    control::{LeaseSecret, LeaseToken, WireValue},
};

#[derive(Args, Debug)]
pub(in crate::cli) struct Arguments {
    /// The secret's name
    name: String,
    /// How long, such as 30m, 1h30m or 1d [default: as configured, 1h]
    #[arg(long, value_name = "DURATION", allow_hyphen_values = true)]
    ttl: Option<String>,
    /// For whom, as the record shows it [default: user, shell and process, such as alice-zsh-4711]
    #[arg(long, value_name = "ID")]
    client_id: Option<String>,
    #[command(flatten)]
    narrow: NarrowFlags,
    /// Print an opaque lease token instead of the raw value
    #[arg(long)]
    token: bool,
    /// Print an envelope instead of the bare value
    #[arg(long)]
    pub(in crate::cli) json: bool,
    /// Deprecated: the raw value is the default
    #[arg(long, hide = true)]
    raw: bool,
}

pub(super) async fn run(context: &mut Context, arguments: &Arguments) -> Result<Outcome, Report> {
    if arguments.raw {
        context.printer.say("`--raw` is deprecated; the raw value is the default");
    }
    let name = secret_name(&arguments.name, &context.command)?;
    let plain =
        format!("{} {}", context.command, shell_word(name.as_str())) + if arguments.token { " --token" } else { "" };
    if !arguments.token && (arguments.narrow.narrows() || arguments.narrow.environment.is_some()) {
        let message = "a value that is printed as it is cannot be narrowed; a lease token can";
        return Err(Report::misuse(message, format!("{plain} --token{}", arguments.narrow.words())));
    }
    let narrow_to = arguments.narrow.less(&plain)?;
    let client = client_id(arguments.client_id.as_deref(), &plain)?;
    let with_envelope = arguments.json || context.globals.wants_json();
    // An empty one is none, so that `--ttl "$TTL"` goes on working without the variable.
    let asked = arguments.ttl.as_deref().filter(|text| !text.is_empty());
    let ttl = asked.map(|text| duration(text, &plain)).transpose()?;
    let mut result = json!({"secret_name": name, "client_id": client});
    if arguments.token {
        let mut connection = context.connect().await?;
        let again = |environment| {
            let mut narrow = arguments.narrow.clone();
            narrow.environment = Some(environment);
            format!("{plain}{}", narrow.words())
        };
        let environment = arguments.narrow.environment.as_ref();
        project_file::check_environment(context, &mut connection, environment, vec![name.clone()], again).await?;
        let request = LeaseToken {
            ttl,
            environment: arguments.narrow.environment.clone(),
            narrow_to,
            ..LeaseToken::of(name.clone(), client)
        };
        let client = request.client_id.clone();
        let leased = connection.call(request).await;
        let leased = leased.map_err(|error| context.subject(Some(&name)).control(error))?;
        if !with_envelope {
            if let Some(replaced) = leased.replaces {
                let holder = leased.client_id.as_ref().unwrap_or(&client);
                let mut said = format!("lease `{replaced}`, which `{holder}` held for `{name}`, has ended");
                if leased.client_id.is_none() {
                    said.push_str("; name another client with --client-id to keep both");
                }
                context.printer.say(&said);
            }
            return Ok(Outcome::Raw(WireValue::new(SecretBytes::new(leased.token.reveal().as_bytes().to_vec()))));
        }
        merge(&mut result, json!(leased));
    } else {
        let request = LeaseSecret { secret_name: name.clone(), client_id: client, ttl };
        let leased = context.call(request, Some(&name)).await?;
        if !with_envelope {
            return Ok(Outcome::Raw(leased.value));
        }
        merge(&mut result, json!(leased));
    }
    // As it was asked for, which scripts compare; what the daemon made of it otherwise.
    if let Some(asked) = asked {
        merge(&mut result, json!({"ttl": asked}));
    }
    debug_assert_eq!(context.printer.form(), Form::Json);
    let id = result.get("lease_id").and_then(Value::as_str).unwrap_or_default().to_owned();
    let next = vec![NextAction::new(format!("secrets revoke {id}"), "End this lease early")];
    Ok(Outcome::Shown { human: String::new(), result, next })
}

/// Unlike agent-secrets, which makes an hour of what is no time: nobody gets longer than was asked for.
fn duration(text: &str, plain: &str) -> Result<TimeToLive, Report> {
    text.parse().map_err(|error: crate::base::TimeToLiveError| {
        Report::misuse(format!("{error}; without `--ttl` it is as configured"), plain)
    })
}

fn merge(result: &mut Value, more: Value) {
    if let (Some(fields), Value::Object(more)) = (result.as_object_mut(), more) {
        fields.extend(more);
    }
}
