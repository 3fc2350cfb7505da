//! What every connection of the proxy shares.

use std::sync::Arc;

use super::{again::Room, limits::Limits, upload::RequestBody};
use crate::{broker::Broker, ca::CertificateAuthority, net::Pool};

/// The parts of the data plane.
pub(super) struct Shared {
    pub(super) broker: Arc<Broker>,
    pub(super) ca: CertificateAuthority,
    pub(super) pool: Arc<Pool<RequestBody>>,
    pub(super) limits: Arc<Limits>,
    pub(super) room: Room,
    /// For bodies that rules must see.
    pub(super) peeking: Room,
}
