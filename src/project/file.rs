//! `.secrets.json`: the two shapes that agent-secrets knows, read strictly.

use std::{
    collections::BTreeSet,
    fmt,
    os::unix::fs::MetadataExt as _,
    path::{Component, Path, PathBuf},
};

use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor},
};

use super::Error;
use crate::base::{ClientId, SecretName, TimeToLive, VariableName, expected, read_bounded};

const MAX_LEN: u64 = 1 << 20;

/// A project file that was found and read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProjectFile {
    /// The file.
    pub path: PathBuf,
    /// What it asks for.
    pub wants: Wants,
}

/// What a project asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Wants {
    /// Variables that an outside provider keeps.
    Provider(ProviderProject),
    /// Secrets of our own store.
    Store(StoreProject),
}

/// The shape with `secrets`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StoreProject {
    /// What is wanted, at least one, in the order of the file; no variable twice.
    #[serde(deserialize_with = "wanted_list")]
    pub secrets: Vec<Wanted>,
    /// The client id to lease under; whoever leases has a default.
    #[serde(default, rename = "client_id")]
    pub client: Option<ClientId>,
    /// For entries that name none; at most 24 h.
    #[serde(default, deserialize_with = "ttl_of_a_day")]
    pub ttl: Option<TimeToLive>,
    /// Where `env` writes, relative to the project's folder; default `.env`.
    #[serde(default = "default_env_file", deserialize_with = "path_inside")]
    pub env_file: PathBuf,
}

/// One secret that a project wants.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wanted {
    /// Its name in the store.
    pub name: SecretName,
    /// The variable that the program expects.
    #[serde(rename = "env_var")]
    pub variable: VariableName,
    /// How long; at most 24 h.
    #[serde(default, deserialize_with = "ttl_of_a_day")]
    pub ttl: Option<TimeToLive>,
}

/// The shape with `source`.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProviderProject {
    /// Who keeps the variables.
    pub source: ProviderSource,
    /// The project's name there, if the provider wants one.
    #[serde(default)]
    pub project: Option<String>,
    /// Which of the provider's environments; default development.
    #[serde(default)]
    pub scope: ProviderScope,
    /// How long the variables may be used; at most 24 h.
    #[serde(deserialize_with = "required_ttl_of_a_day")]
    pub ttl: TimeToLive,
    /// Variables without which it is an error; default none.
    #[serde(default)]
    pub required_vars: Vec<VariableName>,
    /// Where `env` writes, relative to the project's folder; default `.env.local`.
    #[serde(default = "default_local_env_file", deserialize_with = "path_inside")]
    pub env_file: PathBuf,
}

/// An outside keeper of variables.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProviderSource {
    /// Doppler.
    Doppler,
    /// Vercel.
    Vercel,
}

/// One of a provider's environments.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProviderScope {
    /// For work on the code.
    #[default]
    Development,
    /// For trial deployments.
    Preview,
    /// The real one.
    Production,
}

impl ProviderSource {
    /// The word in a project file, which is also the name of the keeper's program.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Doppler => "doppler",
            Self::Vercel => "vercel",
        }
    }
}

impl ProviderScope {
    /// The word in a project file.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Development => "development",
            Self::Preview => "preview",
            Self::Production => "production",
        }
    }
}

impl StoreProject {
    /// How long a lease for this entry lives: what the flag says, else the entry, else the file, else one hour.
    pub fn ttl_for(&self, wanted: &Wanted, flag: Option<TimeToLive>) -> TimeToLive {
        self.ttl_asked(wanted, flag).unwrap_or(TimeToLive::HOUR)
    }

    /// The same without the hour at the end, which the settings may make another.
    pub fn ttl_asked(&self, wanted: &Wanted, flag: Option<TimeToLive>) -> Option<TimeToLive> {
        flag.or(wanted.ttl).or(self.ttl)
    }
}

impl ProjectFile {
    /// The name of the file.
    pub const NAME: &str = ".secrets.json";

    /// Reads a project file: at most 1 MiB, no link (attack 91), and ours or root's. A file that another user left in a
    /// folder above must not decide what our programs get.
    pub fn read(path: &Path) -> Result<Self, Error> {
        let (bytes, metadata) = read_bounded(path, MAX_LEN)?;
        let owner = metadata.uid();
        if owner != 0 && owner != rustix::process::geteuid().as_raw() {
            return Err(Error::NotOurs { path: path.to_owned(), owner });
        }
        Self::parse(path, &bytes)
    }

    /// Reads the text of a project file that stands at `path`.
    pub fn parse(path: &Path, bytes: &[u8]) -> Result<Self, Error> {
        let syntax = |error: serde_json::Error| syntax_error(path, &error);
        let wants = match serde_json::from_slice::<Shape>(bytes).map_err(syntax)? {
            Shape::Provider => Wants::Provider(serde_json::from_slice(bytes).map_err(syntax)?),
            Shape::Store => Wants::Store(serde_json::from_slice(bytes).map_err(syntax)?),
        };
        Ok(Self { path: path.to_owned(), wants })
    }

