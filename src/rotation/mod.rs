//! Rotation hooks: running the operator's command that obtains a new value, and when it is time to.
//!
//! Floor 2: imports `base`, `store`. Invariants: what a hook prints is the new value or nothing, and reaches neither an
//! error nor a log; a hook that outlives its time is ended, and whatever it started ends with it.
//!
//! # A hook's surroundings
//!
//! The text that was stored with `--rotate-via` is given to `/bin/sh -c` as it is, as the daemon's user, in the user's
//! home folder, with an empty standard input; standard error is thrown away. The environment holds nothing but
//!
//! | variable | what |
//! |---|---|
//! | `SECRETS_NAME` | the secret's name |
//! | `SECRETS_SERVICE`, `SECRETS_CREDENTIAL` | what it is bound to; empty when it is not |
//! | `SECRETS_REASON` | why it is rotated: a [`Trigger`]'s word |
//! | `PATH`, `HOME`, `USER`, `LOGNAME`, `LANG`, `LC_ALL`, `TZ`, `TMPDIR`, `XDG_CONFIG_HOME`, `XDG_RUNTIME_DIR` | the daemon's own, where it has them |
//!
//! # What a hook leaves
//!
//! Nothing, however it ended: its process group is killed, and so is what has left the group, its parents and its
//! variables. On Linux the hook's resident set limit, which the kernel has long stopped to enforce, is set to a number of
//! its own; all that it starts has that, too, and is found by it. What lowers that limit of its own *and* lets go of its
//! parents is not found; neither is what runs as another user, or what a service that was there before started for it
//! (`systemd-run`, `at`, a container's engine).
//!
//! A name is never a part of the command's text, so that no name can become a command.
//!
//! # What counts as success
//!
//! Exit status 0 within the time, and a usable value: not empty, at most 1 MiB, one line without control characters
//! unless the old value had several, and no process left that holds the output. With `json:/pointer` the field's object
//! may also say when the value ends: `expires_at` (RFC 3339, or seconds since 1970), else `expires_in` (seconds).

mod due;
mod error;
mod output;
mod process;
mod run;
mod strays;
mod trigger;

pub use due::{MIN_GAP, backoff, due, rests};
pub use error::Error;
pub use output::{Given, Shape};
pub use run::{Facts, Hook, run};
pub use trigger::Trigger;
