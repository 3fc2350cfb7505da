//! `secrets init`: the home folder, its identity and an empty store, where they are missing.

use serde_json::json;

use crate::{
    base::Clock,
    cli::{context::Context, envelope::NextAction, printer::Outcome, report::Report},
    daemon,
    store::Store,
};

/// Makes what is missing; whatever exists stays as it is.
pub(super) fn run(context: &Context) -> Result<Outcome, Report> {
    let made = Store::create(&context.home, Clock::system());
    let (_, created) =
        made.map_err(|error| context.subject(None).failure(daemon::failure(&daemon::Error::from(error))))?;
    let folder = context.home.folder().display();
    let human = if created.store {
        format!("made {folder}: an identity and an empty store\nkeep a copy of {}\n", context.home.identity().display())
    } else {
        format!("{folder} is there already; nothing was changed\n")
    };
    let result = json!({
        "home": context.home.folder(),
        "created": {"folder": created.folder, "identity": created.identity, "store": created.store},
    });
    let next = vec![
        NextAction::new("secrets add NAME", "Store a secret; its value is piped in or typed"),
        NextAction::new("secrets doctor", "Check the set-up"),
    ];
    Ok(Outcome::Shown { result, human, next })
}
