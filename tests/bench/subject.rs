//! What is measured, and how each is started: the only file here that knows how Leasehold is run.

use std::{
    io::Write as _,
    net::SocketAddr,
    path::PathBuf,
    process::{Command, Stdio},
};

use tempfile::TempDir;

use crate::{
    child::{Child, Place},
    origin::{CREDENTIAL, HOST, Origin},
};

/// The way from the load to the origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Straight over TLS; what all others are compared with.
    Direct,
    /// Through the product: interception, lease, policy, swap, audit and scrubbing all on.
    Leasehold,
    /// Through a proxy that only copies bytes.
    Tunnel,
}

/// A started subject; whatever it needs ends when it is dropped.
pub struct Subject {
    /// Its name in the report.
    pub name: &'static str,
    /// Where the load opens its TCP connections.
    pub dial: SocketAddr,
    /// What the load asks for by CONNECT after that; `None` on the direct way.
    pub connect: Option<String>,
    /// The file with the roots that the load trusts.
    pub roots: PathBuf,
    /// What the load sends after `Bearer `; the origin insists on [`CREDENTIAL`].
    pub credential: String,
    /// The proxy's process, whose time is counted; `None` on the direct way.
    pub process: Option<Child>,
    /// The temporary home, if it has one; only kept so that it lives as long.
    pub _home: Option<TempDir>,
}

impl Kind {
    /// All of them, in the order in which a round takes them.
    pub const ALL: [Self; 3] = [Self::Direct, Self::Tunnel, Self::Leasehold];

    /// Starts it in front of this origin.
    pub fn start(self, place: Place, origin: &Origin) -> Result<Subject, String> {
        match self {
            Self::Direct => Ok(Subject {
                name: "direct",
                dial: origin.address,
                connect: None,
                roots: origin.root.clone(),
                credential: CREDENTIAL.to_owned(),
                process: None,
                _home: None,
            }),
            Self::Tunnel => {
                let mut child = Child::role(place, "tunnel", &[])?;
                let dial = child.line()?.parse().map_err(|_| "the tunnel did not say where it listens")?;
                Ok(Subject {
                    name: "tunnel",
                    dial,
                    connect: Some(origin.address.to_string()),
                    roots: origin.root.clone(),
                    credential: CREDENTIAL.to_owned(),
                    process: Some(child),
                    _home: None,
                })
            }
            Self::Leasehold => leasehold(place, origin),
        }
    }
}

/// Starts `secrets serve` in a temporary home, as a child in the foreground so that its process id is known.
fn leasehold(place: Place, origin: &Origin) -> Result<Subject, String> {
    let program = env!("CARGO_BIN_EXE_secrets");
    let home = tempfile::tempdir().map_err(|error| error.to_string())?;
    let folder = home.path().join("home");
    let secrets = |arguments: &[&str]| {
        let mut command = Command::new(program);
        command.arg("--home").arg(&folder).arg("--no-autostart").args(arguments);
        command
    };
    run(&mut secrets(&["init"]), None)?;
    let config = format!(
        "[upstream]\nextra_roots = ['{}']\n[upstream.hosts]\n\"{HOST}\" = \"{}\"\n",
        origin.root.display(),
        origin.address
    );
    std::fs::write(folder.join("config.toml"), config).map_err(|error| error.to_string())?;
    let mut serve = place.command(program);
    let mut process = Child::start(serve.arg("--home").arg(&folder).args(["--output", "json", "serve"]))?;
    let mut dial = None;
    while dial.is_none() {
        let line = process.line()?;
        let found = line.split_once("\"proxy_addr\": \"").and_then(|(_, rest)| rest.split('"').next());
        dial = found.and_then(|address| address.parse().ok());
    }
    run(
        &mut secrets(&["add", "bench_key", "--host", HOST, "--header", "authorization", "--as", "Bearer {}"]),
        Some(CREDENTIAL),
    )?;
    let leased = run(&mut secrets(&["lease", "bench_key", "--token", "--client-id", "bench"]), None)?;
    Ok(Subject {
        name: "leasehold",
        dial: dial.ok_or("the proxy did not say where it listens")?,
        connect: Some(format!("{HOST}:443")),
        roots: folder.join("ca").join("root.pem"),
        credential: leased.trim().to_owned(),
        process: Some(process),
        _home: Some(home),
    })
}

/// Runs a command to its end; its standard output.
fn run(command: &mut Command, input: Option<&str>) -> Result<String, String> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("cannot start {command:?}: {error}"))?;
    if let (Some(mut stdin), Some(input)) = (child.stdin.take(), input) {
        stdin.write_all(input.as_bytes()).map_err(|error| error.to_string())?;
    }
    let ended = child.wait_with_output().map_err(|error| error.to_string())?;
    let output = String::from_utf8_lossy(&ended.stdout).into_owned();
    if ended.status.success() { Ok(output) } else { Err(format!("{command:?} failed: {output}")) }
}
