//! `secrets scan`: secrets in files, for people, for continuous integration, and on their way into the store.

use std::{
    fmt::Write as _,
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::{ArgAction, Args, ValueEnum};
use serde_json::{Value, json};

use super::{scan_migrate, scan_migrate::Migrated};
use crate::cli::{
    context::{Context, absolute},
    envelope::NextAction,
    exit::ExitStatus,
    printer::Outcome,
    report::Report,
    sanitize::shell_word,
    table::Table,
};
use crate::{
    base::{Clock, TimeToLive, blocking, counted},
    control::{Client, Error, Note},
    daemon,
    policy::{PolicySet, Service},
    scan::{self, Baseline, DEFAULT_EXCLUDES, Found, Ignored, Patterns, Reach, Request, ServiceShape, Severity},
};

#[derive(Args, Debug)]
#[expect(clippy::struct_excessive_bools, reason = "one per flag")]
pub(in crate::cli) struct Arguments {
    /// The folder or file to scan [default: .]
    #[arg(value_name = "PATH", conflicts_with = "path")]
    root: Option<PathBuf>,
    /// The same
    #[arg(long, value_name = "PATH")]
    path: Option<PathBuf>,
    /// Scan the folders below too; `--recursive=false` does not
    #[arg(long, action = ArgAction::Set, num_args = 0..=1, require_equals = true,
        default_value_t = true, default_missing_value = "true")]
    recursive: bool,
    /// The same as --recursive=false
    #[arg(long)]
    no_recursive: bool,
    /// Files and folders to leave out, as in a .gitignore; replaces the default
    #[arg(long, value_name = "NAME", value_delimiter = ',', default_values = DEFAULT_EXCLUDES)]
    exclude: Vec<String>,
    /// Scan what .gitignore names too; env files are always scanned
    #[arg(long)]
    no_ignore: bool,
    /// Exit with 1 when there is a finding of this severity or a worse one, or a file that cannot be read
    #[arg(long, value_name = "SEVERITY", value_enum)]
    fail_on: Option<Level>,
    /// Leave out the findings that this file knows
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Write all findings into this file, as hashes, and succeed
    #[arg(long, value_name = "FILE", conflicts_with_all = ["fail_on", "migrate"])]
    write_baseline: Option<PathBuf>,
    /// Move the secrets of env files into the store and put lease tokens in their place
    #[arg(long)]
    migrate: bool,
    /// With --migrate: do not ask
    #[arg(long, requires = "migrate")]
    pub(super) yes: bool,
    /// With --migrate: how long the leases last [default: as configured]
    #[arg(long, value_name = "DURATION", requires = "migrate")]
    pub(super) ttl: Option<TimeToLive>,
    /// With --migrate: for whom the leases are, as the record shows it
    #[arg(long, value_name = "ID", requires = "migrate")]
    pub(super) client_id: Option<String>,
    /// Print an envelope
    #[arg(long)]
    pub(in crate::cli) json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Level {
    Critical,
    High,
    Medium,
    Low,
}

impl Level {
    const fn severity(self) -> Severity {
        match self {
            Self::Critical => Severity::Critical,
            Self::High => Severity::High,
            Self::Medium => Severity::Medium,
            Self::Low => Severity::Low,
        }
    }
}

