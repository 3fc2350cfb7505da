//! Brands: marks that the kernel keeps on a process and on everything that it starts, and that those cannot shed.
//!
//! Linux knows resource limits that it enforces nowhere any more, `RLIMIT_LOCKS` and `RLIMIT_RSS` (getrlimit(2)). A hard
//! limit passes to every child, whatever that does about its parents, its session and its variables, and only who has
//! `CAP_SYS_RESOURCE` raises it again. Other systems have no brands: nothing is set there, and nothing found.

use super::Process;
#[cfg(target_os = "linux")]
use super::random;

/// Below here are the limits that we set, and above [`BOTTOM`] the brands; no machine has so much of anything.
#[cfg(target_os = "linux")]
const TOP: u64 = 1 << 62;
/// See [`TOP`].
#[cfg(target_os = "linux")]
const BOTTOM: u64 = 1 << 61;

/// The rank of a process: lower inside a session than outside it, and lower still in a session inside that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Rank(u64);

impl Rank {
    /// The rank of a process; `None` when there is no such process, or the system knows none.
    pub fn of(id: i32) -> Option<Self> {
        Process::limit(id, "Max file locks").map(Self)
    }

    /// Lowers this process by one, for good. What runs already in it or below it is not reached; what is started from
    /// here on is.
    #[cfg(target_os = "linux")]
    pub fn descend() {
        use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
        let lower = getrlimit(Resource::Locks).maximum.map_or(TOP, |now| now.min(TOP)).checked_sub(1);
        if let Some(lower) = lower {
            // A sandbox may forbid it; there are other ways to know a session's processes, and none better.
            let _ = setrlimit(Resource::Locks, Rlimit { current: Some(lower), maximum: Some(lower) });
        }
    }

    /// There are no brands here.
    #[cfg(not(target_os = "linux"))]
    pub const fn descend() {}
}

/// The brand of one process and of what it starts, told apart from all others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Brand(u64);

impl Brand {
    /// Brands a process of this user; `None` where that cannot be done.
    #[cfg(target_os = "linux")]
    pub fn put_on(id: i32) -> Option<Self> {
        use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};
        let most = getrlimit(Resource::Rss).maximum.map_or(TOP, |now| now.min(TOP));
        let room = most.checked_sub(BOTTOM).filter(|room| *room > 0)?;
        let brand = BOTTOM + u64::from_le_bytes(random()) % room;
        prlimit(Pid::from_raw(id), Resource::Rss, Rlimit { current: Some(brand), maximum: Some(brand) }).ok()?;
        Some(Self(brand))
    }

    /// There are no brands here.
    #[cfg(not(target_os = "linux"))]
    pub const fn put_on(_id: i32) -> Option<Self> {
        None
    }

    /// Whether a process has it.
    pub fn is_on(self, id: i32) -> bool {
        Process::limit(id, "Max resident set") == Some(self.0)
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_brand_passes_to_children_that_let_go_of_everything_and_to_nobody_else() {
        use std::io::{Read as _, Write as _};
        let mut command = Command::new("/bin/sh");
        let script = "read -r go; exec setsid env -i /bin/sh -c 'echo $$; read -r end'";
        let mut child = command.args(["-c", script]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let brand = Brand::put_on(i32::try_from(child.id()).unwrap()).unwrap();
        child.stdin.as_mut().unwrap().write_all(b"\n").unwrap();
        let mut said = Vec::new();
        while !said.ends_with(b"\n") {
            let mut byte = [0];
            child.stdout.as_mut().unwrap().read_exact(&mut byte).unwrap();
            said.extend(byte);
        }
        let id: i32 = String::from_utf8(said).unwrap().trim().parse().unwrap();
        assert!(brand.is_on(id));
        assert!(!brand.is_on(i32::try_from(std::process::id()).unwrap()) && !brand.is_on(-1));
        child.stdin.take();
        child.wait().unwrap();
    }

    #[test]
    fn ranks_are_there_for_processes_that_are() {
        let own = i32::try_from(std::process::id()).unwrap();
        assert!(Rank::of(own).is_some() && Rank::of(-1).is_none());
        assert!(Rank(TOP - 2) < Rank(TOP - 1) && Rank(TOP - 1) < Rank(u64::MAX));
    }
}