    /// The folder in which the file stands, where a program of the project is started.
    pub fn folder(&self) -> &Path {
        self.path.parent().unwrap_or(Path::new("."))
    }

    /// Where `env` writes. Refused when a link on the way leads out of the project's folder.
    pub fn env_file(&self) -> Result<PathBuf, Error> {
        let relative = match &self.wants {
            Wants::Provider(wants) => &wants.env_file,
            Wants::Store(wants) => &wants.env_file,
        };
        let (folder, path) = (self.folder(), self.folder().join(relative));
        let real = |path: &Path| path.canonicalize().map_err(Error::io("find the folder", path));
        let parent = path.parent().unwrap_or(folder);
        if real(parent)?.starts_with(real(folder)?) {
            Ok(path)
        } else {
            Err(Error::Outside { path, folder: folder.to_owned() })
        }
    }
}

fn syntax_error(path: &Path, error: &serde_json::Error) -> Error {
    let (line, column) = (error.line(), error.column());
    let text = error.to_string();
    let place = format!(" at line {line} column {column}");
    let text = text.strip_suffix(&place).unwrap_or(&text);
    let what = meant(text).map_or_else(|| text.to_owned(), |meant| format!("{text}; {meant}"));
    Error::Syntax { path: path.to_owned(), line: line.max(1), column: column.max(1), what }
}

/// What an unknown key or word was probably meant to be, out of those that the parser names behind it.
fn meant(text: &str) -> Option<String> {
    let mut words = text.strip_prefix("unknown ")?.split('`').skip(1).step_by(2);
    let (have, known) = (words.next()?, words.collect::<Vec<_>>());
    Some(expected(have, &known)).filter(|meant| meant.starts_with("did"))
}

/// Which of the two shapes a file has, by its keys.
enum Shape {
    Provider,
    Store,
}

impl<'de> Deserialize<'de> for Shape {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Keys;
        impl<'de> Visitor<'de> for Keys {
            type Value = Shape;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object with `secrets` or `source`")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Shape, A::Error> {
                let (mut store, mut provider) = (false, false);
                while let Some(key) = map.next_key::<String>()? {
                    store |= key == "secrets";
                    provider |= key == "source";
                    if store && provider {
                        return Err(A::Error::custom("`secrets` and `source` exclude each other; keep one of them"));
                    }
                    map.next_value::<IgnoredAny>()?;
                }
                match (store, provider) {
                    (true, _) => Ok(Shape::Store),
                    (_, true) => Ok(Shape::Provider),
                    _ => Err(A::Error::custom(
                        "neither `secrets` nor `source`; write `{\"secrets\": [{\"name\": \"…\", \"env_var\": \"…\"}]}`",
                    )),
                }
            }
        }
        deserializer.deserialize_map(Keys)
    }
}

fn default_env_file() -> PathBuf {
    PathBuf::from(".env")
}

fn default_local_env_file() -> PathBuf {
    PathBuf::from(".env.local")
}

/// A path that stays below the folder that it is relative to.
fn path_inside<'de, D: Deserializer<'de>>(deserializer: D) -> Result<PathBuf, D::Error> {
    let path = PathBuf::deserialize(deserializer)?;
    let is_inside = path.components().all(|part| matches!(part, Component::CurDir | Component::Normal(_)));
    let is_file = path.file_name().is_some() && !path.as_os_str().as_encoded_bytes().iter().any(u8::is_ascii_control);
    if is_inside && is_file {
        return Ok(path);
    }
    let shown = path.to_string_lossy().escape_default().to_string();
    Err(D::Error::custom(format!(
        "`{shown}` is no file inside the project's folder; write a relative path without `..`"
    )))
}

fn required_ttl_of_a_day<'de, D: Deserializer<'de>>(deserializer: D) -> Result<TimeToLive, D::Error> {
    let ttl = TimeToLive::deserialize(deserializer)?;
    if ttl <= TimeToLive::DAY {
        return Ok(ttl);
    }
    Err(D::Error::custom(format!("`{ttl}` is longer than 24h, the most that a project file may ask for")))
}

fn ttl_of_a_day<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<TimeToLive>, D::Error> {
    required_ttl_of_a_day(deserializer).map(Some)
}

/// Read element by element, so that an error names the entry that is wrong and not the end of the list.
fn wanted_list<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Wanted>, D::Error> {
    struct List;
    impl<'de> Visitor<'de> for List {
        type Value = Vec<Wanted>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("a list of `{\"name\": …, \"env_var\": …}`")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<Wanted>, A::Error> {
            let (mut all, mut seen) = (Vec::new(), BTreeSet::new());
            while let Some(wanted) = list.next_element::<Wanted>()? {
                if !seen.insert(wanted.variable.clone()) {
                    let variable = wanted.variable;
                    return Err(A::Error::custom(format!("`{variable}` is wanted twice; each `env_var` stands once")));
                }
                all.push(wanted);
            }
            if all.is_empty() {
                return Err(A::Error::custom("`secrets` is empty; name at least one"));
            }
            Ok(all)
        }
    }
    deserializer.deserialize_seq(List)
}
