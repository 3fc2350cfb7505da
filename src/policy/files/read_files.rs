//! Reads service files, many at a time: each is its own, so that their number costs no more than the processors allow.

use std::{
    num::NonZeroUsize,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use toml::{Spanned, de::DeTable};

use super::{
    read::{Source, Table, expected},
    service::read_service,
};
use crate::base::ServiceId;
use crate::policy::services::Service;

/// What a file is.
pub(in crate::policy) enum Kind<'t> {
    /// A service, with the byte at which its id stands.
    Service(usize, Box<Service>),
    /// Grants, in which nothing was wrong so far.
    Policy(Spanned<DeTable<'t>>),
    /// The same of prices.
    Prices,
    /// Nothing that can be used, of another kind than a service.
    Faulty,
    /// The same of what is or may be a service; the one that it would have been, if it says.
    FaultyService(Option<ServiceId>),
}

/// One file, read.
pub(in crate::policy) struct ReadFile<'t> {
    /// With the faults that were found.
    pub(in crate::policy) source: Source,
    pub(in crate::policy) kind: Kind<'t>,
}

/// Fewer files than this are read at once by one thread.
const FEW: usize = 32;
/// The most threads.
const THREADS: usize = 4;

/// Reads files by name and text, in their order.
pub(in crate::policy) fn read_files<'t>(files: &[(&str, &'t str)], kinds: &[&str]) -> Vec<ReadFile<'t>> {
    spread(files, |(file, text)| read_file(file, text, kinds))
}

/// Does the same with each of many, in as many threads as there are processors for; the results are in their order.
pub(in crate::policy) fn spread<T: Sync, R: Send>(all: &[T], each: impl Fn(&T) -> R + Sync) -> Vec<R> {
    let threads = thread::available_parallelism().map_or(1, NonZeroUsize::get).min(THREADS);
    if all.len() < FEW || threads < 2 {
        return all.iter().map(each).collect();
    }
    // Whoever is free takes the next: some files are fifty times as long as others.
    let next = AtomicUsize::new(0);
    let work = || {
        let numbers = std::iter::from_fn(|| Some(next.fetch_add(1, Ordering::Relaxed)));
        let own = numbers.map_while(|number| Some((number, each(all.get(number)?))));
        own.collect::<Vec<_>>()
    };
    let mut results: Vec<(usize, R)> = thread::scope(|scope| {
        let others: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let mut results = work();
        for other in others {
            results.extend(other.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        }
        results
    });
    results.sort_unstable_by_key(|(number, _)| *number);
    results.into_iter().map(|(_, result)| result).collect()
}

fn read_file<'t>(file: &str, text: &'t str, kinds: &[&str]) -> ReadFile<'t> {
    let source = Source::new(file, text);
    let kind = kind_of(&source, text, kinds);
    ReadFile { source, kind }
}

/// The service that a file describes; `None` for another kind or a fault.
pub(in crate::policy) fn service_of(source: &Source, text: &str) -> Option<Service> {
    match kind_of(source, text, &["service"]) {
        Kind::Service(_, service) => Some(*service),
        _ => None,
    }
}

fn kind_of<'t>(source: &Source, text: &'t str, kinds: &[&str]) -> Kind<'t> {
    let table = source.parse(text);
    let mut root = source.root(&table);
    let id = table.get_ref().get("id");
    let is_other =
        matches!(table.get_ref().get("kind").and_then(|kind| kind.get_ref().as_str()), Some("policy" | "prices"));
    // The id that a file gives itself, whatever else is wrong with it.
    let named = || id.and_then(|id| id.get_ref().as_str()?.parse().ok());
    let faulty = || if is_other { Kind::Faulty } else { Kind::FaultyService(named()) };
    match head(&mut root, kinds) {
        Some("service") => {
            let start = id.map_or(0, |id| id.span().start);
            read_service(root).map_or_else(faulty, |service| Kind::Service(start, Box::new(service)))
        }
        _ if source.has_faults() => faulty(),
        Some("prices") => Kind::Prices,
        _ => Kind::Policy(table),
    }
}

/// Checks `schema` and `kind`; the kind when both are right.
pub(in crate::policy) fn head<'k>(root: &mut Table<'_>, kinds: &[&'k str]) -> Option<&'k str> {
    let source = root.source();
    match root.value("schema") {
        None => root.missing("schema", "begin it with `schema = 1`"),
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
