//! What a process that holds secrets gives up: core dumps, and being read by other processes of the user.

use rustix::process::{Resource, Rlimit, setrlimit};

/// No core dumps from here on, and on Linux no tracing and no `/proc/PID/mem` for anybody but root. Children inherit
/// the first and not the second. Neither can fail for a reason that should keep the program from running.
pub(super) fn this_process() {
    let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    #[cfg(target_os = "linux")]
    let _ = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable);
}
