//! Every shipped service is looked for by what its own file says.

use std::sync::Arc;

use leasehold::{
    policy::PolicySet,
    scan::{Patterns, ServiceShape},
};

use super::letters;

fn shapes() -> Vec<ServiceShape> {
    let policy = PolicySet::catalogue().unwrap();
    let mut shapes = Vec::new();
    for service in policy.services() {
        for (at, credential) in service.credentials().iter().enumerate() {
            let own = Arc::clone(service);
            shapes.push(ServiceShape {
                name: format!("{} {}", service.name(), credential.name()),
                prefixes: credential.accept().prefixes().map(str::to_owned).collect(),
                length: credential.accept().length(),
                fits: Arc::new(move |value| own.credentials()[at].accept().fits(value)),
                env: credential.env().map(str::to_owned).collect(),
                lease: credential.shape().clone(),
            });
        }
    }
    shapes
}

/// A value that the service's own description takes, if one of these does.
fn value(shape: &ServiceShape) -> Option<String> {
    let prefix = shape.prefixes.first().cloned().unwrap_or_default();
    let hex: String =
        letters(200, 3).bytes().map(|byte| char::from(b"0123456789abcdef"[usize::from(byte % 16)])).collect();
    let lengths = shape.length.into_iter().chain([40, 32, 36, 20, 24, 64, 37, 51, 82]);
    let tails = lengths.flat_map(|length| {
        let rest = length.saturating_sub(prefix.len());
        [letters(rest, 5), hex[..rest].to_owned()]
    });
    let dotted = format!("{}.{}", letters(14, 9), &hex[..64]);
    let mut tails = tails.chain([dotted, format!("7000000000:{}", letters(35, 7))]);
    tails.find(|tail| (shape.fits)(format!("{prefix}{tail}").as_bytes())).map(|tail| prefix.clone() + &tail)
}

#[test]
fn there_are_far_more_than_sixty_shapes() {
    let names = Patterns::new(shapes()).unwrap().names();
    assert!(names.len() > 120, "{}", names.len());
}

#[test]
fn the_credential_of_every_shipped_service_is_found_in_its_variable() {
    let shapes = shapes();
    let patterns = Patterns::new(shapes.clone()).unwrap();
    for shape in &shapes {
        let Some(variable) = shape.env.first() else { continue };
        let value = value(shape).unwrap_or_else(|| panic!("no value fits {}", shape.name));
        let found = patterns.recognise(variable, value.as_bytes());
        let found = found.unwrap_or_else(|| panic!("{variable}={value} of {} is not found", shape.name));
        assert!(!found.pattern_name.starts_with("Generic"), "{variable}={value}: {found:?}");
    }
}
