//! `PolicySet`: an immutable snapshot of catalogue, user services and grants.
//!
//! Invariant: a set exists only if every file of it is without fault; nothing changes it afterwards.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    path::{Path, PathBuf},
    rc::Rc,
    sync::Arc,
};

use crate::base::{Authority, Scheme, SecretName, ServiceId, read_bounded};

use super::{
    Fault, LoadErrors,
    catalogue::CATALOGUE,
    decide::LeaseFacts,
    files::{
        Defaults, Kind, Known, Project, ReadGrant, Services, Source, Tariffs, UnknownHost, expected, read_files,
        read_policy, read_prices, read_project,
    },
    grants::{Budget, Grant, Narrow, Tariff, unpriced},
    services::{GrantedHost, HostIndex, Service, recognise},
};

/// The largest policy file: 1 MiB.
pub(super) const MAX_FILE: u64 = 1024 * 1024;

/// Everything that policy files say.
#[derive(Debug)]
pub struct PolicySet {
    services: Services,
    /// By id.
    ordered: Vec<Arc<Service>>,
    grants: Vec<Grant>,
    /// By service and secret, so that neither many services nor many secrets cost a request anything.
    by_item: HashMap<ServiceId, HashMap<SecretName, Vec<usize>>>,
    pub(super) budgets: Vec<Budget>,
    tariffs: Tariffs,
    defaults: Defaults,
    hosts: HostIndex,
}

/// The largest project file: 64 KiB; it comes with a repository and is looked at on every request.
pub(super) const MAX_PROJECT: u64 = 64 * 1024;

/// A text to load and the name it is known by.
pub(super) struct Text {
    file: String,
    pub(super) text: String,
}

impl PolicySet {
    /// Loads the embedded catalogue and the user's folder; every fault of every file is told at once.
    /// A missing folder is an empty one.
    pub fn load(user_folder: &Path) -> Result<Self, LoadErrors> {
        Self::load_with(user_folder, &[])
    }

    /// The folder alone, without the catalogue.
    pub fn load_alone(user_folder: &Path) -> Result<Self, LoadErrors> {
        let mut faults = Vec::new();
        let texts = read_folder(user_folder, &mut faults);
        Self::build(&[], &texts, faults)
    }

    /// The same as if these files, by path and text, were in the folder too, in the place of those of their names.
    pub(super) fn load_with(user_folder: &Path, more: &[(PathBuf, String)]) -> Result<Self, LoadErrors> {
        let mut faults = Vec::new();
        let mut texts = read_folder(user_folder, &mut faults);
        texts.retain(|text| more.iter().all(|(path, _)| *path.display().to_string() != text.file));
        texts.extend(more.iter().map(|(path, text)| Text { file: path.display().to_string(), text: text.clone() }));
        texts.sort_by(|a, b| a.file.cmp(&b.file));
        let catalogue = CATALOGUE.iter().map(|(name, text)| (format!("catalogue:{name}"), *text));
        Self::build(&catalogue.collect::<Vec<_>>(), &texts, faults)
    }

    /// The embedded catalogue alone, without a grant.
    pub fn catalogue() -> Result<Self, LoadErrors> {
        let catalogue = CATALOGUE.iter().map(|(name, text)| (format!("catalogue:{name}"), *text));
        Self::build(&catalogue.collect::<Vec<_>>(), &[], Vec::new())
    }

    /// A set of the given texts as if they were the user's files, without the catalogue.
    #[cfg(test)]
    pub(super) fn of_texts(texts: &[(&str, &str)]) -> Result<Self, LoadErrors> {
        let texts = texts.iter().map(|(file, text)| Text { file: (*file).to_owned(), text: (*text).to_owned() });
        Self::build(&[], &texts.collect::<Vec<_>>(), Vec::new())
    }

