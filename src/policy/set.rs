//! `PolicySet`: an immutable snapshot of catalogue, user services and grants.
//!
//! Invariant: a set exists only if every file of it is without fault; nothing changes it afterwards.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use crate::base::{Authority, Scheme, SecretName, ServiceId};

use super::{
    Fault, LoadErrors,
    decide::LeaseFacts,
    files::{Known, Project, Services, Source, Tariffs, UnknownHost, head, read_project},
    grants::{Budget, Grant, Narrow, Tariff},
    load::{Loaded, Text, beside, load, read_file, read_folder, shipped},
    services::{GrantedHost, HostIndex, Service, recognise},
};

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
    unknown_host: UnknownHost,
    hosts: HostIndex,
}

/// The largest project file: 64 KiB; it comes with a repository and is looked at on every request.
pub(super) const MAX_PROJECT: u64 = 64 * 1024;

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
        load(&[], &texts, faults).map(Self::index)
    }

    /// The same as if these files, by path and text, were in the folder too, in the place of those of their names.
    pub(super) fn load_with(user_folder: &Path, more: &[(PathBuf, String)]) -> Result<Self, LoadErrors> {
        let mut faults = Vec::new();
        let mut texts = read_folder(user_folder, &mut faults);
        texts.retain(|text| more.iter().all(|(path, _)| *path.display().to_string() != text.file));
        texts.extend(more.iter().map(|(path, text)| Text { file: path.display().to_string(), text: text.clone() }));
        texts.sort_by(|a, b| a.file.cmp(&b.file));
        load(&shipped(), &texts, faults).map(Self::index)
    }

    /// The embedded catalogue alone, without a grant.
    pub fn catalogue() -> Result<Self, LoadErrors> {
        load(&shipped(), &[], Vec::new()).map(Self::index)
    }

    /// Loads the folder and reads a project's file beside it: the faults of both, at once.
    pub fn check_project(user_folder: &Path, project: &Path) -> Result<Self, LoadErrors> {
        match Self::load(user_folder) {
            Ok(set) => set.read_project(project).map(|_| set),
            Err(errors) => {
                let mut faults = Vec::new(); // told already
                let texts = read_folder(user_folder, &mut faults);
                let read = beside(&shipped(), &texts, faults, |known| read_project_file(project, known).err());
                LoadErrors::check(
                    [Some(errors), read].into_iter().flatten().flat_map(LoadErrors::into_faults).collect(),
                )?;
                Self::load(user_folder) // mended in between
            }
        }
    }

    /// A set of the given texts as if they were the user's files, without the catalogue.
    #[cfg(test)]
    pub(super) fn of_texts(texts: &[(&str, &str)]) -> Result<Self, LoadErrors> {
        let texts = texts.iter().map(|(file, text)| Text { file: (*file).to_owned(), text: (*text).to_owned() });
        load(&[], &texts.collect::<Vec<_>>(), Vec::new()).map(Self::index)
    }

    fn index(loaded: Loaded) -> Self {
        let Loaded { services, tariffs, grants, budgets, unknown_host } = loaded;
        let mut ordered: Vec<Arc<Service>> = services.usable.values().cloned().collect();
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
        Self { services, ordered, grants, by_item, budgets, tariffs, unknown_host, hosts }
    }

    /// A service by its id.
    pub fn service(&self, id: &ServiceId) -> Option<&Arc<Service>> {
        self.services.usable.get(id)
    }

    /// A service by id, name or alias, as people type it.
    pub fn find_service(&self, text: &str) -> Option<&Arc<Service>> {
        let known = |service: &&Arc<Service>| {
            let words = [service.id.as_str(), service.name()].into_iter().chain(service.aliases());
            words.into_iter().any(|word| word.eq_ignore_ascii_case(text))
        };
        self.services.usable.get(text).or_else(|| self.ordered.iter().find(known))
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
        self.unknown_host
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
        read_project_file(path, self.known())
    }

    /// The same from a text that is at hand.
    pub fn parse_project(&self, file: &str, text: &str) -> Result<Project, LoadErrors> {
        parse_project(file, text, self.known())
    }

    const fn known(&self) -> Known<'_> {
        Known { services: &self.services, tariffs: &self.tariffs }
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

fn read_project_file(path: &Path, known: Known<'_>) -> Result<Project, LoadErrors> {
    let mut faults = Vec::new();
    let text = read_file(path, MAX_PROJECT, &mut faults);
    LoadErrors::check(faults)?;
    parse_project(&path.display().to_string(), &text.map(|text| text.text).unwrap_or_default(), known)
}

fn parse_project(file: &str, text: &str, known: Known<'_>) -> Result<Project, LoadErrors> {
    let source = Source::new(file, text);
    let mut project = Project::default();
    let table = source.parse(text);
    let mut root = source.root(&table);
    if head(&mut root, &["project"]).is_some() {
        project = read_project(root, known);
    }
    LoadErrors::check(source.into_faults())?;
    Ok(project)
}
