//! Quorums that can never be filled: people are told apart by their user, and the control socket lets one in.

use crate::cli::context::Context;
use crate::{
    daemon::{Settings, SocketMode},
    policy::{Finding, PolicySet},
};

/// One finding for each grant that wants more people than may come; none where the settings cannot be read, which is
/// told elsewhere.
pub(super) fn unfillable(context: &Context, set: &PolicySet) -> Vec<Finding> {
    let settings = Settings::load(&context.home, context.globals.config.as_deref());
    if settings.map_or(true, |settings| settings.socket_mode != SocketMode::Owner) {
        return Vec::new();
    }
    let finding = |(place, quorum): (&str, usize)| Finding {
        place: place.to_owned(),
        message: format!(
            "{quorum} people must allow its requests, each as another user, and the control socket lets only you in: \
             none will ever pass"
        ),
        fix: "set `socket_mode = \"0660\"` and `socket_group` in the settings file, or leave `quorum` out".to_owned(),
    };
    set.quorums().map(finding).collect()
}
