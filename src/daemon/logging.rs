//! Logs on stderr: `LEASEHOLD_LOG=debug` for more. Nothing in them that the audit log would not hold.

use tracing_subscriber::{EnvFilter, fmt};

/// The variable that says how much is logged.
pub const LOG_VARIABLE: &str = "LEASEHOLD_LOG";

/// Starts logging; a second call changes nothing.
pub fn start() {
    let filter = EnvFilter::try_from_env(LOG_VARIABLE).unwrap_or_else(|_| EnvFilter::new("warn"));
    // Whoever installed a logger before us keeps it.
    let _ = fmt().with_env_filter(filter).with_writer(std::io::stderr).with_ansi(false).try_init();
}
