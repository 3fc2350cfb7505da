//! Arming of every shipped service: each place in each wording changes by exactly the credential, and nothing else does.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{HeaderMap, HeaderName, Request, header::AUTHORIZATION};

use crate::{
    base::{Authority, SecretBytes},
    inject::{self, Draft, Filling},
    net::VerifiedUpstream,
    policy::{Inject, PolicySet},
    recipe::{BasicPart, Place},
};

const LEASE: &str = "lse_abcDEF000000ghiJKL0123456";
const CREDENTIAL: &str = "MARKER-credential-0123456789-of-another-length";

/// Host, path and query, in the characters of a real request.
struct Target<'a> {
    host: &'a str,
    path: &'a str,
}

/// One request with a text at a place, in the wording of that number; noise stands all around it.
fn request(target: &Target<'_>, place: &Place, wording: usize, text: &str) -> Request<Vec<u8>> {
    let (mut path, mut query) = (target.path.to_owned(), "a=%20b&flag&c=+d".to_owned());
    let mut builder = Request::post("/").header("accept", "*/*").header("x-noise", "Bearer noise  twice");
    let mut body = b"noise \xff\x00 noise".to_vec();
    let mut cookies = "theme=dark; lang=\"de\"".to_owned();
    match place {
        Place::Header { name, wordings } => {
            let wording = &wordings[wording];
            builder = builder.header(name, [wording.before(), text, wording.after()].concat());
        }
        Place::Basic { part, other } => {
            let other = other.as_deref().unwrap_or("somebody");
            let both = if *part == BasicPart::User { format!("{text}:{other}") } else { format!("{other}:{text}") };
            builder = builder.header(AUTHORIZATION, format!("Basic {}", STANDARD.encode(both)));
        }
        Place::Cookie { name } => cookies = format!("theme=dark; {name}={text}; lang=\"de\""),
        Place::Query { name } => query = format!("a=%20b&{name}={text}&flag&c=+d"),
        Place::Path { hole } => path = hole.to_string().replace("{}", text).replace("**", "x%20y/z").replace('*', "x"),
        Place::Form { name } => {
            builder = builder.header("content-type", "application/x-www-form-urlencoded");
            body = format!("a=%20b&{name}={text}&c=+d").into_bytes();
        }
        Place::Message { .. } => {} // it comes after the request: `arm_message`
        Place::Handshake | Place::Moved { .. } => panic!("no shipped service has {place}; tests/proxy tries it"),
        Place::Json { pointer } => {
            builder = builder.header("content-type", "application/json");
            body = document(pointer, text).into_bytes();
        }
    }
    let uri = format!("https://{}{path}?{query}", target.host);
    builder.uri(uri).header("cookie", cookies).body(body).unwrap()
}

/// A JSON text with a string at a pointer, and noise all around it.
fn document(pointer: &str, text: &str) -> String {
    let steps: Vec<&str> = pointer.split('/').skip(1).collect();
    steps
        .iter()
        .rev()
        .fold(format!("\"{text}\""), |inner, key| format!("{{ \"noise\" : [1, \"\\u00fc\"], \"{key}\" : {inner} }}"))
}

/// The credential goes into a message after the request, and into nothing of the request.
fn arm_message(target: &Target<'_>, place: &Place, authority: &Authority) {
    let Place::Message { pointer } = place else { return };
    let before = request(target, place, 0, "");
    let (mut parts, body) = request(target, place, 0, "").into_parts();
    let slot = inject::begin(&mut parts, place).unwrap().slot;
    let draft = Draft::new(authority.clone(), parts, body, vec![slot]);
    let credentials = [SecretBytes::new(CREDENTIAL.as_bytes().to_vec())];
    let proof = VerifiedUpstream::pretend(authority.clone());
    let armed = draft.arm(&credentials, &proof, |body, _| Ok(body)).unwrap_or_else(|error| panic!("{place}: {error}"));
    let (armed, message) = armed.open();
    assert_eq!(shown(&armed), shown(&before), "{place}");
    let written = message.unwrap().write(document(pointer, LEASE).as_bytes(), |text| text == LEASE.as_bytes());
    let written = written.unwrap().unwrap();
    assert_eq!(String::from_utf8_lossy(&written), document(pointer, CREDENTIAL), "{place}");
}

