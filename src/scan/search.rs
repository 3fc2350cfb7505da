//! One scan: every file in windows, every finding with its place.

use std::{
    fs::File,
    path::{Path, PathBuf},
};

use super::{
    Baseline, Error, Finding, Fingerprint, Ignored, Patterns, Reach,
    finding::redacted,
    patterns::Candidate,
    walk,
    windows::{Window, Windows},
};
use crate::base::open_regular;

/// The most findings that are listed; beyond that they are counted.
pub const MAX_FINDINGS: usize = 10_000;

/// What to scan.
#[derive(Debug)]
pub struct Request<'a> {
    /// A folder or a file, absolute.
    pub root: PathBuf,
    /// How deep.
    pub reach: Reach,
    /// What `.gitignore` means.
    pub ignored: Ignored,
    /// Names to leave out, written as in a `.gitignore`.
    pub excludes: Vec<String>,
    /// What is known and not told again.
    pub baseline: Option<&'a Baseline>,
}

/// What a scan brought.
#[derive(Debug, Default)]
pub struct Found {
    /// By file and place; at most [`MAX_FINDINGS`].
    pub findings: Vec<Finding>,
    /// How many there are beyond those.
    pub unlisted: u64,
    /// How many were in the baseline.
    pub known: u64,
    /// Files that were read to their end.
    pub scanned_files: u64,
    /// Files that are no text and were left.
    pub binary_files: u64,
    /// Files and folders that could not be read.
    pub unreadable: Vec<Error>,
}

/// Scans. Fails when the root cannot be read or an exclude is badly written; all else is told in the result.
pub fn search(request: &Request<'_>, patterns: &Patterns) -> Result<Found, Error> {
    let (files, unreadable) = walk::files(&request.root, request.reach, request.ignored, &request.excludes)?;
    let mut found = Found { unreadable, ..Found::default() };
    for path in files {
        match look_at(&path, patterns, request.baseline, &mut found) {
            Ok(Looked::Whole) => found.scanned_files += 1,
            Ok(Looked::Binary) => found.binary_files += 1,
            Err(error) => found.unreadable.push(error),
        }
    }
    Ok(found)
}

enum Looked {
    Binary,
    Whole,
}

fn look_at(path: &Path, patterns: &Patterns, baseline: Option<&Baseline>, found: &mut Found) -> Result<Looked, Error> {
    let (file, _) = open_regular(path)?;
    let windows = Windows::<File>::open(file).map_err(Error::io(path))?;
    let Some(mut windows) = windows else { return Ok(Looked::Binary) };
    let (mut places, mut seen) = (Places::default(), 0);
    while let Some(window) = windows.next().map_err(Error::io(path))? {
        for candidate in patterns.find(window.text, window.own.clone()) {
            let start = window.base + candidate.range.start as u64;
            if start < seen {
                continue; // the end of one that began in the window before
            }
            seen = window.base + candidate.range.end as u64;
            let finding = finding(path, &window, &candidate, places.at(&window, candidate.range.start));
            found.take(finding, baseline);
        }
        places.pass(&window);
    }
    Ok(Looked::Whole)
}

fn finding(path: &Path, window: &Window<'_>, candidate: &Candidate<'_>, (line, column): (u64, u64)) -> Finding {
    let value = window.text.get(candidate.range.clone()).unwrap_or_default();
    // Every header of a private key is alike; what follows tells them apart.
    let told = if value.starts_with(b"-") { window.text.get(candidate.range.start..) } else { None };
    Finding {
        file: path.to_owned(),
        line,
        column,
        pattern_name: candidate.name.to_owned(),
        value: redacted(value),
        severity: candidate.severity,
        fingerprint: Fingerprint::of(told.unwrap_or(value)),
    }
}

impl Found {
    fn take(&mut self, finding: Finding, baseline: Option<&Baseline>) {
        if baseline.is_some_and(|baseline| baseline.knows(&finding)) {
            self.known += 1;
        } else if self.findings.len() < MAX_FINDINGS {
            self.findings.push(finding);
        } else {
            self.unlisted += 1;
        }
    }
}

/// Lines and columns of a stream that is seen window by window, asked for in their order.
#[derive(Debug, Default)]
struct Places {
    /// Up to where line ends have been counted.
    counted: u64,
    lines: u64,
    /// Where the current line begins.
    line_start: u64,
}

impl Places {
    fn at(&mut self, window: &Window<'_>, at: usize) -> (u64, u64) {
        let from = usize::try_from(self.counted.saturating_sub(window.base)).unwrap_or(usize::MAX);
        for newline in memchr::memchr_iter(b'\n', window.text.get(from..at).unwrap_or_default()) {
            self.lines += 1;
            self.line_start = window.base + (from + newline) as u64 + 1;
        }
        let place = window.base + at as u64;
        self.counted = self.counted.max(place);
        (self.lines + 1, place - self.line_start + 1)
    }

    fn pass(&mut self, window: &Window<'_>) {
        self.at(window, window.own.end);
    }
}
