//! Reads files of kind `service`.
//!
//! Invariant: a service that is returned has no fault; names in it refer to what it declares.

use std::sync::{Arc, OnceLock};

use crate::base::ServiceId;

use super::{
    check::judge_check,
    credential::{none_yet, read_credential},
    emulate::read_emulators,
    host::{read_hosts, read_params},
    inject::read_injects,
    issue::{read_issues, read_scrub},
    read::{Span, Table, is_name},
    rule::{Names, read_capabilities},
    vector::read_vectors,
};
use crate::policy::{
    load::whole_text,
    services::{Credential, Service, read_meters},
};

/// Reads the service that a file describes; `None` when it has faults, which stay with the source.
pub(in crate::policy) fn read_service(mut file: Table<'_>) -> Option<Service> {
    let source = file.source();
    let id = file.required_text("id").and_then(|id| {
        if !is_name(id.value) {
            source.fault(
                id.span.clone(),
                format!("`{}` is no usable id", id.value.escape_debug()),
                "ids are lower-case letters, digits, `-` and `_`",
            );
        }
        source.parse_at::<ServiceId>(&id)
    });
    let name = file.required_text("name").map(|name| name.value.into());
    let aliases = file.texts("aliases").unwrap_or_default().iter().map(|alias| alias.value.into()).collect();
    let (params, attributes) = read_params(&mut file);
    let hosts = file.named("host");
    let credentials = file.named("credential").into_iter().map(|(name, table)| read_credential(&name, table));
    let (mut credentials, checks): (Vec<Credential>, Vec<Option<Span>>) = credentials.unzip();
    let certificates = credentials.iter().any(|credential| credential.is_certificate);
    let hosts = read_hosts(hosts, &params, certificates);
    let names = Names { hosts: &hosts, params: &params, attributes: &attributes, credentials: &credentials };
    let id = id.map_or_else(|| "x".parse().ok(), |id| Some(id.value))?;
    let injects = read_injects(&mut file, &names, &id);
    let capabilities = read_capabilities(&mut file, &names);
    let issues = read_issues(&mut file, &names);
    let scrub = read_scrub(&mut file);
    let meters = read_meters(&mut file, &names);
    read_emulators(&mut file, &names);
    let vectors = file.tables("test");
    if hosts.is_empty() {
        file.fault("the service has no `[host.NAME]`", "add `[host.api]` with its `origin`");
    }
    file.finish();
    let engines: Vec<(Arc<str>, Option<Arc<str>>)> =
        injects.iter().map(|rule| (rule.inject.credential.clone(), rule.not_yet.clone())).collect();
    for credential in &mut credentials {
        credential.not_yet = none_yet(credential, &engines);
    }
    let mut service = Service {
        id,
        name: name?,
        aliases,
        file: source.file().clone(),
        hosts,
        params,
        attributes,
        credentials,
        injects,
        capabilities,
        issues,
        scrub,
        meters,
        vectors: OnceLock::new(),
        not_yet: source.notes(),
    };
    let vectors = read_vectors(vectors, &service);
    if !vectors.is_empty() || whole_text(source.file()).is_none() {
        service.vectors = vectors.into();
    }
    for (credential, check) in service.credentials.iter().zip(checks) {
        // A host or a place that has a fault may be why.
        if let Some(span) = check.filter(|_| !source.has_faults()) {
            judge_check(source, &service, &credential.name, span);
        }
    }
    (!source.has_faults()).then_some(service)
}
