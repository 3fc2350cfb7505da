//! Every key of the settings with its default and what it does: one table for checks, `init`, `config` and the README.

/// What a key takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A duration as text; agent-secrets' JSON has nanoseconds.
    Duration,
    /// Whatever TOML value its default shows.
    Other,
    /// A file or folder; `~/` is the user's own.
    Path,
    /// A duration that may be zero. Agent-secrets has none, so that a zero in its form was meant.
    Span,
}

/// One key.
#[derive(Clone, Copy, Debug)]
pub struct Key {
    /// Its full name, such as `proxy.listen`.
    pub name: &'static str,
    /// Its default as TOML writes it; empty when there is none until it is set.
    pub default: &'static str,
    /// What it does, in a line.
    pub about: &'static str,
    pub(super) kind: Kind,
}

impl Key {
    const fn new(name: &'static str, kind: Kind, default: &'static str, about: &'static str) -> Self {
        Self { name, default, about, kind }
    }
}

/// Every key, in the order of the written file; those of agent-secrets keep their names.
pub const KEYS: &[Key] = &[
    Key::new("directory", Kind::Path, "", "where everything below lives, when not beside this file"),
    Key::new("socket_path", Kind::Path, "", "the control socket"),
    Key::new("socket_mode", Kind::Other, "\"0600\"", "or \"0660\", with `socket_group`"),
    Key::new("socket_group", Kind::Other, "", "the group that may use the control socket"),
    Key::new("identity_path", Kind::Path, "", "the age identity"),
    Key::new("secrets_path", Kind::Path, "", "the store"),
    Key::new("audit_path", Kind::Path, "", "the audit log"),
    Key::new("leases_path", Kind::Path, "", "live leases; sealed, so a name in .json becomes .age"),
    Key::new("default_lease_ttl", Kind::Duration, "\"1h\"", "how long a lease lives when nobody says"),
    Key::new("max_lease_ttl", Kind::Duration, "\"24h\"", "the longest that a lease may live"),
    Key::new("on_stray", Kind::Other, "\"refuse\"", "or \"revoke\": ends a lease whose token is out of place"),
    Key::new("rotation_timeout", Kind::Duration, "\"30s\"", "how long a rotation hook may take"),
    Key::new(
        "proxy.listen",
        Kind::Other,
        "\"127.0.0.1:0\"",
        "the main listener; 0 is any free port, the same at each start while it can be had",
    ),
    Key::new("proxy.require_auth", Kind::Other, "false", "whether it wants a session's proxy credentials"),
    Key::new(
        "proxy.body_time",
        Kind::Duration,
        "\"30s\"",
        "how long a client may take over a body that rules look into",
    ),
    Key::new("proxy.approval_body", Kind::Other, "\"1MiB\"", "the longest body that a person can be asked about"),
    Key::new("approvals.within", Kind::Duration, "\"2m\"", "how long a request waits for a person, at most 1h"),
    Key::new(
        "approvals.notify",
        Kind::Other,
        "\"auto\"",
        "or \"off\", or a program: tells the desktop that a request waits",
    ),
    Key::new("upstream.extra_roots", Kind::Path, "[]", "PEM files of private certificate authorities"),
    Key::new("upstream.allow_addresses", Kind::Other, "[]", "private ranges that may be dialled: \"10.0.0.0/8\""),
    Key::new("upstream.hosts", Kind::Other, "{}", "hosts at fixed addresses: { \"api.test\" = \"127.0.0.1:8443\" }"),
    Key::new("ca.name_constraints", Kind::Other, "false", "whether the root vouches for granted hosts only"),
    Key::new("audit.durability", Kind::Other, "\"write\"", "or \"fsync\": records survive a power cut"),
    Key::new("audit.max_size", Kind::Other, "\"64MiB\"", "from this size on the log goes on in a new file; 0: never"),
    Key::new("audit.keep", Kind::Other, "\"all\"", "or a number: how many of its older files are kept"),
    Key::new("audit.checkpoint", Kind::Other, "\"off\"", "or such as \"1h\": how often the log is signed"),
    Key::new("heartbeat.enabled", Kind::Other, "false", "whether an address has to go on answering"),
    Key::new("heartbeat.url", Kind::Other, "", "the address; https, or http on this machine or with public_key"),
    Key::new("heartbeat.method", Kind::Other, "\"GET\"", "or \"POST\""),
    Key::new("heartbeat.interval", Kind::Duration, "\"1m\"", "from the end of a beat to the next"),
    Key::new("heartbeat.timeout", Kind::Duration, "\"10s\"", "how long a beat may take"),
    Key::new("heartbeat.misses", Kind::Other, "3", "how many beats in a row have to fail"),
    Key::new(
        "heartbeat.grace",
        Kind::Span,
        "\"1m\"",
        "no miss counts so soon after start, sleep or reset; 0s: each counts",
    ),
    Key::new("heartbeat.jitter", Kind::Span, "\"5s\"", "up to this much is added to each interval"),
    Key::new("heartbeat.bearer", Kind::Other, "", "the secret that is sent as a bearer token"),
    Key::new("heartbeat.public_key", Kind::Other, "", "the Ed25519 key that has to sign each answer, in base64"),
    Key::new("heartbeat.fail_action.revoke_all", Kind::Other, "false", "a failure trips the kill switch"),
    Key::new("heartbeat.fail_action.rotate_all", Kind::Other, "false", "trips it and rotates every secret"),
    Key::new("heartbeat.fail_action.wipe_store", Kind::Other, "false", "trips it and wipes the store"),
];

/// The commented file that `init` writes: every key with its default.
pub fn commented_file() -> String {
    let mut lines = vec![
        "# Settings of Leasehold. Every key is optional and shown with its default; paths without one are beside this"
            .to_owned(),
        "# file. `secrets config` shows what is in force and where it comes from. Take the `#` away to change a key."
            .to_owned(),
    ];
    let mut table = "";
    for key in KEYS {
        let (of, name) = key.name.rsplit_once('.').unwrap_or(("", key.name));
        if of != table {
            table = of;
            lines.extend([String::new(), format!("[{of}]")]);
        }
        let default = if key.default.is_empty() { "\"\"" } else { key.default };
        lines.push(format!("# {name} = {default}  # {}", key.about));
    }
    lines.push(String::new());
    lines.join("\n")
}
