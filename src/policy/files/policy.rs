//! Reads files of kind `policy`, the user's own grants, and of kind `project`, which can only ask and narrow.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use crate::base::{Environment, SecretName, ServiceId, TimeToLive};

use super::prices::Tariffs;
use super::read::{At, Source, Span, Table, expected};
use crate::policy::{
    grants::{Budget, Grant, Layer, Limited, Measure, Narrow, Only, Those, Verdict, read_approve, read_limits},
    rules::Glob,
    services::{Credential, Service},
};

/// What happens to a host that no granted service names. A credential never travels there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum UnknownHost {
    /// Refused.
    Deny,
    /// The same as [`UnknownHost::Tunnel`], once a person lets it pass.
    Ask,
    /// An untouched, recorded tunnel; the default, so that an agent can still reach everything else.
    #[default]
    Tunnel,
}

/// `[defaults]` of all policy files together: the stricter wins.
#[derive(Clone, Debug, Default)]
pub(in crate::policy) struct Defaults {
    pub(in crate::policy) unknown_host: UnknownHost,
    pub(in crate::policy) ttl: Option<TimeToLive>,
    pub(in crate::policy) budgets: Vec<ReadBudget>,
}

/// A budget and where it limits money, if it does: whether its secret has prices is known when every grant is.
#[derive(Clone, Debug)]
pub(in crate::policy) struct ReadBudget {
    pub(in crate::policy) budget: Budget,
    pub(in crate::policy) money_at: Option<(Arc<str>, usize, usize)>,
}

/// What names in a policy or in a project's file refer to.
#[derive(Clone, Copy)]
pub(in crate::policy) struct Known<'a> {
    pub(in crate::policy) services: &'a Services,
    pub(in crate::policy) tariffs: &'a Tariffs,
}

impl Known<'_> {
    fn limited<'s>(&'s self, service: &'s Service) -> Limited<'s> {
        Limited::Service(service, self.tariffs.get(&service.id).map(|tariff| &**tariff))
    }
}

/// A grant and where its item stands, for faults that concern several files.
pub(in crate::policy) struct ReadGrant {
    pub(in crate::policy) grant: Grant,
    pub(in crate::policy) span: Span,
}

/// What a project says it wants.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    /// The service.
    pub service: ServiceId,
    /// Its capabilities.
    pub capabilities: Vec<Box<str>>,
    /// The reason, for the person who grants it; may be empty.
    pub why: Box<str>,
}

/// A project's file: needs, which give nothing, and narrowings.
#[derive(Clone, Debug, Default)]
pub struct Project {
    /// What it wants.
    pub needs: Vec<Need>,
    /// What it gives up.
    pub narrows: Vec<Narrow>,
    /// The only environment that it may be worked on in. It selects none: that is for whoever starts the work.
    pub environment: Option<Environment>,
}

/// The services that files may name.
#[derive(Debug, Default)]
pub(in crate::policy) struct Services {
    pub(in crate::policy) usable: HashMap<ServiceId, Arc<Service>>,
    /// Those whose files have faults: nothing can be said of what names them, and their load fails anyway.
    pub(in crate::policy) faulty: HashSet<ServiceId>,
    /// There may be others: some file could not be read so far that it says which service it describes.
    pub(in crate::policy) is_part: bool,
}

/// Reads `[defaults]` and every `[[grant]]`.
pub(in crate::policy) fn read_policy(mut file: Table<'_>, known: Known<'_>) -> (Defaults, Vec<ReadGrant>) {
    let mut defaults = Defaults::default();
    if let Some(mut table) = file.table("defaults") {
        defaults.unknown_host = read_unknown_host(&mut table);
        // There is no way round it, and whoever writes so wants none.
        if table.text("scrub").is_some_and(|scrub| scrub.value != "on") {
            table.fault(
                "what answers repeat of a credential is always scrubbed",
                "write `scrub = \"on\"`, or leave it out",
            );
        }
        defaults.ttl = table.parsed::<TimeToLive>("ttl").map(|at| at.value);
        table.finish();
    }
    defaults.budgets = file.tables("budget").into_iter().filter_map(read_budget).collect();
    let grants = file.tables("grant").into_iter().filter_map(|table| read_grant(table, known)).collect();
    file.finish();
    (defaults, grants)
}

