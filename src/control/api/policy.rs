//! Policy over the socket: explain, list, reload, and the easy case of a binding.

use std::{collections::BTreeMap, path::PathBuf};

use serde::{Deserialize, Serialize};

use super::{WireToken, WireValue, empty_request};
use crate::base::{ClientId, Environment, SecretName, ServiceId, null_is_default};

empty_request! {
    /// `policy.list`: services and grants as loaded.
    #[serde(deny_unknown_fields)]
    ListPolicy;
    /// `policy.reload`: reads the files again; a bad set changes nothing and says so.
    #[serde(deny_unknown_fields)]
    ReloadPolicy;
}

/// `policy.explain`: every layer's verdict on one request, by the same engine that judges it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExplainPolicy {
    /// The HTTP method, as it is sent.
    pub method: String,
    /// The absolute URL; `ws` and `wss` ask about a WebSocket.
    pub url: String,
    /// For whom.
    pub client_id: ClientId,
    /// In which folder, absolute: its project narrows, and grants may be for some projects only. Without one, as a
    /// lease without a session is judged.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub project_dir: Option<PathBuf>,
    /// On what; grants may be for some environments only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<Environment>,
    /// With which secret; every secret with a service on this host when not given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<SecretName>,
    /// Fields of its head, in their order; no lease has to be among them. No answer quotes a value.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub headers: Vec<AskedField>,
    /// Its body; not known when not given, and an empty one is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<AskedBody>,
}

/// `policy.project`: whether what a folder's project files say allows to work there on this environment; an error when
/// they do not, or cannot be read. Inside a session it is the session's environment, whatever is asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckProject {
    /// The folder; absolute.
    pub project_dir: PathBuf,
    /// On what, if that is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub environment: Option<Environment>,
    /// For which secrets tokens are to be leased outside of a session: what the project narrows holds in sessions only,
    /// so that it must narrow none of their services.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tokens_of: Vec<SecretName>,
}

/// A field of the head of a request that is asked about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AskedField {
    /// Its name.
    pub name: WireToken,
    /// Its value.
    pub value: WireToken,
}

/// The body of a request that is asked about, as far as it fits into one call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AskedBody {
    /// Its beginning: all of it, or [`AskedBody::MAX_FRONT`] bytes.
    pub front: WireValue,
    /// How many bytes it has.
    pub length: u64,
}

impl AskedBody {
    /// The most bytes that are handed over: 1 MiB, which is what rules look into unless they say otherwise.
    pub const MAX_FRONT: usize = 1024 * 1024;
}

/// The body of a request that is asked about, as the proxy would take it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BodyVerdict {
    /// `read`; `missing` when rules look into it and it was not given; `unneeded` when none does; `too_long` for them;
    /// `cut` when more of it would be read than can be handed over, so that it is judged as if nobody knew it.
    pub seen: String,
    /// How many bytes it has, when it was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub length: Option<u64>,
    /// The most that rules look into, when it has more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub most: Option<u64>,
}

/// A field of the head that rules for the request look at.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldVerdict {
    /// Its name.
    pub name: String,
    /// Whether it was among the fields that were given.
    pub given: bool,
}

/// The answer to `policy.explain`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explanation {
    /// `allow`, `ask`, `deny`, or `tunnel` for a host without a grant that is passed through.
    pub verdict: String,
    /// The refusal's code, unless allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// Why, in one sentence; empty when there is nothing to say.
    #[serde(default, deserialize_with = "null_is_default")]
    pub reason: String,
    /// The capability that was hit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capability: Option<String>,
    /// The nearest thing that would be allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nearest: Option<String>,
    /// What the request would count towards; empty for any amount.
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub limits: Vec<String>,
    /// Layer by layer, outermost first.
    pub layers: Vec<LayerVerdict>,
    /// What became of the body; nothing where no rule was asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub body: Option<BodyVerdict>,
    /// The fields of the head that rules look at.
    #[serde(default, deserialize_with = "null_is_default", skip_serializing_if = "Vec::is_empty")]
    pub fields: Vec<FieldVerdict>,
}

/// What one layer says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerVerdict {
    /// Which layer: `host`, `user`, `project`, `lease`, `session`.
    pub layer: String,
    /// Its verdict.
    pub verdict: String,
    /// Why.
    #[serde(default, deserialize_with = "null_is_default")]
    pub reason: String,
}