    fn build(catalogue: &[(String, &str)], texts: &[Text], mut faults: Vec<Fault>) -> Result<Self, LoadErrors> {
        let mut services: BTreeMap<ServiceId, Arc<Service>> = BTreeMap::new();
        let shipped: Vec<(&str, &str)> = catalogue.iter().map(|(file, text)| (&**file, *text)).collect();
        for read in read_files(&shipped, &["service"]) {
            faults.extend(read.faults);
            if let Kind::Service(_, service) = read.kind {
                services.insert(service.id.clone(), Arc::from(service));
            }
        }
        let mut own: HashMap<ServiceId, Arc<str>> = HashMap::new();
        let (mut policies, mut prices) = (Vec::new(), Vec::new());
        let theirs: Vec<(&str, &str)> = texts.iter().map(|text| (&*text.file, &*text.text)).collect();
        for (read, text) in read_files(&theirs, &["service", "policy", "prices"]).into_iter().zip(texts) {
            faults.extend(read.faults);
            match read.kind {
                Kind::Service(at, service) => match own.insert(service.id.clone(), text.file.as_str().into()) {
                    Some(other) => {
                        let source = Source::new(&text.file, &text.text);
                        let message = format!("service `{}` is described in `{other}` already", service.id);
                        source.fault(at..at, message, "delete one of the two files, or give one another `id`");
                        faults.extend(source.into_faults());
                    }
                    None => drop(services.insert(service.id.clone(), Arc::from(service))), // the user's wins whole
                },
                Kind::Policy => policies.push(text),
                Kind::Prices => prices.push((&*text.file, &*text.text)),
                Kind::Faulty => {}
            }
        }
        let services: Services = services.into_iter().collect();
        let tariffs = read_prices(&prices, &services, &mut faults);
        let known = Known { services: &services, tariffs: &tariffs };
        let mut defaults = Defaults::default();
        let mut read: Vec<(Rc<Source>, ReadGrant)> = Vec::new();
        let mut stated = false;
        for text in policies {
            let (these, grants) = read_one_policy(text, known, &mut faults);
            let stricter = these.unknown_host.min(defaults.unknown_host);
            defaults.unknown_host = if stated { stricter } else { these.unknown_host };
            stated = true;
            defaults.ttl = these.ttl.into_iter().chain(defaults.ttl).min();
            defaults.budgets.extend(these.budgets);
            let source = Rc::new(Source::new(&text.file, &text.text));
            read.extend(grants.into_iter().map(|grant| (Rc::clone(&source), grant)));
        }
        find_overlaps(&read, &mut faults);
        find_unpriced(&defaults, &read, known, &mut faults);
        LoadErrors::check(faults)?;
        let mut grants: Vec<Grant> = read.into_iter().map(|(_, read)| read.grant).collect();
        for grant in &mut grants {
            grant.ttl = grant.ttl.or(defaults.ttl);
        }
        Ok(Self::index(services, tariffs, grants, defaults))
    }

    fn index(services: Services, tariffs: Tariffs, grants: Vec<Grant>, mut defaults: Defaults) -> Self {
        let budgets = std::mem::take(&mut defaults.budgets).into_iter().map(|read| read.budget).collect();
        let mut ordered: Vec<Arc<Service>> = services.values().cloned().collect();
        ordered.sort_by(|a, b| a.id.cmp(&b.id));
        let mut by_item: HashMap<ServiceId, HashMap<SecretName, Vec<usize>>> = HashMap::new();
        for (at, grant) in grants.iter().enumerate() {
            let of_service = by_item.entry(grant.service.clone()).or_default();
            for (_, secret) in &grant.items {
                let of_secret = of_service.entry(secret.clone()).or_default();
                if of_secret.last() != Some(&at) {
                    of_secret.push(at); // a secret may serve as two credentials
                }
            }
        }
        let granted: Vec<Arc<Service>> =
            ordered.iter().filter(|service| by_item.contains_key(&service.id)).cloned().collect();
        let hosts = HostIndex::new(&granted);
        Self { services, ordered, grants, by_item, budgets, tariffs, defaults, hosts }
    }

    /// A service by its id.
    pub fn service(&self, id: &ServiceId) -> Option<&Arc<Service>> {
        self.services.get(id)
    }

    /// A service by id, name or alias, as people type it.
    pub fn find_service(&self, text: &str) -> Option<&Arc<Service>> {
        let known = |service: &&Arc<Service>| {
            let words = [service.id.as_str(), service.name()].into_iter().chain(service.aliases());
            words.into_iter().any(|word| word.eq_ignore_ascii_case(text))
        };
        self.services.get(text).or_else(|| self.ordered.iter().find(known))
    }

