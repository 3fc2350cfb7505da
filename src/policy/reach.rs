//! What becomes of a request before any lease of it is looked at: by its method, by its handshake, and by its host.
//!
//! Invariant: the proxy and every explanation ask here, so that they cannot differ.

use super::{PolicySet, Protocol, UnknownHost};
use crate::base::{Authority, RefusalCode, Scheme};

/// How far a connection to a host gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reach {
    /// A granted service has this origin: requests are read and judged.
    Granted,
    /// Nothing is sent there.
    Refused {
        /// Why.
        reason: String,
        /// The step that mends it.
        fix: String,
    },
    /// No grant names the host; a person is asked, and then bytes pass untouched.
    Asked,
    /// No grant names the host; bytes pass untouched.
    Untouched,
}

impl PolicySet {
    /// How far a connection to this origin gets.
    pub fn reach(&self, scheme: Scheme, authority: &Authority) -> Reach {
        if let Some(host) = self.host(scheme, authority) {
            let refused = |reason: &str| Reach::Refused { reason: reason.to_owned(), fix: CHECK_FIX.to_owned() };
            return host.closed().map_or(Reach::Granted, refused);
        }
        let Authority { host, port } = authority;
        let (reason, fix) = match (self.names_host(host), scheme, self.unknown_host()) {
            (true, Scheme::Http, _) => {
                (format!("a grant names `{host}`, but not over clear text"), "use https:// for this host".to_owned())
            }
            (true, Scheme::Https, _) => {
                let fix = format!("secrets policy explain GET 'https://{authority}/'");
                (format!("a grant names `{host}`, but not port {port}"), fix)
            }
            (false, _, UnknownHost::Deny) => (format!("no grant names `{host}`"), "secrets policy list".to_owned()),
            (false, _, UnknownHost::Ask) => return Reach::Asked,
            (false, _, UnknownHost::Tunnel) => return Reach::Untouched,
        };
        Reach::Refused { reason, fix }
    }
}

/// The command that shows what is not built yet.
pub const CHECK_FIX: &str = "secrets policy check";

/// Why a request goes to no upstream, whatever it carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Never {
    /// The code of the refusal.
    pub code: RefusalCode,
    /// Why.
    pub reason: String,
    /// The step that mends it.
    pub fix: &'static str,
}

/// The step that mends a WebSocket handshake.
pub const HANDSHAKE_FIX: &str = "send the handshake as RFC 6455 frames it, with GET over HTTP/1.1";

/// Whether a request with this method goes to no upstream.
pub fn never_forwarded(method: &str, protocol: Protocol) -> Option<Never> {
    let never = |code, reason: &str, fix| Some(Never { code, reason: reason.to_owned(), fix });
    match (method, protocol) {
        // A tunnel within a tunnel hides where it goes; a trace echoes the credential (attacks 36, 77).
        ("CONNECT", _) => never(
            RefusalCode::HostDenied,
            "there is no tunnel within a tunnel",
            "open the second tunnel at the proxy itself, on a connection of its own",
        ),
        ("TRACE" | "TRACK", _) => never(
            RefusalCode::MethodDenied,
            &format!("`{method}` is never forwarded"),
            "use GET or HEAD to see what a host answers",
        ),
        ("GET", _) | (_, Protocol::Http) => None,
        (_, Protocol::WebSocket) => {
            never(RefusalCode::BadRequest, "a WebSocket handshake is a GET of HTTP/1.1", HANDSHAKE_FIX)
        }
    }
}
