//! Station 2: CONNECT. One authority, one session, and whether the tunnel is intercepted, passed through or refused.

use std::sync::Arc;

use super::{
    answer::AnswerBody,
    discover,
    entrance::Entrance,
    exchange::{Refused, Site},
    flow::Flow,
    outcome::{Kind, Notes},
    passthrough::PassThrough,
    shared::Shared,
    sieve::{Sieve, Stops},
    stray, way,
};
use crate::{
    base::{Authority, RefusalCode, Scheme},
    broker::Refusal,
    ca,
    policy::Reach,
};
use bytes::Bytes;
use http::{Request, Response, Uri};
use hyper::{body::Incoming, upgrade::OnUpgrade};

/// A tunnel whose client was told that it is open.
pub(super) struct Tunnel {
    pub(super) client: OnUpgrade,
    pub(super) mode: Mode,
}

/// What happens inside.
pub(super) enum Mode {
    /// TLS ends here; requests are read and armed. The leaf is minted before the client is told `200`.
    Intercept { site: Arc<Site>, tls: Arc<rustls::ServerConfig> },
    /// Bytes are relayed untouched.
    PassThrough(Box<PassThrough>),
}

/// Decides on a CONNECT and prepares its tunnel.
pub(super) async fn open(
    shared: &Arc<Shared>,
    entrance: Arc<Entrance>,
    mut request: Request<Incoming>,
) -> Result<(Response<AnswerBody>, Tunnel), Refused> {
    let client = hyper::upgrade::on(&mut request);
    let mut notes = Notes::new(Kind::Tunnel, request.method().clone(), request.uri().clone(), None);
    entrance.note(&mut notes);
    let authority = match target(shared, request.uri()) {
        Ok(authority) => authority,
        Err(refusal) => return Err(Refused::Before(Box::new(notes), refusal)),
    };
    notes.authority = Some(authority.clone());
    if discover::is_for_us(&authority) {
        let detail = format!("`{}` is this proxy itself, which answers in clear text", authority.host);
        let refusal = Refusal::new(RefusalCode::HostDenied, detail, "curl http://leasehold.internal/v1/me");
        return Err(Refused::Before(Box::new(notes), refusal));
    }
    let reach = || shared.broker.policy().reach(Scheme::Https, &authority);
    let (notes, reach) = match reach() {
        Reach::Asked => {
            let notes = Box::pin(way::ask_for_tunnel(&shared.broker, &entrance, &authority, Box::new(notes))).await?;
            (*notes, reach()) // files may have changed while it was held
        }
        reach => (notes, reach),
    };
    let mode = match reach {
        Reach::Granted => intercept(shared, entrance, authority, notes).await?,
        Reach::Untouched | Reach::Asked => pass_through(shared, &entrance, &authority, notes).await?,
        Reach::Refused { reason, fix } => return Err(Refused::Before(Box::new(notes), way::closed(reason, fix))),
    };
    Ok((Response::new(AnswerBody::from(Bytes::new())), Tunnel { client, mode }))
}

/// The request target of a CONNECT: an authority and nothing more (RFC 9110, 9.3.6), and no hiding place for a token.
fn target(shared: &Shared, uri: &Uri) -> Result<Authority, Refusal> {
    let target = uri.authority().map_or("", http::uri::Authority::as_str);
    if uri.scheme().is_some() || uri.path_and_query().is_some() {
        return Err(malformed("CONNECT wants `host:port`, not a whole URI".to_owned()));
    }
    // The request target is the authority; a `Host` field is optional and says nothing (Python 3.11 sends none).
    let authority =
        Authority::parse(target, None).map_err(|error| malformed(format!("CONNECT wants `host:port`: {error}")))?;
    if shared.broker.leases().find_stray(target.as_bytes()).is_some() {
        return Err(stray::refusal("another host", "the host name"));
    }
    Ok(authority)
}

fn malformed(detail: String) -> Refusal {
    Refusal::new(RefusalCode::BadRequest, detail, "write the target as in `CONNECT api.example.com:443 HTTP/1.1`")
}

async fn intercept(
    shared: &Arc<Shared>,
    entrance: Arc<Entrance>,
    authority: Authority,
    notes: Notes,
) -> Result<Mode, Refused> {
    // Trouble with the leaf is told here; it never turns into a blind tunnel (attack 62).
    let tls = shared.ca.server_config(&authority.host).await.map_err(|error| {
        let refusal = match error {
            ca::Error::Flood(_) => Refusal::new(RefusalCode::Limit, error.to_string(), "try again in a second"),
            ca::Error::OutOfScope(_) => {
                Refusal::new(RefusalCode::CredentialUnavailable, error.to_string(), "secrets daemon restart")
            }
            error => {
                let detail = format!("no leaf certificate: {error}");
                Refusal::new(RefusalCode::CredentialUnavailable, detail, "secrets doctor")
            }
        };
        Refused::Before(Box::new(notes), refusal)
    })?;
    let site = Site {
        broker: Arc::clone(&shared.broker),
        pool: Arc::clone(&shared.pool),
        limits: Arc::clone(&shared.limits),
        room: shared.room.clone(),
        peeking: shared.peeking.clone(),
        entrance,
        scheme: Scheme::Https,
        authority,
    };
    Ok(Mode::Intercept { site: Arc::new(site), tls })
}

async fn pass_through(
    shared: &Arc<Shared>,
    entrance: &Entrance,
    authority: &Authority,
    notes: Notes,
) -> Result<Mode, Refused> {
    let flow = Flow::new(shared.broker.ends_of_way(entrance.session()));
    if let Some(refusal) = shared.broker.ready().err().or_else(|| flow.cut().map(Refusal::of_cut)) {
        return Err(Refused::Before(Box::new(notes), refusal));
    }
    let begun = notes.begin(shared.broker.audit().clone(), Arc::clone(&flow), shared.broker.clock().clone());
    let mut outcome = begun.map_err(|refused| Refused::Before(Box::new(refused.0), refused.1))?;
    match shared.pool.dialer().dial(authority).await {
        Ok(upstream) => {
            outcome.status(200);
            let sieve = Sieve::new(shared.broker.leases(), Stops::Ours);
            let authority = authority.to_string();
            Ok(Mode::PassThrough(Box::new(PassThrough { upstream, sieve, flow, outcome, authority })))
        }
        Err(error) => Err(Refused::After(Box::new(outcome), super::forward::refusal(&error))),
    }
}