fn read_unknown_host(defaults: &mut Table<'_>) -> UnknownHost {
    let words = [("tunnel", UnknownHost::Tunnel), ("ask", UnknownHost::Ask), ("deny", UnknownHost::Deny)];
    defaults.choice("unknown_host", &words).unwrap_or_default()
}

/// `[[budget]]`: what all grants of one secret may use together.
fn read_budget(mut table: Table<'_>) -> Option<ReadBudget> {
    let source = table.source();
    let (line, _) = source.position(table.span().start);
    let secret = table.required_text("secret").and_then(|text| source.parse_at::<SecretName>(&text));
    let limit = table.table("limit");
    let limits = limit.as_ref().map(|table| read_limits(table, Limited::Secret));
    let says_nothing = match &limit {
        Some(limit) => limit.is_empty().then_some("the budget limits nothing"),
        None => (!table.has("limit")).then_some("the budget has no `limit`"),
    };
    if let Some(message) = says_nothing {
        table.fault(message, "add `limit = { requests = \"1K/day\" }`");
    }
    table.finish();
    let limits = limits?;
    let money = limits.iter().any(|limit| *limit.measure() == Measure::Money);
    let money = limit.as_ref().and_then(|table| table.key("money")).filter(|_| money);
    let money_at =
        money.map(|span| source.position(span.start)).map(|(line, column)| (source.file().clone(), line, column));
    let budget = Budget { secret: secret?.value, limits, place: format!("{}:{line}", source.file()).into() };
    Some(ReadBudget { budget, money_at })
}

fn read_grant(mut table: Table<'_>, known: Known<'_>) -> Option<ReadGrant> {
    let source = table.source();
    let span = table.span();
    let service = read_service_id(&mut table, known.services);
    let agents = read_those(&mut table, "agents", read_glob);
    let projects = read_those(&mut table, "projects", read_folders);
    let environments = read_those(&mut table, "environments", read_glob);
    let ttl = table.parsed::<TimeToLive>("ttl").map(|at| at.value);
    let lists = [("allow", Verdict::Allow), ("ask", Verdict::Ask), ("deny", Verdict::Deny)]
        .map(|(key, verdict)| (table.texts(key).unwrap_or_default(), verdict));
    let unscoped = table.texts("unscoped").unwrap_or_default();
    let approve = read_approve(&mut table);
    let only = table.table("only");
    let limit = table.table("limit");
    table.value("item"); // known also when the service is not
    let items = service.map_or_else(Vec::new, |service| read_items(&mut table, service));
    table.finish();
    let service = service?;
    let mut listed: Vec<(usize, Verdict)> = Vec::new();
    for (names, verdict) in lists {
        for name in names {
            let Some(index) = capability(source, service, &name) else { continue };
            if listed.iter().any(|(other, _)| *other == index) {
                source.fault(
                    name.span,
                    format!("`{}` is listed twice in this grant", name.value),
                    "keep it in one of `allow`, `ask`, `deny`",
                );
                continue;
            }
            listed.push((index, verdict));
        }
    }
    let unscoped = unscoped.iter().filter_map(|name| capability(source, service, name)).collect();
    let only = only.map_or_else(Vec::new, |table| read_only(table, service));
    let limits = limit.map_or_else(Vec::new, |table| read_limits(&table, known.limited(service)));
    let tariff = known.tariffs.get(&service.id).cloned();
    let (line, _) = source.position(span.start);
    let place = format!("{}:{line}", source.file()).into();
    let service = service.id.clone();
    let grant = Grant {
        service,
        items,
        agents,
        projects,
        environments,
        listed,
        only,
        unscoped,
        ttl,
        limits,
        tariff,
        approve,
        place,
    };
    Some(ReadGrant { grant, span })
}