/// Everything of a request that goes over the wire.
fn shown(request: &Request<Vec<u8>>) -> (String, HeaderMap, Vec<u8>) {
    (format!("{} {}", request.method(), request.uri()), request.headers().clone(), request.body().clone())
}

fn arm(request: Request<Vec<u8>>, place: &Place, authority: &Authority) -> Request<Vec<u8>> {
    let (parts, body) = request.into_parts();
    let held = if place.is_in_body() {
        assert!(inject::is_body_for(&parts.headers, place), "{place}");
        inject::find_in_body(&body, place)
    } else {
        inject::find(&parts, place)
    };
    let held = held.unwrap().unwrap_or_else(|| panic!("{place}: the lease is not found"));
    assert_eq!(&held.text[..], LEASE.as_bytes(), "{place}");
    let fill = |mut body: Vec<u8>, fillings: &[Filling]| {
        for (range, text) in fillings.iter().rev() {
            body.splice(range.clone(), text.iter().copied());
        }
        Ok(body)
    };
    let credentials = [SecretBytes::new(CREDENTIAL.as_bytes().to_vec())];
    let proof = VerifiedUpstream::pretend(authority.clone());
    let armed = Draft::new(authority.clone(), parts, body, vec![held.slot]).arm(&credentials, &proof, fill);
    armed.unwrap_or_else(|error| panic!("{place}: {error}")).open().0
}

/// A text for each hole of a pattern.
fn filled(pattern: &str) -> String {
    let mut text = String::new();
    let mut in_name = false;
    for part in pattern.replace("**", "x").replace('*', "x").chars() {
        match part {
            '{' => in_name = true,
            '}' => {
                in_name = false;
                text.push('x');
            }
            _ if in_name => {}
            other => text.push(other),
        }
    }
    text
}

fn try_all(service: &str, origins: &[String], path: &str, inject: &Inject) -> usize {
    let mut tried = 0;
    for origin in origins {
        let host = filled(origin.split_once("://").unwrap().1);
        let authority = Authority::parse(&host, Some(443)).unwrap();
        for place in &inject.places {
            if place.is_later() {
                arm_message(&Target { host: &host, path: &filled(path) }, place, &authority);
                tried += 1;
                continue;
            }
            let wordings = if let Place::Header { wordings, .. } = place { wordings.len() } else { 1 };
            for wording in 0..wordings {
                let target = Target { host: &host, path: &filled(path) };
                let armed = arm(request(&target, place, wording, LEASE), place, &authority);
                let expected = request(&target, place, wording, CREDENTIAL);
                assert_eq!(shown(&armed), shown(&expected), "{service} {origin}: {place}, wording {wording}");
                let text = format!("{:?}", (armed.uri(), String::from_utf8_lossy(armed.body())));
                assert!(!text.contains(LEASE), "{service}: {text}");
                tried += 1;
            }
        }
    }
    tried
}

#[test]
fn every_inject_block_of_every_shipped_service_changes_exactly_its_place() {
    let set = PolicySet::catalogue().unwrap();
    let mut tried = 0;
    for service in set.services() {
        let mut of_service = 0;
        for (origins, path, inject) in service.injections() {
            assert!(!inject.places.is_empty() && !origins.is_empty(), "{}", service.id());
            of_service += try_all(service.id().as_str(), &origins, &path, inject);
        }
        assert!(of_service > 0, "{}", service.id());
        tried += of_service;
    }
    assert!(tried > 400, "{tried}");
}

#[test]
fn a_change_beside_the_place_would_be_seen() {
    let place = Place::Header { name: HeaderName::from_static("x-key"), wordings: vec!["{}".parse().unwrap()] };
    let target = Target { host: "api.acme.test", path: "/v1/x" };
    let authority = Authority::parse("api.acme.test", Some(443)).unwrap();
    let mut armed = arm(request(&target, &place, 0, LEASE), &place, &authority);
    let expected = request(&target, &place, 0, CREDENTIAL);
    assert_eq!(shown(&armed), shown(&expected));
    armed.headers_mut().insert("x-noise", "Bearer noise twice".parse().unwrap());
    assert_ne!(shown(&armed), shown(&expected));
}
