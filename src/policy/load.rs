//! From the files of a folder, and the catalogue, to what a set is made of: every fault of every file at once.

use std::{
    collections::{HashMap, HashSet},
    fs,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::base::{SecretName, ServiceId, position, read_bounded};

use super::{
    Fault, LoadErrors,
    catalogue::CATALOGUE,
    files::{
        Defaults, Kind, Known, ReadFile, ReadGrant, Services, Source, Tariffs, UnknownHost, head, read_files,
        read_policy, read_prices, spread,
    },
    grants::{Budget, Grant, unpriced},
};

/// The largest policy file: 1 MiB.
pub(super) const MAX_FILE: u64 = 1024 * 1024;

/// A text to load and the name it is known by.
pub(super) struct Text {
    pub(super) file: String,
    pub(super) text: String,
}

/// What the files say, none of which has a fault.
pub(super) struct Loaded {
    pub(super) services: Services,
    pub(super) tariffs: Tariffs,
    pub(super) grants: Vec<Grant>,
    pub(super) budgets: Vec<Budget>,
    pub(super) unknown_host: UnknownHost,
}

/// Loads the texts of shipped services and of the user's files, of which some faults are known already.
pub(super) fn load(shipped: &[(String, &str)], texts: &[Text], mut faults: Vec<Fault>) -> Result<Loaded, LoadErrors> {
    let Read { services, policies, tariffs, all_prices } = read_all(shipped, texts, &mut faults);
    let known = Known { services: &services, tariffs: &tariffs };
    let mut defaults = Defaults::default();
    let mut read: Vec<(&Source, ReadGrant)> = Vec::new();
    for (at, ReadFile { source, kind }) in policies.iter().enumerate() {
        let Kind::Policy(table) = kind else { continue };
        let mut root = source.root(table);
        let _ = head(&mut root, &["policy"]); // it was right
        let (these, grants) = read_policy(root, known);
        faults.extend(source.take_faults());
        let stricter = these.unknown_host.min(defaults.unknown_host);
        defaults.unknown_host = if at == 0 { these.unknown_host } else { stricter };
        defaults.ttl = these.ttl.into_iter().chain(defaults.ttl).min();
        defaults.budgets.extend(these.budgets);
        read.extend(grants.into_iter().map(|grant| (source, grant)));
    }
    find_overlaps(&read, &mut faults);
    find_unpriced(&defaults, &read, known, &mut faults);
    if !all_prices {
        let told: HashSet<String> = services.usable.values().map(|service| unpriced(service).0).collect();
        faults.retain(|fault| !told.contains(&fault.message));
    }
    LoadErrors::check(faults)?;
    let mut grants: Vec<Grant> = read.into_iter().map(|(_, read)| read.grant).collect();
    for grant in &mut grants {
        grant.ttl = grant.ttl.or(defaults.ttl);
    }
    let budgets = defaults.budgets.into_iter().map(|read| read.budget).collect();
    Ok(Loaded { services, tariffs, grants, budgets, unknown_host: defaults.unknown_host })
}

/// What can be judged beside files that have faults; those are told elsewhere.
pub(super) fn beside<T>(
    shipped: &[(String, &str)],
    texts: &[Text],
    mut faults: Vec<Fault>,
    judge: impl FnOnce(Known<'_>) -> T,
) -> T {
    let Read { services, tariffs, .. } = read_all(shipped, texts, &mut faults);
    judge(Known { services: &services, tariffs: &tariffs })
}

/// Services and prices; the files with grants are left.
struct Read<'t> {
    services: Services,
    policies: Vec<ReadFile<'t>>,
    tariffs: Tariffs,
    /// Whether every file that may have prices was read; else what lacks one is not known.
    all_prices: bool,
}

impl Services {
    /// None yet, and where these are the faults of files that could not be read at all, none of theirs ever.
    fn without(unread: &[Fault]) -> Self {
        // Most files are called as their services are.
        let named = unread.iter().filter_map(|fault| Path::new(&*fault.file).file_stem()?.to_str()?.parse().ok());
        Self { faulty: named.collect(), is_part: !unread.is_empty(), ..Self::default() }
    }
}

/// Reads every service, the user's in the place of shipped ones, and what is said about prices.
fn read_all<'t>(shipped: &[(String, &'t str)], texts: &'t [Text], faults: &mut Vec<Fault>) -> Read<'t> {
    let mut services = Services::without(faults);
    let shipped: Vec<(&str, &str)> = shipped.iter().map(|(file, text)| (&**file, *text)).collect();
    for read in read_files(&shipped, &["service"]) {
        faults.extend(read.source.take_faults());
        if let Kind::Service(_, service) = read.kind {
            services.usable.insert(service.id.clone(), Arc::from(service));
        }
    }
    let mut own: HashMap<ServiceId, Arc<str>> = HashMap::new();
    let (mut policies, mut prices, mut all_prices) = (Vec::new(), Vec::new(), true);
    let theirs: Vec<(&str, &str)> = texts.iter().map(|text| (&*text.file, &*text.text)).collect();
    for (read, text) in read_files(&theirs, &["service", "policy", "prices"]).into_iter().zip(texts) {
        match read.kind {
            Kind::Service(at, service) => match own.insert(service.id.clone(), text.file.as_str().into()) {
                Some(other) => {
                    let message = format!("service `{}` is described in `{other}` already", service.id);
                    read.source.fault(at..at, message, "delete one of the two files, or give one another `id`");
                }
                None => drop(services.usable.insert(service.id.clone(), Arc::from(service))), // the user's wins whole
            },
            Kind::Policy(_) => {
                policies.push(read);
                continue;
            }
            Kind::Prices => prices.push((&*text.file, &*text.text)),
            Kind::Faulty => all_prices = false,
            Kind::FaultyService(Some(id)) => drop(services.faulty.insert(id)), // a service has no prices
            Kind::FaultyService(None) => (services.is_part, all_prices) = (true, false),
        }
        faults.extend(read.source.take_faults());
    }
    let Services { usable, faulty, .. } = &mut services;
    usable.retain(|id, _| !faulty.contains(id));
    let before = faults.len();
    let tariffs = read_prices(&prices, &services, faults);
    all_prices &= faults.len() == before;
    Read { services, policies, tariffs, all_prices }
}

