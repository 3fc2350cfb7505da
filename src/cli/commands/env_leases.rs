//! The leases that an env file holds, and the variables that lead its readers to the proxy.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::env::Arguments;
use crate::cli::{
    beside::Beside,
    context::{Context, longest},
    envelope::NextAction,
    exit::ExitStatus,
    globals::GivenTtl,
    narrow::less_of,
    parts::TrustRequest,
    project_file::{edit, obeyed},
    report::Report,
};
use crate::{
    base::{ClientId, LeaseId, ServiceId, TimeToLive, Timestamp},
    control::{Client, LeaseSecret, LeaseToken, ListSecrets, Ping, ShowCa},
    daemon::Settings,
    policy::Less,
    project::{StoreProject, Variable, Wanted},
};

/// What was leased so far.
#[derive(Default)]
pub(super) struct Leases {
    pub(super) variables: Vec<Variable>,
    pub(super) shown: Vec<Value>,
    pub(super) ids: Vec<LeaseId>,
    pub(super) ends: Option<Timestamp>,
    pub(super) hosts: Vec<String>,
    pub(super) beside: Beside,
}

/// How to lease.
pub(super) struct Asked<'a> {
    pub(super) client_id: &'a ClientId,
    pub(super) raw: bool,
    /// The project's file.
    pub(super) file: &'a Path,
    pub(super) ttl: Option<TimeToLive>,
    /// For the command that would do better.
    pub(super) arguments: &'a Arguments,
}

/// Leases everything that a project wants, in its order.
pub(super) async fn take(
    context: &Context,
    client: &mut Client,
    wants: &StoreProject,
    asked: &Asked<'_>,
    leases: &mut Leases,
) -> Result<(), Report> {
    if let Some(wish) = wants.secrets.iter().find(|wish| wish.variable.is_obeyed()) {
        return Err(obeyed(wish.variable.as_str(), edit(asked.file)));
    }
    let services =
        if asked.raw { Vec::new() } else { services(context, client, &wants.secrets, asked.arguments).await? };
    let plain = asked.arguments.again(|again| again.narrow = again.narrow.without());
    let less = asked.arguments.narrow.less(&plain)?;
    let mut all: Vec<ServiceId> = services.clone();
    all.sort();
    all.dedup();
    for (at, wish) in wants.secrets.iter().enumerate() {
        let ttl = wants.ttl_asked(wish, asked.ttl);
        let narrow_to = match services.get(at) {
            Some(service) => less_of(&less, service, &all, &plain)?,
            None => less.clone(), // not there yet: its lease will tell
        };
        lease(context, client, wish, &Asked { ttl, ..*asked }, narrow_to, leases).await?;
    }
    Ok(())
}

/// The service of each. A token is of use only where a service says where it goes; told before anything is leased.
async fn services(
    context: &Context,
    client: &mut Client,
    wishes: &[Wanted],
    arguments: &Arguments,
) -> Result<Vec<ServiceId>, Report> {
    let known = client.call(ListSecrets {}).await.map_err(|error| context.subject(None).control(error))?.secrets;
    for wish in wishes {
        let unbound = known.iter().any(|secret| secret.name == wish.name && secret.service.is_none());
        if unbound {
            let message = format!(
                "`{}` belongs to no service, so that a token for it leads nowhere; its raw value can be written",
                wish.name
            );
            let max = longest(context);
            let fix = arguments.again(|asked| {
                asked.raw = true;
                asked.ttl.0 = asked.ttl.0.map(|ttl| max.map_or(ttl, |max| ttl.min(max)));
            });
            return Err(Report::new(ExitStatus::Generic, message, fix));
        }
    }
    let service = |wish: &Wanted| known.iter().find(|secret| secret.name == wish.name)?.service.clone();
    // A secret that is not there is for the lease of it to say.
    Ok(wishes.iter().map_while(service).collect())
}

