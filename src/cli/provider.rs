//! Variables of an outside keeper: fetched through its program, checked, recorded by name.

use std::time::Duration;

use super::{
    context::Context,
    project_file::{self, edit, obeyed},
    report::Report,
};
use crate::{
    control::{Client, Note},
    project::{self, ProjectFile, ProviderProject, Variable},
};

/// How long the keeper's program may take; it asks a server far away.
const PATIENCE: Duration = Duration::from_mins(1);

/// Fetches the variables. They are raw values, so that nobody gets them before the record has their names.
pub(super) async fn pull(
    context: &Context,
    client: &mut Client,
    file: &ProjectFile,
    wants: &ProviderProject,
) -> Result<Vec<Variable>, Report> {
    let variables = project::pull(wants, file.folder(), PATIENCE).await.map_err(project_file::report)?;
    if let Some((name, _)) = variables.iter().find(|(name, _)| name.is_obeyed()) {
        return Err(obeyed(name.as_str(), edit(&file.path)));
    }
    let names = variables.iter().map(|(name, _)| name.clone()).collect();
    let note = Note::ProviderPull { source: wants.source, scope: wants.scope, names };
    client.call(note).await.map_err(|error| context.subject(None).control(error))?;
    Ok(variables)
}