pub(super) fn read_service_id<'s>(table: &mut Table<'_>, services: &'s Services) -> Option<&'s Arc<Service>> {
    read_service_or(table, services, "`secrets policy list` shows the known ones")
}

/// The same, with what to do about one that is not known.
fn read_service_or<'s>(table: &mut Table<'_>, services: &'s Services, fix: &str) -> Option<&'s Arc<Service>> {
    let source = table.source();
    let id = table.required_text("service")?;
    let found = services.usable.get(id.value);
    if found.is_none() && !services.faulty.contains(id.value) {
        let mut known: Vec<&str> = services.usable.keys().chain(&services.faulty).map(ServiceId::as_str).collect();
        known.sort_unstable();
        let near = expected(id.value, &known);
        if services.is_part && !near.starts_with("did") {
            return None; // it may be the one that was not read
        }
        let fix = if near.starts_with("did") { near } else { fix.to_owned() };
        source.fault(id.span, format!("there is no service `{}`", id.value.escape_debug()), fix);
    }
    found
}

fn read_items(table: &mut Table<'_>, service: &Service) -> Vec<(Arc<str>, SecretName)> {
    let source = table.source();
    let Some(value) = table.value("item") else {
        table.fault("the grant has no `item`", "add `item = \"NAME\"`, the name of a stored secret");
        return Vec::new();
    };
    if value.get_ref().as_str().is_some() {
        let Some(text) = table.text("item") else { return Vec::new() };
        let [credential] = &*service.credentials else {
            let example =
                service.credentials.iter().map(|c| format!("{} = \"SECRET\"", c.name)).collect::<Vec<_>>().join(", ");
            let message = format!(
                "`{}` has {} credentials, so `item` must say which secret is which",
                service.id,
                service.credentials.len()
            );
            source.fault(text.span, message, format!("write `item = {{ {example} }}`"));
            return Vec::new();
        };
        return source.parse_at(&text).map(|name| vec![(credential.name.clone(), name.value)]).unwrap_or_default();
    }
    if !value.get_ref().is_table() {
        let message = format!("`item` is {}", value.get_ref().type_str());
        source.fault(value.span(), message, "expected the name of a secret, or a table with one for each credential");
        return Vec::new();
    }
    let Some(inner) = table.table("item") else { return Vec::new() };
    let (mut items, named) = (Vec::new(), inner.all_texts());
    if named.is_empty() {
        source.fault(value.span(), "`item` names no secret", "write `item = \"NAME\"`, the name of a stored secret");
    }
    for (name, secrets) in named {
        let Some(credential) = service.credential(name.value) else {
            let known: Vec<&str> = service.credentials.iter().map(Credential::name).collect();
            source.fault(
                name.span,
                format!("`{}` has no credential `{}`", service.id, name.value.escape_debug()),
                expected(name.value, &known),
            );
            continue;
        };
        match &*secrets {
            [secret] => items.extend(source.parse_at(secret).map(|secret| (credential.name.clone(), secret.value))),
            _ => source.fault(
                name.span,
                format!("`{}` takes exactly one secret", name.value),
                "write a second grant for a second secret",
            ),
        }
    }
    items
}

fn read_those(table: &mut Table<'_>, key: &'static str, read: fn(&Source, &At<&str>) -> Option<Glob>) -> Those {
    let source = table.source();
    let Some(texts) = table.texts(key) else { return Those::All };
    Those::Listed(texts.iter().filter_map(|text| read(source, text)).collect())
}

fn read_glob(source: &Source, text: &At<&str>) -> Option<Glob> {
    source.parse_at::<Glob>(text).map(|at| at.value)
}

/// Folders are known by their whole path: whatever cannot be one would make a grant that never fits.
fn read_folders(source: &Source, text: &At<&str>) -> Option<Glob> {
    let expanded = in_home(text.value);
    let (whole, ends) = (expanded.starts_with(['/', '*']), expanded.len() > 1 && expanded.ends_with('/'));
    if !expanded.is_empty() && (!whole || ends) {
        let message = format!("`{}` is no project's folder", text.value.escape_debug());
        let fix = if ends { "leave out the `/` at its end" } else { "write it like `~/src/acme/**` or `/srv/acme`" };
        source.fault(text.span.clone(), message, fix);
        return None;
    }
    read_glob(source, &At { value: &expanded, span: text.span.clone() })
}

