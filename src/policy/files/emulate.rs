//! Reads `[emulate.NAME]` of a service file: servers of the provider that only local clients have. None is built yet.

use super::{
    read::{Table, expected},
    rule::Names,
};

/// Reads every emulator and notes that it is not there.
pub(in crate::policy) fn read_emulators(file: &mut Table<'_>, names: &Names<'_>) {
    let source = file.source();
    for (name, mut table) in file.named("emulate") {
        if let Some(env) = table.table("env") {
            env.all_texts();
        }
        if let Some(using) = table.required_text("use") {
            let known: Vec<&str> = names.credentials.iter().map(crate::policy::Credential::name).collect();
            if !known.contains(&using.value) {
                let message = format!("there is no `[credential.{}]`", using.value.escape_debug());
                source.fault(using.span, message, expected(using.value, &known));
            }
        }
        source.not_yet(table.span(), format_args!("`[emulate.{}]`", name.value));
        table.finish();
    }
}
