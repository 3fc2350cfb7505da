//! The heartbeat's place in the daemon: made from the settings, beating in a task of its own; and who follows the kill
//! switch's file.

use std::{
    collections::HashMap,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use super::{Error, Settings};
use crate::{
    base::{Clock, CutReason, CutSwitch, Host},
    broker::Broker,
    killswitch::{Heart, Plan},
    net::{AddressGuard, Dialer, Errands, Network, TlsClient},
};

/// The heart of these settings, `None` when none is to beat.
pub(super) fn heart(settings: &Settings, tls: &TlsClient, clock: &Clock) -> Result<Option<Arc<Heart>>, Error> {
    let Some(beat) = settings.heartbeat.checked()? else { return Ok(None) };
    // Only the operator's own settings name this address, so it may be private; metadata services never (attack 60).
    let anywhere = ["0.0.0.0/0", "::/0"].iter().filter_map(|all| all.parse::<Network>().ok()).collect();
    let mut pinned: HashMap<Host, SocketAddr> = settings.upstream.hosts.clone().into_iter().collect();
    let authority = beat.authority().clone();
    if authority.host.is_localhost() {
        pinned.entry(authority.host).or_insert_with(|| SocketAddr::from((Ipv4Addr::LOCALHOST, authority.port)));
    }
    let errands = Errands::new(Dialer::new(AddressGuard::new(anywhere), pinned), tls.clone());
    Ok(Some(Arc::new(Heart::new(beat, errands, clock.clone()))))
}

/// Beats. A daemon whose store was wiped has nothing left to serve, and stops.
pub(super) async fn keep_beating(broker: Arc<Broker>, heart: Arc<Heart>, stop: CutSwitch) {
    broker.keep_heartbeat(&heart).await;
    stop.cut(CutReason::Drained);
}

/// Trips the switch when somebody without a way to us has written so into its file; looks once a second. Returns never.
pub(super) async fn follow_kill_file(broker: Arc<Broker>) {
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
        if let Some(trip) = broker.kill_switch().foreign_trip() {
            let report = broker.kill(Plan::default(), trip.by, &trip.reason).await;
            tracing::error!(trip = %report.trip, "the kill switch was tripped by way of its file");
        }
    }
}