    /// Every service, by id.
    pub fn services(&self) -> impl Iterator<Item = &Arc<Service>> {
        self.ordered.iter()
    }

    /// What the files of the folder ask for that is not built yet; by service, in the order of each file's blocks.
    pub fn not_yet(&self) -> impl Iterator<Item = &Fault> {
        self.ordered.iter().flat_map(|service| service.not_yet())
    }

    /// Every grant, in the order of the files.
    pub fn grants(&self) -> impl Iterator<Item = &Grant> {
        self.grants.iter()
    }

    /// The one grant under which a lease is used; overlapping ones were refused at load.
    pub fn grant(&self, lease: &LeaseFacts<'_>) -> Option<&Grant> {
        let of_secret = self.by_item.get(lease.service)?.get(lease.secret)?;
        let grants = of_secret.iter().filter_map(|at| self.grants.get(*at));
        grants.into_iter().find(|grant| grant.has_item(lease.credential, lease.secret) && grant.fits(lease))
    }

    /// What happens to a host that no granted service names.
    pub fn unknown_host(&self) -> UnknownHost {
        self.defaults.unknown_host
    }

    /// What is known of a host; `Some` when a granted service names it with this scheme and port, which is when
    /// its TLS is to be intercepted. One probe for exact names, then one per label for wildcards.
    pub fn host(&self, scheme: Scheme, authority: &Authority) -> Option<GrantedHost<'_>> {
        self.hosts.find(scheme, authority)
    }

    /// The service and credential that a value belongs to, by variable name or by shape.
    pub fn recognise(&self, name: &str, value: &[u8]) -> Option<(ServiceId, Box<str>)> {
        recognise(&self.ordered, name, value)
    }

    /// Reads a project's file, which can only ask and narrow; `file` is what faults call it. Bounded to
    /// 64 KiB, links are not followed (attack 88).
    pub fn read_project(&self, path: &Path) -> Result<Project, LoadErrors> {
        let mut faults = Vec::new();
        let text = read_file(path, MAX_PROJECT, &mut faults);
        LoadErrors::check(faults)?;
        self.parse_project(&path.display().to_string(), &text.map(|text| text.text).unwrap_or_default())
    }

    /// The same from a text that is at hand.
    pub fn parse_project(&self, file: &str, text: &str) -> Result<Project, LoadErrors> {
        let source = Source::new(file, text);
        let mut project = Project::default();
        let table = source.parse(text);
        let mut root = source.root(&table);
        if head(&mut root, &["project"]).is_some() {
            project = read_project(root, Known { services: &self.services, tariffs: &self.tariffs });
        }
        LoadErrors::check(source.into_faults())?;
        Ok(project)
    }

    /// Says which name in a narrowing its service does not have; the fault of whoever made it.
    pub fn check_narrow(&self, narrow: &Narrow) -> Result<(), String> {
        let service = self.service(narrow.service());
        let service = service.ok_or_else(|| format!("there is no service `{}`", narrow.service()))?;
        service.misnamed(narrow, self.tariff(service.id())).map_or(Ok(()), Err)
    }

    /// What the answers of a service cost; `None` without a price.
    pub fn tariff(&self, service: &ServiceId) -> Option<&Tariff> {
        self.tariffs.get(service).map(|tariff| &**tariff)
    }
}

