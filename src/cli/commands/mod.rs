//! One file per command: its flags, what it asks of the daemon, what it shows.

mod add;
mod approvals;
mod approvals_watch;
mod audit;
mod ca;
mod cleanup;
mod completions;
mod config;
mod daemon;
mod delete;
mod demo;
mod doctor;
mod easy;
mod env;
mod env_leases;
mod exec;
mod health;
mod heartbeat;
mod hook;
mod init;
mod kill;
mod lease;
mod limits;
mod list;
mod needs;
mod policy;
mod quorum;
mod refused;
mod revoke;
mod rotate;
mod scan;
mod scan_migrate;
mod serve;
mod settings;
mod status;
mod stop;
mod update;
mod version;

use clap::{CommandFactory, Subcommand};

use super::{
    context::Context,
    printer::{ErrorPlace, Outcome},
    report::Report,
};

/// The commands.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Store a new secret; its value is piped in or typed without echo
    Add(add::Arguments),
    /// Show the requests that wait for a person, and answer them
    Approvals(approvals::Arguments),
    /// Show what was done, request by request
    Audit(audit::Arguments),
    /// Show the certificate that clients of the proxy must trust
    Ca(ca::Arguments),
    /// Remove env files whose time is over, and end their leases
    Cleanup(cleanup::Arguments),
    /// Print completions for a shell
    #[command(alias = "completion")]
    Completions(completions::Arguments),
    /// Show every setting as it is in force, and where it comes from
    Config,
    /// Restart the daemon
    Daemon(daemon::Arguments),
    /// Remove a secret and end its leases
    #[command(alias = "rm")]
    Delete(delete::Arguments),
    /// Show the whole of it offline, in seconds, leaving nothing behind
    Demo,
    /// Check the whole set-up and say the next step
    Doctor,
    /// Write the environment file of the project, or print it
    Env(env::Arguments),
    /// Run a program behind the proxy; it holds lease tokens and no secrets
    Exec(exec::Arguments),
    /// Show what deserves a look: what ends soon, is unused, never rotated, or granted too widely
    Health(health::Arguments),
    /// Show how the heartbeat has been, or beat once now
    Heartbeat(heartbeat::Arguments),
    /// Make the home folder, its identity and an empty store
    Init,
    /// Emergency stop: end every lease, cut every exchange, and let nothing through until it is reset
    Kill(kill::Arguments),
    /// Print a secret's raw value, or a lease token for it
    Lease(lease::Arguments),
    /// Show how much of each limit is used, and when the next request may pass
    Limits(limits::Arguments),
    /// List secrets without their values
    List(list::Arguments),
    /// Explain, list, check and reload policies
    Policy(policy::Arguments),
    /// End leases: one, those of a client, secret or session, or all
    Revoke(revoke::Arguments),
    /// Run rotation hooks: of one secret, of all, or of those that are due
    Rotate(rotate::Arguments),
    /// Find secrets in files, and move those of env files into the store
    Scan(scan::Arguments),
    /// Say how to install a newer program; agent-secrets replaces itself
    #[command(hide = true)]
    SelfUpdate,
    /// Run the daemon in the foreground
    Serve(serve::Arguments),
    /// Show what runs and what is leased
    Status,
    /// Let the daemon finish what it does, then stop it
    Stop,
    /// Change a secret's value, rotation hook or service
    Update(update::Arguments),
    /// Print the program's version
    Version,
}

