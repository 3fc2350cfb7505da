//! Processes as the kernel shows them: who started whom, and when. Empty where there is no `/proc`.

use std::{
    collections::{HashMap, HashSet},
    fs,
    io::Read as _,
};

#[cfg(target_os = "linux")]
use rustix::process::{Pid, PidfdFlags, pidfd_open, pidfd_send_signal};
use rustix::process::{Signal, getpid};

/// One process at one moment. Its id may be given to another once it has gone; id and start together are its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Process {
    /// Its id.
    pub id: i32,
    /// The process that started it, or took it over.
    pub parent: i32,
    /// When it started, in clock ticks since the machine did.
    pub started: u64,
    /// Whether it has ended and nobody has asked how.
    pub is_zombie: bool,
}

/// Kernels allow 6 MiB of arguments and variables.
const MAX_ENVIRONMENT: u64 = 8 * 1024 * 1024;

/// Processes for as long as they live: their ids and their starts.
pub type Known = HashSet<(i32, u64)>;

impl Process {
    /// The process with this id, if there is one.
    pub fn find(id: i32) -> Option<Self> {
        parse(&fs::read_to_string(format!("/proc/{id}/stat")).ok()?)
    }

    /// Every process that is to be seen.
    pub fn all() -> Vec<Self> {
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        let ids = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        ids.filter_map(Self::find).collect()
    }

    /// Everything below these processes and below what was known, and what was known and lives; never this process or
    /// what it has started itself.
    pub fn below(all: &[Self], roots: &[i32], known: &Known) -> Known {
        let own = getpid().as_raw_pid();
        let mut children: HashMap<i32, Vec<&Self>> = HashMap::new();
        for process in all {
            children.entry(process.parent).or_default().push(process);
        }
        let is_known = |process: &&Self| known.contains(&(process.id, process.started));
        let mut found: Known = all.iter().filter(is_known).map(|process| (process.id, process.started)).collect();
        let mut parents: Vec<i32> = roots.iter().copied().chain(found.iter().map(|(id, _)| *id)).collect();
        while let Some(parent) = parents.pop() {
            for child in children.remove(&parent).into_iter().flatten().filter(|child| child.id != own) {
                found.insert((child.id, child.started));
                parents.push(child.id);
            }
        }
        found
    }

    /// Sends a signal to this process and to no other that was given its id since.
    pub fn signal(&self, signal: Signal) {
        #[cfg(target_os = "linux")]
        if let Some(id) = Pid::from_raw(self.id)
            && let Ok(handle) = pidfd_open(id, PidfdFlags::empty())
            && Self::find(self.id).is_some_and(|now| now.started == self.started)
        {
            let _ = pidfd_send_signal(handle, signal); // it may have ended, or be another user's
        }
        #[cfg(not(target_os = "linux"))]
        let _ = signal; // none is to be seen there
    }

    /// A hard limit of a process as `/proc/PID/limits` of proc(5) names it; the largest number when there is none.
    pub(super) fn limit(id: i32, name: &str) -> Option<u64> {
        let limits = fs::read_to_string(format!("/proc/{id}/limits")).ok()?;
        let line = limits.lines().find_map(|line| line.strip_prefix(name))?;
        match line.split_ascii_whitespace().nth(1)? {
            "unlimited" => Some(u64::MAX),
            number => number.parse().ok(),
        }
    }

    /// The name of the program that a process runs, as the kernel cut it.
    pub fn name(id: i32) -> Option<String> {
        let name = fs::read(format!("/proc/{id}/comm")).ok()?;
        Some(String::from_utf8_lossy(name.trim_ascii()).into_owned())
    }

    /// What a variable was when the process's program was started; `None` also where the kernel does not tell.
    pub fn started_with(id: i32, variable: &str) -> Option<Vec<u8>> {
        let mut environment = Vec::new();
        let file = fs::File::open(format!("/proc/{id}/environ")).ok()?;
        file.take(MAX_ENVIRONMENT).read_to_end(&mut environment).ok()?;
        let value = |entry: &[u8]| Some(entry.strip_prefix(variable.as_bytes())?.strip_prefix(b"=")?.to_vec());
        environment.split(|byte| *byte == 0).find_map(value)
    }
}

/// `/proc/PID/stat` of proc(5). The second field may hold anything, so it is skipped by its last parenthesis.
fn parse(stat: &str) -> Option<Process> {
    let (id, _) = stat.split_once(' ')?;
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    let is_zombie = matches!(fields.next()?, "Z" | "X");
    let parent = fields.next()?.parse().ok()?;
    Some(Process { id: id.parse().ok()?, parent, started: fields.nth(17)?.parse().ok()?, is_zombie })
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::{io::Write as _, process::Stdio};

    use super::*;

    #[test]
    fn names_cannot_pose_as_fields() {
        let stat = "42 (a) S 1 (b) Z 7 7 7 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 9876 1 2";
        assert_eq!(parse(stat), Some(Process { id: 42, parent: 7, started: 9876, is_zombie: true }));
        assert_eq!(parse("42 (a"), None);
        assert_eq!(parse("42 (a) S 1"), None);
    }

    #[test]
    fn this_process_and_its_child_are_seen() {
        let own = i32::try_from(std::process::id()).unwrap();
        let mut command = std::process::Command::new("cat");
        command.env("MARK", "a=b").stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // Spawn may return before the kernel has laid out the new program's variables; one that answers has them.
        child.stdin.as_mut().unwrap().write_all(b"?").unwrap();
        child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
        let id = i32::try_from(child.id()).unwrap();
        let seen = Process::all().into_iter().find(|process| process.id == id).unwrap();
        assert_eq!((seen.parent, seen.is_zombie, Process::find(id)), (own, false, Some(seen)));
        assert_eq!(Process::started_with(id, "MARK"), Some(b"a=b".to_vec()));
        assert_eq!(Process::started_with(id, "MAR"), None);
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(Process::find(-1), None);
    }
}
