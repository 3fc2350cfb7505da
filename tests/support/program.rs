//! Other programs, started for a test and ended with it.

use std::{
    io::{Read, Write as _},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// The longest a program may take; compilers and package managers on a loaded machine are slow.
const LIMIT: Duration = Duration::from_mins(5);

/// The variable that lists, with blanks between, what must be there: a test that would be skipped without it fails.
/// `.ci/run` sets it to all that it found or could install.
pub const REQUIRED: &str = "LEASEHOLD_REQUIRE_CLIENTS";

/// Says that something is skipped because this is not to be had, where the test runner does not swallow it: a test that
/// did not look must not pass for one that did.
///
/// # Panics
/// When it is required.
pub fn skip(what: &str, why: &str) {
    let required = std::env::var(REQUIRED).unwrap_or_default();
    assert!(!is_required(&required, what), "`{what}` is required by `{REQUIRED}`: {why}");
    let test = thread::current().name().unwrap_or("a test").to_owned();
    let _ = writeln!(std::io::stderr().lock(), "skipped in {test}: {why}"); // a macro's line is kept back by the runner
}

fn is_required(required: &str, what: &str) -> bool {
    required.split_ascii_whitespace().any(|one| one == what)
}

/// The path of a program, or `None` and a line that says what is skipped; what `.ci/run` put into `target/clients`
/// (a Python with `requests` and `httpx`) comes first.
///
/// # Panics
/// When it is required and not there.
pub fn find_program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let own = PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/target/clients/bin"));
    let found = std::iter::once(own)
        .chain(std::env::split_paths(&path))
        .map(|folder| folder.join(name))
        .find(|path| path.is_file());
    if found.is_none() {
        skip(name, &format!("`{name}` is not installed"));
    }
    found
}

/// Writes a script and makes it a program. Another process writes it: a descriptor of ours would live on in a child that
/// another test is just starting, and nobody can run what is open for writing.
///
/// # Panics
/// When it cannot be written.
pub fn write_script(path: &Path, text: &str) {
    let mut sh = Command::new("sh");
    sh.args(["-c", "printf '%s' \"$1\" > \"$0\" && chmod 755 \"$0\""]).arg(path).arg(text);
    assert!(sh.status().unwrap().success(), "{}", path.display());
}

/// A running program; killed and reaped when dropped.
#[derive(Debug)]
pub struct Program {
    child: Child,
    stdout: Option<JoinHandle<Vec<u8>>>,
    stderr: Option<JoinHandle<Vec<u8>>>,
}

/// A program that has ended, and what it said.
#[derive(Debug)]
pub struct Finished {
    /// How it ended.
    pub status: ExitStatus,
    /// What it wrote to standard output.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
}

impl Finished {
    /// Itself, if the exit status was 0.
    ///
    /// # Panics
    /// With everything the program said, if not.
    #[must_use]
    pub fn expect_success(self) -> Self {
        assert!(self.status.success(), "{}\n--- stdout\n{}\n--- stderr\n{}", self.status, self.stdout, self.stderr);
        self
    }
}

impl Program {
    /// Starts a program without standard input; both outputs are read all the time, so that it never blocks on them.
    pub fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let (stdout, stderr) = (child.stdout.take().unwrap(), child.stderr.take().unwrap());
        Self { child, stdout: Some(collect(stdout)), stderr: Some(collect(stderr)) }
    }

    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Kills it at once, as `kill -9` does, and reaps it.
    pub fn kill(&mut self) {
        let _ = self.child.kill(); // it may have ended by itself
        let _ = self.child.wait();
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// When it takes more than five minutes.
    pub fn finish(mut self) -> Finished {
        let begun = Instant::now();
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            if begun.elapsed() > LIMIT {
                self.kill();
                let said = text(self.stderr.take());
                panic!("a program did not end within {LIMIT:?}; it said: {said}");
            }
            thread::sleep(Duration::from_millis(5));
        };
        Finished { status, stdout: text(self.stdout.take()), stderr: text(self.stderr.take()) }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.kill();
    }
}

fn collect(mut from: impl Read + Send + 'static) -> JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = from.read_to_end(&mut bytes); // what came before an error is still worth showing
        bytes
    })
}

fn text(collected: Option<JoinHandle<Vec<u8>>>) -> String {
    let bytes = collected.map(|thread| thread.join().unwrap()).unwrap_or_default();
    String::from_utf8_lossy(&bytes).into_owned()
}