/// Checks `schema` and `kind`; the kind when both are right.
pub(super) fn head<'k>(root: &mut super::files::Table<'_>, kinds: &[&'k str]) -> Option<&'k str> {
    let source = root.source();
    match root.value("schema") {
        None => root.fault("the file has no `schema`", "begin it with `schema = 1`"),
        Some(_) => drop(root.count("schema", 1)),
    }
    let kind = root.required_text("kind")?;
    let found = kinds.iter().find(|known| **known == kind.value).copied();
    if found.is_none() {
        let message = format!("a file of kind `{}` does not belong here", kind.value.escape_debug());
        source.fault(kind.span, message, expected(kind.value, kinds));
    }
    found
}

fn read_one_policy(text: &Text, known: Known<'_>, faults: &mut Vec<Fault>) -> (Defaults, Vec<ReadGrant>) {
    let source = Source::new(&text.file, &text.text);
    let table = source.parse(&text.text);
    let mut root = source.root(&table);
    let _ = head(&mut root, &["policy"]);
    let read = read_policy(root, known);
    faults.extend(source.into_faults());
    read
}

/// The money of a secret can be counted only where every service that is granted with it has prices.
fn find_unpriced(defaults: &Defaults, read: &[(Rc<Source>, ReadGrant)], known: Known<'_>, faults: &mut Vec<Fault>) {
    for budget in &defaults.budgets {
        let Some((file, line, column)) = &budget.money_at else { continue };
        let of_secret = |grant: &&Grant| grant.items.iter().any(|(_, secret)| *secret == budget.budget.secret);
        for grant in read.iter().map(|(_, read)| &read.grant).filter(of_secret).filter(|grant| grant.tariff.is_none()) {
            let Some((message, fix)) = known.services.get(&grant.service).map(|service| unpriced(service)) else {
                continue;
            };
            faults.push(Fault { file: file.clone(), line: *line, column: *column, message, fix });
        }
    }
}

/// Two grants that could both fit one lease would need an order; there is none, so they are refused. The rule is
/// sound and simple: same service, same credential, same secret, and agents, projects and environments nowhere provably
/// apart.
fn find_overlaps(read: &[(Rc<Source>, ReadGrant)], faults: &mut Vec<Fault>) {
    // By item, so that a thousand grants are not held against one another.
    let mut of_item: HashMap<(&ServiceId, &str, &SecretName), Vec<&Grant>> = HashMap::new();
    for (source, ReadGrant { grant: other, span }) in read {
        let mut told: Vec<&Grant> = Vec::new();
        for (credential, secret) in &other.items {
            let earlier = of_item.entry((&other.service, credential, secret)).or_default();
            for grant in earlier.iter().filter(|grant| !grant.is_apart(other)) {
                if told.iter().any(|known| std::ptr::eq(*known, *grant)) {
                    continue; // they have two items in common
                }
                told.push(grant);
                let (line, column) = source.position(span.start);
                let message = format!("this grant of `{}` overlaps with the one at {}", other.service, grant.place);
                let fix =
                    "merge them, or give both `agents` (or `projects`, or `environments`) that have nothing in common"
                        .to_owned();
                faults.push(Fault { file: source.file().clone(), line, column, message, fix });
            }
            earlier.push(other);
        }
    }
}

fn read_folder(folder: &Path, faults: &mut Vec<Fault>) -> Vec<Text> {
    let paths = match policy_files(folder) {
        Ok(paths) => paths,
        Err(error) => {
            faults.push(file_fault(folder, format!("cannot be read: {error}")));
            return Vec::new();
        }
    };
    paths.iter().filter_map(|path| read_file(path, MAX_FILE, faults)).collect()
}

/// The `*.toml` files of a folder, by name; none when there is no folder.
pub(super) fn policy_files(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut paths = files_of(folder)?;
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "toml"));
    Ok(paths)
}

/// Everything in a folder that is not hidden, by name; nothing when there is no folder.
pub(super) fn files_of(folder: &Path) -> std::io::Result<Vec<PathBuf>> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        other => other?,
    };
    let paths: std::io::Result<Vec<PathBuf>> = entries.map(|entry| Ok(entry?.path())).collect();
    let mut paths = paths?;
    paths.retain(|path| !path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b".")));
    paths.sort();
    Ok(paths)
}

pub(super) fn read_file(path: &Path, max: u64, faults: &mut Vec<Fault>) -> Option<Text> {
    let file = path.display().to_string();
    match read_bounded(path, max) {
        Err(error) => faults.push(file_fault(path, error.to_string())),
        Ok((bytes, _)) => match String::from_utf8(bytes) {
            Ok(text) => return Some(Text { file, text }),
            Err(_) => faults.push(file_fault(path, "the file is not UTF-8 text".to_owned())),
        },
    }
    None
}

fn file_fault(path: &Path, message: String) -> Fault {
    Fault { file: path.display().to_string().into(), line: 1, column: 1, message, fix: String::new() }
}