/// `~/src/**` below the user's own folder.
fn in_home(text: &str) -> String {
    let home = std::env::home_dir().and_then(|home| home.to_str().map(str::to_owned));
    match (text.strip_prefix('~'), home) {
        (Some(rest), Some(home)) if rest.is_empty() || rest.starts_with('/') => {
            format!("{}{rest}", home.trim_end_matches('/'))
        }
        _ => text.to_owned(),
    }
}

pub(in crate::policy) fn capability(source: &Source, service: &Service, name: &At<&str>) -> Option<usize> {
    let found = service.capabilities.iter().position(|capability| *capability.name == *name.value);
    if found.is_none() {
        let known: Vec<&str> = service.capabilities.iter().map(|capability| &*capability.name).collect();
        let message = format!("`{}` has no capability `{}`", service.id, name.value.escape_debug());
        source.fault(name.span.clone(), message, expected(name.value, &known));
    }
    found
}

pub(in crate::policy) fn read_only(table: Table<'_>, service: &Service) -> Vec<Only> {
    let source = table.source();
    let mut all = Vec::new();
    for (param, values) in table.all_texts() {
        if !service.params.iter().any(|known| *known.name == *param.value) {
            let known: Vec<&str> = service.params.iter().map(|param| &*param.name).collect();
            let message = format!("`{}` has no parameter `{}`", service.id, param.value.escape_debug());
            source.fault(param.span.clone(), message, expected(param.value, &known));
        }
        let values = values.iter().filter_map(|value| source.parse_at::<Glob>(value)).map(|at| at.value).collect();
        all.push(Only { param: param.value.into(), values });
    }
    all
}

/// Reads a project's file; any other key than `need`, `narrow`, `environment` and `propose` is a fault (attack 87).
pub(in crate::policy) fn read_project(mut file: Table<'_>, known: Known<'_>) -> Project {
    let services = known.services;
    // Inert: known, and looked at by nobody who opens a session.
    let proposes = file.value("propose").is_some();
    let unknown = if proposes {
        "`secrets policy accept` shows what the file proposes, and takes it over if you say so"
    } else {
        "`secrets policy list` shows the known ones"
    };
    let environment = file.parsed::<Environment>("environment").map(|at| at.value);
    let mut project = Project { environment, ..Project::default() };
    for mut table in file.tables("need") {
        let service = read_service_or(&mut table, services, unknown);
        let source = table.source();
        let names = table.texts("caps").unwrap_or_default();
        let why = table.text("why").map_or("", |why| why.value).into();
        table.finish();
        let Some(service) = service else { continue };
        let known = names.iter().filter(|name| capability(source, service, name).is_some());
        let capabilities = known.map(|name| name.value.into()).collect();
        project.needs.push(Need { service: service.id.clone(), capabilities, why });
    }
    for mut table in file.tables("narrow") {
        let service = read_service_or(&mut table, services, unknown);
        let source = table.source();
        let lists = ["ask", "deny"].map(|key| table.texts(key).unwrap_or_default());
        let only = table.table("only");
        let limit = table.table("limit");
        let ttl = table.parsed::<TimeToLive>("ttl").map(|at| at.value);
        table.finish();
        let Some(service) = service else { continue };
        let names = |list: &[At<&str>]| {
            let known = list.iter().filter(|name| capability(source, service, name).is_some());
            known.map(|name| name.value.into()).collect()
        };
        let [ask, deny] = lists.map(|list| names(&list));
        let only = only.map_or_else(Vec::new, |table| read_only(table, service));
        let limits = limit.map_or_else(Vec::new, |table| read_limits(&table, known.limited(service)));
        project.narrows.push(Narrow {
            ask,
            deny,
            only,
            ttl,
            limits,
            ..Narrow::new(Layer::Project, service.id.clone())
        });
    }
    file.finish();
    project
}
