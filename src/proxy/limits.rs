//! How much and how long: the bounds of the data plane.

use std::time::Duration;

/// Bounds of the proxy. Every default is generous to honest clients and finite for others.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Client connections at once, all listeners together. Default 4096.
    pub connections: usize,
    /// The largest head, in bytes. Default 64 KiB.
    pub head: usize,
    /// How long a client may take over the head of a request, from its first byte; HTTP/1.1 only. Default 30 s.
    pub head_time: Duration,
    /// The most header fields. Default 200.
    pub fields: usize,
    /// How long a client may take over a TLS handshake. Default 10 s.
    pub handshake: Duration,
    /// How long a client connection may be silent before a request's head is complete; long, because clients keep
    /// connections for later. Default 10 min.
    pub idle: Duration,
    /// How long an upstream may take to begin its answer; long, because models think. Default 15 min.
    pub answer: Duration,
    /// How long to wait for an upstream's `100 Continue` before sending the body anyway (RFC 9110, 10.1.1). Default 1 s.
    pub expect: Duration,
    /// How much a coded answer may grow when decoded, as a factor, once past 16 MiB. Default 200.
    pub growth: u64,
    /// How much of a request's body is kept for a second try after a 401, in bytes; a longer one gets none. Default
    /// 256 KiB.
    pub kept: usize,
    /// The same for all requests together. Default 64 MiB.
    pub kept_together: usize,
    /// The longest body that may hold a credential, in bytes. Default 1 MiB.
    pub credential_body: usize,
    /// How long a client may take over a body that rules must see before the request is judged. Default 30 s.
    pub peek_time: Duration,
    /// The room for such bodies, all requests together, in bytes; whoever finds none waits. Default 128 MiB.
    pub peeked_together: usize,
    /// The longest body that is read and kept for a person to approve, in bytes. Default 1 MiB.
    pub approval_body: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 4096,
            head: 64 * 1024,
            head_time: Duration::from_secs(30),
            fields: 200,
            handshake: Duration::from_secs(10),
            idle: Duration::from_mins(10),
            answer: Duration::from_mins(15),
            expect: Duration::from_secs(1),
            growth: 200,
            kept: 256 * 1024,
            kept_together: 64 * 1024 * 1024,
            credential_body: 1024 * 1024,
            peek_time: Duration::from_secs(30),
            peeked_together: 128 * 1024 * 1024,
            approval_body: 1024 * 1024,
        }
    }
}
