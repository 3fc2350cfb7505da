//! The words that everything else is written in: ids, hosts, time, secret bytes, files.
//!
//! Floor 0: knows nothing of the rest of the house.

mod atomic_file;
mod blocking;
mod brand;
mod byte_size;
mod clock;
mod counted;
mod cut;
mod digest;
mod ed25519;
mod empty_is_none;
mod generated;
mod harmless;
mod home;
mod host;
mod host_pattern;
mod ids;
mod legacy_hash;
mod look_at;
mod on_path;
mod pem;
mod position;
mod process;
mod refusal;
mod secret_bytes;
mod shell_word;
#[cfg(test)]
mod short_folder;
mod signature;
mod suggestion;
mod time_to_live;
mod touch;
mod variable;
mod wipe;

pub use atomic_file::{AtomicFileError, FileLock, open_regular, read_bounded, replace};
pub use blocking::blocking;
pub use brand::{Brand, Rank};
pub use byte_size::parse_byte_size;
pub use clock::{Clock, Deadline, Timestamp};
pub use counted::counted;
pub use cut::{CutReason, CutSwitch, CutWatch};
pub use digest::{HashKey, KeyedHash, constant_time_eq, hex, random, random_below, sha256};
pub use ed25519::{SigningKey, is_signed_by};
pub use empty_is_none::{empty_is_none, null_is_default};
pub use generated::Generated;
pub use harmless::{harmless, is_hostile};
pub use home::{Home, MovedFiles};
pub use host::{Authority, Host, HostError, Origin, Scheme};
pub use host_pattern::{HostMatch, HostPattern, HostPatternError};
pub use ids::{ClientId, Environment, IdError, LeaseId, Namespace, RequestId, SecretName, ServiceId, SessionId};
pub use legacy_hash::legacy_sha1;
pub use look_at::look_at;
pub use on_path::on_path;
pub use pem::{PemCertificates, read_pem_certificates, write_pem_certificate};
pub use position::position;
pub use process::{Known, Process};
pub use refusal::RefusalCode;
pub use secret_bytes::SecretBytes;
pub use shell_word::shell_word;
#[cfg(test)]
pub(crate) use short_folder::short_folder;
pub use signature::{Ed25519Key, Ed25519KeyError};
pub use suggestion::expected;
pub use time_to_live::{Span, TimeToLive, TimeToLiveError};
pub use touch::touch;
pub use variable::{MANIFEST_VARIABLE, SESSION_VARIABLE, VariableName};
pub use wipe::wipe;
