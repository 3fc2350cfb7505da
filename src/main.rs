//! The program `secrets`: hands the parts to the commands and returns their exit code.

use std::{ffi::OsString, io::Write, process::ExitCode};

use leasehold::{
    base::Home,
    cli::{self, Parts, PermissionCheck, Ready, ServeRequest, TrustRequest},
    control::{Failure, FailureCode},
    daemon::{self, Options, Settings},
    demo,
    store::Store,
    trust,
};

fn main() -> ExitCode {
    // What `secrets exec` runs in the demonstration; not a command.
    if std::env::args_os().nth(1).is_some_and(|argument| argument == demo::AGENT_ARGUMENT) {
        let played = demo::play_agent(&mut std::io::stdout().lock());
        return if played.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    cli::run(std::env::args_os(), Parts { serve, demo, environment })
}

fn serve(request: &ServeRequest, ready: &mut dyn FnMut(&Ready)) -> Result<(), Failure> {
    daemon::start_logging();
    let home: &Home = &request.home;
    let settings = Settings::load(home, request.config.as_deref()).map_err(|error| daemon::failure(&error))?;
    let store_warning = match request.permissions {
        PermissionCheck::Enforce => None,
        PermissionCheck::Skip => Store::tighten(home).map_err(|error| daemon::failure(&error.into()))?,
    };
    let options = Options { socket: request.socket.clone(), store_warning, ..Options::new(home, settings) };
    let served = daemon::serve(&options, &mut |running| {
        ready(&Ready { socket: request.socket.clone(), pid: std::process::id(), proxy_addr: running.proxy_address() });
    });
    served.map_err(|error| daemon::failure(&error))
}

fn demo(out: &mut dyn Write) -> Result<(), Failure> {
    demo::run(out).map_err(|error| Failure::new(FailureCode::Internal, error.to_string()))
}

fn environment(request: &TrustRequest<'_>) -> Result<Vec<(OsString, OsString)>, Failure> {
    let setup = trust::Setup {
        proxy: request.proxy,
        login: request.credentials.map(|(user, password)| trust::Login { user, password: password.reveal() }),
        support: request.support,
        root_pem: request.root_pem,
        inherited: request.inherited,
        secret_hosts: request.secret_hosts,
    };
    trust::environment(&setup).map_err(|error| Failure::new(FailureCode::Io, error.to_string()))
}