pub(super) async fn run(context: &mut Context, arguments: &Arguments) -> Result<Outcome, Report> {
    let clock = Clock::system();
    let begun = clock.boot();
    let given = arguments.root.as_ref().or(arguments.path.as_ref());
    let root = absolute(&given.map_or_else(|| context.folder.clone(), |given| context.folder.join(given)))?;
    let policy = policy(context)?;
    let patterns = Patterns::new(shapes(&policy)).map_err(report)?;
    let baseline = arguments.baseline.as_ref().map(|path| Baseline::read(&context.folder.join(path)));
    let baseline = baseline.transpose().map_err(report)?;
    let is_flat = arguments.no_recursive || !arguments.recursive;
    let request = Request {
        root: root.clone(),
        reach: if is_flat { Reach::Folder } else { Reach::Tree },
        ignored: if arguments.no_ignore { Ignored::Scan } else { Ignored::Skip },
        excludes: arguments.exclude.clone(),
        baseline: baseline.as_ref(),
    };
    let found = scan::search(&request, &patterns).map_err(report)?;
    if let Some(path) = &arguments.write_baseline {
        write_baseline(&context.folder.join(path), &found)?;
    }
    let migrated = if arguments.migrate {
        Some(scan_migrate::run(context, arguments, &found, &patterns, &policy).await?)
    } else {
        None
    };
    let shown = Shown { found: &found, folder: &context.folder, migrated: migrated.as_ref() };
    let mut result = shown.result();
    if let Some(fields) = result.as_object_mut() {
        fields.extend([
            ("path".to_owned(), json!(root)),
            ("recursive".to_owned(), json!(!is_flat)),
            ("excludes".to_owned(), json!(arguments.exclude)),
            ("patterns".to_owned(), json!(patterns.names().len())),
            ("duration".to_owned(), json!(format!("{:?}", clock.boot().saturating_sub(begun)))),
            ("recorded".to_owned(), json!(note(context, &found, migrated.as_ref()).await)),
        ]);
    }
    verdict(arguments, &found, migrated.as_ref(), result, shown.human())
}

/// The services that there are: shipped and the user's own, or the shipped ones when those are faulty.
fn policy(context: &Context) -> Result<PolicySet, Report> {
    let loaded = PolicySet::load(&context.home.policies()).or_else(|_| PolicySet::catalogue());
    loaded.map_err(|errors| Report::internal(errors.to_string()))
}

fn shapes(policy: &PolicySet) -> Vec<ServiceShape> {
    policy.services().flat_map(shapes_of).collect()
}

fn shapes_of(service: &Arc<Service>) -> Vec<ServiceShape> {
    let shape = |at: usize| {
        let credential = service.credentials().get(at)?;
        let service = Arc::clone(service);
        Some(ServiceShape {
            name: format!("{} {}", service.name(), credential.name()),
            prefixes: credential.accept().prefixes().map(str::to_owned).collect(),
            length: credential.accept().length(),
            env: credential.env().map(str::to_owned).collect(),
            lease: credential.shape().clone(),
            fits: Arc::new(move |value| service.credentials().get(at).is_some_and(|one| one.accept().fits(value))),
        })
    };
    (0..service.credentials().len()).filter_map(shape).collect()
}

fn write_baseline(path: &Path, found: &Found) -> Result<(), Report> {
    let mut baseline = match Baseline::read(path) {
        Err(scan::Error::File(error)) if error.is_missing() => Baseline::new(path),
        other => other.map_err(report)?,
    };
    found.findings.iter().for_each(|finding| baseline.add(finding));
    baseline.write().map_err(report)
}

/// Recorded by the daemon, or without one where none runs; none is started for it. Whether it was.
async fn note(context: &Context, found: &Found, migrated: Option<&Migrated>) -> bool {
    let count = |severity| found.findings.iter().filter(|finding| finding.severity == severity).count() as u64;
    let note = Note::Scan {
        files: found.scanned_files,
        critical: count(Severity::Critical),
        high: count(Severity::High),
        medium: count(Severity::Medium),
        low: count(Severity::Low),
        migrated: migrated.map_or(0, |migrated| migrated.moved.len() as u64),
    };
    match Client::connect(&context.socket, context.globals.deadline()).await {
        Ok(mut client) => client.call(note).await.is_ok(),
        Err(Error::NotRunning(_)) => blocking(|| daemon::note_offline(&context.home, &note, &Clock::system())).is_ok(),
        Err(_) => false,
    }
}

/// What is shown of a scan.
struct Shown<'a> {
    found: &'a Found,
    folder: &'a Path,
    migrated: Option<&'a Migrated>,
}

