//! Child processes of the benchmark: they end with it, run where they are told, and their processor time is known.

use std::{
    fmt::Write as _,
    io::{BufRead, BufReader, Write as _},
    process::{ChildStdin, ChildStdout, Command, Stdio},
    time::Duration,
};

/// Where children run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// Wherever the system likes.
    Anywhere,
    /// All on one processor, which makes the figures steady: nothing is gained by a neighbour that happens to be idle.
    OneProcessor,
}

impl Place {
    /// A command that runs there.
    pub fn command(self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        match self {
            Self::Anywhere => Command::new(program),
            Self::OneProcessor => {
                let mut command = Command::new("taskset"); // replaces itself, so the process id is the program's
                command.args(["--cpu-list", "0"]).arg(program);
                command
            }
        }
    }

    /// [`Place::OneProcessor`] if this system can do that.
    pub fn steady() -> Self {
        let tried = Command::new("taskset").args(["--cpu-list", "0", "true"]).stderr(Stdio::null()).status();
        if tried.is_ok_and(|status| status.success()) { Self::OneProcessor } else { Self::Anywhere }
    }
}

/// A running child; killed and reaped when dropped.
#[derive(Debug)]
pub struct Child {
    process: std::process::Child,
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Child {
    /// Starts a program with pipes to its standard input and output.
    pub fn start(command: &mut Command) -> Result<Self, String> {
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().map_err(|error| format!("cannot start {command:?}: {error}"))?;
        let (input, output) = (process.stdin.take(), process.stdout.take());
        let output = BufReader::new(output.ok_or("a child without standard output")?);
        Ok(Self { process, input, output })
    }

    /// Starts this program again in one of its roles.
    pub fn role(place: Place, role: &str, arguments: &[&str]) -> Result<Self, String> {
        let program = std::env::current_exe().map_err(|error| error.to_string())?;
        Self::start(place.command(program).arg(format!("--role={role}")).args(arguments))
    }

    /// The next line of its output, without the line end.
    pub fn line(&mut self) -> Result<String, String> {
        let mut line = String::new();
        match self.output.read_line(&mut line) {
            Ok(0) => Err(format!("a child ended early: {:?}", self.process.wait())),
            Ok(_) => Ok(line.trim_end().to_owned()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Writes a line to its input.
    pub fn tell(&mut self, line: &str) -> Result<(), String> {
        let input = self.input.as_mut().ok_or("a child without standard input")?;
        writeln!(input, "{line}").map_err(|error| error.to_string())
    }

    /// Its processor time so far, user and system, all threads; in steps of 10 ms.
    pub fn cpu(&self) -> Result<Duration, String> {
        let path = format!("/proc/{}/stat", self.process.id());
        let text = std::fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
        // The second field is the name in parentheses and may hold anything; 14 and 15 are the times (proc(5)).
        let fields: Vec<&str> = text.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
        let ticks = fields.get(11..13).ok_or(path)?.iter().filter_map(|field| field.parse::<u64>().ok()).sum::<u64>();
        Ok(Duration::from_millis(ticks * 10)) // USER_HZ is 100 on every Linux that Rust runs on
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        drop(self.input.take()); // a role ends by itself at the end of its input
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// In a role: ends this process when the benchmark closes our standard input, or is gone.
pub fn end_with_parent() {
    std::thread::spawn(|| {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        #[expect(clippy::exit, reason = "this process has nothing to lose and nobody to tell")]
        std::process::exit(0);
    });
}

/// What this machine is, for the head of the report.
pub fn machine() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")?.split(": ").nth(1));
    let mut text = model.unwrap_or("unknown processor").to_owned();
    let _ = write!(text, ", {} processors", std::thread::available_parallelism().map_or(1, usize::from));
    text
}
