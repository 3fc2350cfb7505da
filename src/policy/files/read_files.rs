//! Reads service files, many at a time: each is its own, so that their number costs no more than the processors allow.

use std::{num::NonZeroUsize, thread};

use super::{read::Source, service::read_service};
use crate::policy::{Fault, services::Service, set::head};

/// What a file is.
pub(in crate::policy) enum Kind {
    /// A service, with the byte at which its id stands.
    Service(usize, Box<Service>),
    /// Grants, in which nothing was wrong so far.
    Policy,
    /// The same of prices.
    Prices,
    /// Nothing that can be used.
    Faulty,
}

/// One file, read.
pub(in crate::policy) struct ReadFile {
    pub(in crate::policy) kind: Kind,
    pub(in crate::policy) faults: Vec<Fault>,
}

/// Fewer files than this are read at once by one thread.
const FEW: usize = 32;
/// The most threads.
const THREADS: usize = 4;

/// Reads files by name and text, in their order.
pub(in crate::policy) fn read_files(files: &[(&str, &str)], kinds: &[&str]) -> Vec<ReadFile> {
    let threads = thread::available_parallelism().map_or(1, NonZeroUsize::get).min(THREADS);
    if files.len() < FEW || threads < 2 {
        return files.iter().map(|(file, text)| read_file(file, text, kinds)).collect();
    }
    let share = files.len().div_ceil(threads);
    thread::scope(|scope| {
        let parts: Vec<_> = files
            .chunks(share)
            .map(|part| {
                scope.spawn(|| part.iter().map(|(file, text)| read_file(file, text, kinds)).collect::<Vec<_>>())
            })
            .collect();
        let joined = parts.into_iter().map(|part| part.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        joined.flatten().collect()
    })
}

fn read_file(file: &str, text: &str, kinds: &[&str]) -> ReadFile {
    let source = Source::new(file, text);
    let kind = kind_of(&source, text, kinds);
    ReadFile { kind, faults: source.into_faults() }
}

/// The service that a file describes; `None` for another kind or a fault.
pub(in crate::policy) fn service_of(source: &Source, text: &str) -> Option<Service> {
    match kind_of(source, text, &["service"]) {
        Kind::Service(_, service) => Some(*service),
        _ => None,
    }
}

fn kind_of(source: &Source, text: &str, kinds: &[&str]) -> Kind {
    let table = source.parse(text);
    let mut root = source.root(&table);
    let start = table.get_ref().get("id").map_or(0, |id| id.span().start);
    match head(&mut root, kinds) {
        Some("service") => read_service(root).map_or(Kind::Faulty, |service| Kind::Service(start, Box::new(service))),
        _ if source.has_faults() => Kind::Faulty,
        Some("prices") => Kind::Prices,
        _ => Kind::Policy,
    }
}