impl Shown<'_> {
    fn name(&self, path: &Path) -> String {
        path.strip_prefix(self.folder).unwrap_or(path).to_string_lossy().into_owned()
    }

    fn result(&self) -> Value {
        let found = self.found;
        let findings = found.findings.iter().map(|finding| {
            json!({"file": self.name(&finding.file), "line": finding.line, "column": finding.column,
                "pattern_name": finding.pattern_name, "value": finding.value, "severity": finding.severity})
        });
        let findings: Vec<Value> = findings.collect();
        let unreadable: Vec<String> = found.unreadable.iter().map(ToString::to_string).collect();
        let mut result = json!({"findings": findings, "scanned_files": found.scanned_files,
            "binary_files": found.binary_files, "in_baseline": found.known, "unlisted": found.unlisted,
            "unreadable": unreadable});
        if let (Some(fields), Some(migrated)) = (result.as_object_mut(), self.migrated) {
            fields.insert("migrated".to_owned(), migrated.result(|path| self.name(path)));
        }
        result
    }

    fn human(&self) -> String {
        let mut table = Table::new(&["severity", "where", "what", "value"]);
        for finding in &self.found.findings {
            let place = format!("{}:{}:{}", self.name(&finding.file), finding.line, finding.column);
            table.row([finding.severity.as_str(), &place, &finding.pattern_name, &finding.value]);
        }
        let Found { scanned_files, binary_files, known, unlisted, unreadable, .. } = self.found;
        let mut human = table.render("nothing found");
        let _ = writeln!(
            human,
            "\n{} scanned, {} left out",
            counted(*scanned_files, "file"),
            counted(*binary_files, "binary file")
        );
        if *known > 0 {
            let _ = writeln!(human, "in the baseline: {}", counted(*known, "finding"));
        }
        if *unlisted > 0 {
            let _ = writeln!(human, "{unlisted} more findings");
        }
        for error in unreadable {
            let _ = writeln!(human, "{}", crate::cli::sanitize::line(&error.to_string()));
        }
        human + &self.migrated.map(|migrated| migrated.human(|path| self.name(path))).unwrap_or_default()
    }
}

/// A success, unless the caller wants it to fail for what was found.
fn verdict(
    arguments: &Arguments,
    found: &Found,
    migrated: Option<&Migrated>,
    result: Value,
    human: String,
) -> Result<Outcome, Report> {
    let migrate = || NextAction::new("secrets scan --migrate", "Move the secrets of env files into the store");
    if let Some(level) = arguments.fail_on.map(Level::severity) {
        let bad = found.findings.iter().filter(|finding| finding.severity >= level).count() as u64 + found.unlisted;
        if bad > 0 {
            let message = format!("{} of severity {level} or worse", counted(bad, "finding"));
            return Err(Report::new(ExitStatus::Generic, message, migrate().command).with_result(result, human));
        }
        if !found.unreadable.is_empty() {
            let message = format!("could not read {} or folders", counted(found.unreadable.len() as u64, "file"));
            let fix = "secrets scan --output json";
            return Err(Report::new(ExitStatus::Generic, message, fix).with_result(result, human));
        }
    }
    let next = match migrated {
        Some(migrated) => migrated.next(),
        None if found.findings.is_empty() => vec![],
        None => vec![migrate(), NextAction::new("secrets add <name>", "Store a secret by hand")],
    };
    Ok(Outcome::Shown { result, human, next })
}

fn report(error: scan::Error) -> Report {
    let message = error.to_string();
    match error {
        scan::Error::Baseline { path, .. } => {
            let path = shell_word(&path.to_string_lossy());
            Report::new(ExitStatus::Data, message, format!("rm {path} && secrets scan --write-baseline {path}"))
        }
        scan::Error::Exclude { .. } => Report::misuse(message, "secrets scan --help"),
        scan::Error::File(error) => error.into(),
        scan::Error::Io { path, source } => Report::io("read", &path, &source),
    }
}