/// The money of a secret can be counted only where every service that is granted with it has prices.
fn find_unpriced(defaults: &Defaults, read: &[(&Source, ReadGrant)], known: Known<'_>, faults: &mut Vec<Fault>) {
    for budget in &defaults.budgets {
        let Some((file, line, column)) = &budget.money_at else { continue };
        let of_secret = |grant: &&Grant| grant.items.iter().any(|(_, secret)| *secret == budget.budget.secret);
        for grant in read.iter().map(|(_, read)| &read.grant).filter(of_secret).filter(|grant| grant.tariff.is_none()) {
            let Some((message, fix)) = known.services.usable.get(&grant.service).map(|service| unpriced(service))
            else {
                continue;
            };
            faults.push(Fault { file: file.clone(), line: *line, column: *column, message, fix });
        }
    }
}

/// The most overlaps that are told: a file of 1 MiB can have a hundred million.
const MAX_OVERLAPS: usize = 100;

/// Two grants that could both fit one lease would need an order; there is none, so they are refused. The rule is
/// sound and simple: same service, same credential, same secret, and agents, projects and environments nowhere provably
/// apart.
fn find_overlaps(read: &[(&Source, ReadGrant)], faults: &mut Vec<Fault>) {
    let before = faults.len();
    // By item, so that a thousand grants are not held against one another.
    let mut of_item: HashMap<(&ServiceId, &str, &SecretName), Vec<&Grant>> = HashMap::new();
    for (source, ReadGrant { grant: other, span }) in read {
        let mut told: Vec<&Grant> = Vec::new();
        for (credential, secret) in &other.items {
            let earlier = of_item.entry((&other.service, credential, secret)).or_default();
            for grant in earlier.iter().filter(|grant| !grant.is_apart(other)) {
                if faults.len() >= before + MAX_OVERLAPS {
                    return;
                }
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

/// How faults call the files of the catalogue.
const SHIPPED: &str = "catalogue:";

/// The embedded catalogue, by what faults call its files; without their vectors, which stand last and decide nothing.
pub(super) fn shipped() -> Vec<(String, &'static str)> {
    let head = |text: &'static str| text.find("\n[[test]]").and_then(|end| text.get(..=end)).unwrap_or(text);
    CATALOGUE.iter().map(|(name, text)| (format!("{SHIPPED}{name}"), head(text))).collect()
}

/// The whole text of a file of the catalogue; `None` for any other file.
pub(super) fn whole_text(file: &str) -> Option<&'static str> {
    let name = file.strip_prefix(SHIPPED)?;
    CATALOGUE.iter().find(|(shipped, _)| *shipped == name).map(|(_, text)| *text)
}

/// Reads the files of a folder; those that cannot be read are faults.
pub(super) fn read_folder(folder: &Path, faults: &mut Vec<Fault>) -> Vec<Text> {
    let paths = match policy_files(folder) {
        Ok(paths) => paths,
        Err(error) => {
            faults.push(file_fault(folder, format!("cannot be read: {error}")));
            return Vec::new();
        }
    };
    let read = spread(&paths, |path| {
        let mut faults = Vec::new();
        (read_file(path, MAX_FILE, &mut faults), faults)
    });
    let mut texts = Vec::with_capacity(read.len());
    for (text, found) in read {
        texts.extend(text);
        faults.extend(found);
    }
    texts
}

/// Files of a folder that are TOML by a name that is not looked at, such as `mine.TOML`; by name.
pub fn ignored_files(folder: &Path) -> Vec<PathBuf> {
    let names_toml = |path: &PathBuf| {
        path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("toml") && extension != "toml")
    };
    let entries = fs::read_dir(folder).into_iter().flatten();
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).filter(names_toml).collect();
    paths.sort();
    paths
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
        Err(error) if path.is_dir() => {
            let fix = "it is a folder: give it another name".to_owned();
            faults.push(Fault { fix, ..file_fault(path, error.to_string()) });
        }
        Err(error) => faults.push(file_fault(path, error.to_string())),
        Ok((bytes, _)) => match String::from_utf8(bytes) {
            Ok(text) => return Some(Text { file, text }),
            Err(error) => {
                let (valid, bytes) = (error.utf8_error().valid_up_to(), error.into_bytes());
                let before = String::from_utf8_lossy(bytes.get(..valid).unwrap_or_default());
                let (line, column) = position(&before, before.len());
                let (message, fix) = ("the file is not UTF-8 text".to_owned(), "save it as UTF-8".to_owned());
                faults.push(Fault { line, column, fix, ..file_fault(path, message) });
            }
        },
    }
    None
}

fn file_fault(path: &Path, message: String) -> Fault {
    Fault { file: path.display().to_string().into(), line: 1, column: 1, message, fix: String::new() }
}