async fn lease(
    context: &Context,
    client: &mut Client,
    wish: &Wanted,
    asked: &Asked<'_>,
    narrow_to: Vec<Less>,
    leases: &mut Leases,
) -> Result<(), Report> {
    let (secret_name, client_id, ttl) = (wish.name.clone(), asked.client_id.clone(), asked.ttl);
    let failed = |error| {
        let report = context.subject(Some(&wish.name)).control(error);
        match longest(context).filter(|max| ttl.is_some_and(|ttl| ttl > *max)) {
            Some(max) if asked.arguments.ttl.0.is_some() => {
                Report { fix: asked.arguments.again(|again| again.ttl = GivenTtl(Some(max))), ..report }
            }
            Some(_) => Report { fix: edit(asked.file), ..report },
            None => report,
        }
    };
    let mut beside = BTreeMap::new();
    let (lease_id, expires_at, value) = if asked.raw {
        let answer = client.call(LeaseSecret { secret_name, client_id, ttl }).await.map_err(failed)?;
        (answer.lease_id, answer.expires_at, answer.value.reveal().to_vec())
    } else {
        let environment = asked.arguments.narrow.environment.clone();
        let token = LeaseToken { ttl, environment, narrow_to, ..LeaseToken::of(secret_name, client_id) };
        let answer = client.call(token).await.map_err(failed)?;
        leases.hosts.extend(answer.hosts);
        beside = answer.beside;
        (answer.lease_id, answer.expires_at, answer.token.reveal().as_bytes().to_vec())
    };
    leases.ids.push(lease_id);
    leases.beside.add(&wish.name, &beside)?;
    leases.variables.push((wish.variable.clone(), Zeroizing::new(value)));
    leases.ends = Some(leases.ends.map_or(expires_at, |ends| ends.min(expires_at)));
    leases
        .shown
        .push(json!({"secret": wish.name, "env_var": wish.variable, "lease_id": lease_id, "expires_at": expires_at}));
    Ok(())
}

/// The way into the proxy's main listener, and what is to be known of it.
pub(super) struct WayIn {
    pub(super) variables: Vec<Variable>,
    pub(super) note: String,
    pub(super) next: Option<NextAction>,
}

/// Independent of what this process happens to inherit.
pub(super) async fn way_in(context: &Context, client: &mut Client, hosts: &[String]) -> Result<WayIn, Report> {
    let pong = client.call(Ping {}).await.map_err(|error| context.subject(None).control(error))?;
    let certificate = client.call(ShowCa {}).await.map_err(|error| context.subject(None).control(error))?;
    let proxy = pong.proxy_addr.parse().map_err(|_| Report::internal("the proxy's address is odd"))?;
    let request = TrustRequest {
        proxy,
        credentials: None,
        support: &context.home.support(),
        root_pem: &certificate.pem,
        inherited: &BTreeMap::new(),
        secret_hosts: hosts,
    };
    let pairs = (context.parts.environment)(&request).map_err(|failure| context.subject(None).failure(failure))?;
    let mut names = BTreeSet::new();
    let mut variables = Vec::new();
    for (name, value) in pairs {
        let name = name.to_str().and_then(|name| name.parse::<crate::base::VariableName>().ok());
        let name = name.ok_or_else(|| Report::internal("a variable of the proxy has an odd name"))?;
        if names.insert(name.clone()) {
            variables.push((name, Zeroizing::new(value.into_encoded_bytes())));
        }
    }
    // A daemon that was told its port keeps it; any other gets a new one when it starts again.
    let settings = Settings::load(&context.home, context.globals.config.as_deref());
    let is_fixed = settings.is_ok_and(|settings| settings.proxy.listen.port() != 0);
    if is_fixed {
        return Ok(WayIn { variables, note: format!("lease tokens; the proxy at {proxy} takes them"), next: None });
    }
    let note = format!(
        "lease tokens; the proxy at {proxy} takes them until the daemon ends; `[proxy] listen = \"{proxy}\"` in config.toml keeps the port"
    );
    let next = NextAction::new(
        "secrets env --force",
        format!("Write it again when the daemon was restarted, unless config.toml says `[proxy] listen = \"{proxy}\"`"),
    );
    Ok(WayIn { variables, note, next: Some(next) })
}