/// One fault of a policy file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyFault {
    /// The file, with line and column when known: `github.toml:3:7`.
    pub place: String,
    /// What is wrong.
    pub message: String,
    /// What to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fix: Option<String>,
}

/// `policy.accept`: makes a service that a project proposes one of the user's own and reads the policy files again. Not
/// for processes inside a session, whatever they say of themselves.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AcceptProposal {
    /// The project's file; absolute.
    pub file: PathBuf,
    /// SHA-256 of the proposed text, in 64 hex digits: what somebody has seen, and nothing else that the file says by now.
    pub hash: String,
}

/// The answer to `policy.accept` when the service is in force.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProposalAccepted {
    /// The service.
    pub service: ServiceId,
    /// The policy file that holds it now.
    pub file: PathBuf,
    /// SHA-256 of its text.
    pub hash: String,
}

/// The answer to `policy.reload` when the files are good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyReloaded {
    /// How many services are known.
    pub services: u64,
    /// How many grants are in force.
    pub grants: u64,
}

/// The answer to `policy.list`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyList {
    /// By id.
    pub services: Vec<ServiceEntry>,
    /// In the order of files and lines.
    pub grants: Vec<GrantEntry>,
    /// What answers cost, by service and then in the order of the files.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_default")]
    pub prices: Vec<PriceEntry>,
    /// What happens to hosts that no grant names: `tunnel` or `deny`.
    pub unknown_host: String,
    /// Why the last reload was refused; empty when the files on disk are the set in force.
    #[serde(default, deserialize_with = "null_is_default")]
    pub faults: Vec<PolicyFault>,
}

/// One service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ServiceEntry {
    /// Its id.
    pub id: ServiceId,
    /// Where it comes from: `shipped` or the file's path.
    pub source: String,
    /// Its host patterns.
    pub hosts: Vec<String>,
    /// The names of its credentials.
    pub credentials: Vec<String>,
    /// Its capabilities.
    pub capabilities: Vec<CapabilityEntry>,
}

/// One capability of a service.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CapabilityEntry {
    /// Its name.
    pub name: String,
    /// Its risk: read, write, spend, destroy, admin or secret.
    pub risk: String,
    /// What it is for.
    #[serde(default, deserialize_with = "null_is_default")]
    pub about: String,
}

/// One grant.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct GrantEntry {
    /// The service.
    pub service: ServiceId,
    /// The secret, when the grant names one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// The clients; empty is any.
    #[serde(default, deserialize_with = "null_is_default")]
    pub agents: Vec<String>,
    /// The projects; empty is any.
    #[serde(default, deserialize_with = "null_is_default")]
    pub projects: Vec<String>,
    /// The environments; empty is any.
    #[serde(default, skip_serializing_if = "Vec::is_empty", deserialize_with = "null_is_default")]
    pub environments: Vec<String>,
    /// Whether one of these lists is there and empty in its file, so that nobody can use it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub nobody: bool,
    /// Capabilities that are allowed.
    #[serde(default, deserialize_with = "null_is_default")]
    pub allow: Vec<String>,
    /// Capabilities that a person is asked about.
    #[serde(default, deserialize_with = "null_is_default")]
    pub ask: Vec<String>,
    /// Where it stands: `mine.toml:12`, or `default` when it comes with the program.
    pub source: String,
}

/// One price.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PriceEntry {
    /// The service.
    pub service: ServiceId,
    /// The models that it is for, in words.
    pub models: String,
    /// What a million units of each meter cost, and each request, as decimals.
    pub costs: BTreeMap<String, String>,
    /// What they are in, where that is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<String>,
    /// Where it stands: `prices.toml:4`.
    pub source: String,
}

/// The easy case of a policy: a service with one host and one place, and a grant for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EasyBinding {
    /// A host name, or `host:port`.
    pub host: String,
    /// Where the credential stands.
    pub place: EasyPlace,
}

/// One place for one static secret, as the flags of `secrets add` say it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum EasyPlace {
    /// Basic credentials.
    Basic {
        /// Which part is the secret: `user` or `password`.
        part: String,
        /// What the other part is; as the client sent it when not given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        other: Option<String>,
    },
    /// A header field.
    Header {
        /// The field.
        name: String,
        /// The wording around the hole `{}`.
        wording: String,
    },
    /// A query parameter.
    Query {
        /// The parameter.
        name: String,
    },
}
