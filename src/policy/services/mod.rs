//! What a service file describes: hosts, credentials, capabilities, answers that carry credentials. Grants nothing.

mod block;
mod credential;
mod fields;
mod hosts;
mod issue;
mod meter;
mod recognise;
mod service;
mod vector;

pub(super) use block::{Carries, HostBlock, OriginPattern, host_value};
pub use credential::{Accept, Check, Credential, OnUnauthorized};
pub(super) use fields::FieldPath;
pub use fields::{Fields, Onward, WITHHELD, Way};
pub(super) use hosts::HostIndex;
pub use hosts::{GrantedHost, ListedPlace};
pub use issue::Withhold;
pub(super) use issue::{Issue, Then};
pub(super) use meter::read_meters;
pub use meter::{Meter, MeterPlace, Steps};
pub(super) use recognise::recognise;
pub use service::{Capability, Inject, Missing, Risk, Service};
pub use vector::Failed;
pub(super) use vector::{Answer, Expected, Vector};