impl Command {
    /// The command as typed, for envelopes and fixes.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Add(_) => "secrets add",
            Self::Approvals(arguments) => arguments.name(),
            Self::Audit(arguments) => arguments.name(),
            Self::Ca(arguments) => arguments.name(),
            Self::Cleanup(_) => "secrets cleanup",
            Self::Completions(_) => "secrets completions",
            Self::Config => "secrets config",
            Self::Daemon(_) => "secrets daemon restart",
            Self::Delete(_) => "secrets delete",
            Self::Demo => "secrets demo",
            Self::Doctor => "secrets doctor",
            Self::Env(_) => "secrets env",
            Self::Exec(_) => "secrets exec",
            Self::Health(_) => "secrets health",
            Self::Heartbeat(arguments) => arguments.name(),
            Self::Init => "secrets init",
            Self::Kill(_) => "secrets kill",
            Self::Lease(_) => "secrets lease",
            Self::Limits(_) => "secrets limits",
            Self::List(_) => "secrets list",
            Self::Policy(arguments) => arguments.name(),
            Self::Revoke(_) => "secrets revoke",
            Self::Rotate(_) => "secrets rotate",
            Self::Scan(_) => "secrets scan",
            Self::SelfUpdate => "secrets self-update",
            Self::Serve(_) => "secrets serve",
            Self::Status => "secrets status",
            Self::Stop => "secrets stop",
            Self::Update(_) => "secrets update",
            Self::Version => "secrets version",
        }
    }

    /// Where its errors go; `json` when JSON was asked for.
    pub(super) fn error_place(&self, json: bool) -> ErrorPlace {
        match self {
            Self::Exec(_) => ErrorPlace::Stderr,
            Self::Lease(arguments) if !arguments.json && !json => ErrorPlace::Stderr,
            Self::Audit(arguments) if arguments.is_exporting() => ErrorPlace::Stderr,
            Self::Env(arguments) if arguments.is_printing() && !json => ErrorPlace::Stderr,
            _ => ErrorPlace::ByForm,
        }
    }

    /// Commands whose result is for programs whatever standard output is.
    pub(super) fn forces_json(&self) -> bool {
        match self {
            Self::Audit(arguments) => arguments.json,
            Self::Lease(arguments) => arguments.json,
            Self::Policy(arguments) => arguments.wants_json(),
            Self::Scan(arguments) => arguments.json,
            _ => false,
        }
    }

    /// The daemon and the demonstration bring their own runtime.
    pub(super) fn run_blocking<C: CommandFactory>(&self, context: &mut Context) -> Option<Result<Outcome, Report>> {
        match self {
            Self::Audit(arguments) => arguments.run_blocking(context),
            Self::Completions(arguments) => Some(Ok(completions::run::<C>(arguments))),
            Self::Config => Some(config::run(context)),
            Self::Demo => Some(demo::run(context)),
            Self::Init => Some(init::run(context)),
            Self::Policy(arguments) => arguments.offline(context),
            Self::SelfUpdate => Some(Err(version::update())),
            Self::Serve(arguments) => serve::run(context, arguments),
            Self::Version => Some(Ok(version::run())),
            _ => None,
        }
    }

    /// Everything that speaks to the daemon.
    pub(super) async fn run(&self, context: &mut Context) -> Result<Outcome, Report> {
        match self {
            Self::Add(arguments) => add::run(context, arguments).await,
            Self::Approvals(arguments) => approvals::run(context, arguments).await,
            Self::Audit(arguments) => audit::run(context, arguments).await,
            Self::Ca(arguments) => ca::run(context, arguments).await,
            Self::Daemon(arguments) => daemon::run(context, arguments).await,
            Self::Cleanup(arguments) => cleanup::run(context, arguments).await,
            Self::Delete(arguments) => delete::run(context, arguments).await,
            Self::Doctor => doctor::run(context).await,
            Self::Env(arguments) => env::run(context, arguments).await,
            Self::Exec(arguments) => exec::run(context, arguments).await,
            Self::Health(arguments) => health::run(context, arguments).await,
            Self::Heartbeat(arguments) => heartbeat::run(context, arguments).await,
            Self::Kill(arguments) => kill::run(context, *arguments).await,
            Self::Lease(arguments) => lease::run(context, arguments).await,
            Self::Limits(arguments) => limits::run(context, arguments).await,
            Self::List(arguments) => list::run(context, arguments).await,
            Self::Policy(arguments) => policy::run(context, arguments).await,
            Self::Revoke(arguments) => revoke::run(context, arguments).await,
            Self::Rotate(arguments) => rotate::run(context, arguments).await,
            Self::Scan(arguments) => scan::run(context, arguments).await,
            Self::Serve(_) => serve::background(context).await,
            Self::Status => status::run(context).await,
            Self::Stop => stop::run(context).await,
            Self::Update(arguments) => update::run(context, arguments).await,
            Self::Completions(_) | Self::Config | Self::Demo | Self::Init | Self::SelfUpdate | Self::Version => {
                Ok(Outcome::Silent)
            }
        }
    }
}
