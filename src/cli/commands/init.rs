//! `secrets init`: the home folder, its identity and an empty store, where they are missing.

use serde_json::json;

use crate::{
    base::{Clock, replace},
    cli::{context::Context, envelope::NextAction, printer::Outcome, report::Report},
    daemon,
    store::Store,
};

/// Makes what is missing; whatever exists stays as it is.
pub(super) fn run(context: &Context) -> Result<Outcome, Report> {
    let made = Store::create(&context.home, Clock::system());
    let (_, created) =
        made.map_err(|error| context.subject(None).failure(daemon::failure(&daemon::Error::from(error))))?;
    let config = write_config(context)?;
    let folder = context.home.folder().display();
    let human = if created.store {
        format!("made {folder}: an identity and an empty store\nkeep a copy of {}\n", context.home.identity().display())
    } else {
        format!("{folder} is there already; nothing was changed\n")
    };
    let result = json!({
        "home": context.home.folder(),
        "created": {"folder": created.folder, "identity": created.identity, "store": created.store, "config": config},
        "path": context.home.folder(),
    });
    let next = vec![
        NextAction::new("secrets add NAME", "Store a secret; its value is piped in or typed"),
        NextAction::new("secrets doctor", "Check the set-up"),
    ];
    Ok(Outcome::Shown { result, human, next })
}

/// A commented settings file, where there is none of either form; whether it was written.
fn write_config(context: &Context) -> Result<bool, Report> {
    let path = context.home.config();
    if context.globals.config.is_some() || path.exists() || context.home.legacy_config().exists() {
        return Ok(false);
    }
    replace(&path, daemon::commented_file().as_bytes(), 0o600, None)?;
    Ok(true)
}
