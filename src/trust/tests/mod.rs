//! Whole environments: what is set, what is merged, what survives.

use std::{
    collections::BTreeMap,
    ffi::{OsStr, OsString},
    os::unix::fs::{PermissionsExt as _, symlink},
    path::{Path, PathBuf},
    process::Command,
};

use super::{
    Error, Login, Prepared, Setup,
    environment::prepare_by,
    key_store::PASSWORD,
    left_alone,
    table::{TABLE, Table, When},
    variables,
};
use crate::base::read_pem_certificates;

// Three self-signed certificates; their keys were thrown away.
const SYSTEM: &str = include_str!("system.pem");
const CORPORATE: &str = include_str!("corporate.pem");
const OURS: &str = include_str!("ours.pem");

/// A machine: its system roots, a user's home, a support folder.
struct Machine {
    folder: tempfile::TempDir,
    table: Table,
    inherited: BTreeMap<OsString, OsString>,
    secret_hosts: Vec<String>,
    support: PathBuf,
}

impl Machine {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut table = TABLE.clone();
        table.system_roots.files = vec![folder.path().join("none.crt"), folder.path().join("system.crt")];
        table.system_roots.folders = vec![folder.path().join("system.d")];
        std::fs::write(folder.path().join("system.crt"), format!("# comment\n{SYSTEM}\n{SYSTEM}")).unwrap();
        let inherited = [("HOME".into(), folder.path().into())].into();
        let support = folder.path().join("home/support");
        Self { folder, table, inherited, secret_hosts: vec!["api.openai.com".to_owned()], support }
    }

    fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    fn inherit(&mut self, name: &str, value: impl Into<OsString>) {
        self.inherited.insert(name.into(), value.into());
    }

    fn try_prepare(&self, port: u16) -> Result<Prepared, Error> {
        let setup = Setup {
            proxy: ([127, 0, 0, 1], port).into(),
            login: None,
            support: &self.support,
            root_pem: OURS,
            inherited: &self.inherited,
            secret_hosts: &self.secret_hosts,
        };
        prepare_by(&self.table, &setup)
    }

    fn prepare(&self) -> Prepared {
        self.try_prepare(4711).unwrap()
    }
}

impl Prepared {
    fn value(&self, name: &str) -> Option<&OsStr> {
        self.variables.iter().find(|(have, _)| have == name).map(|(_, value)| value.as_os_str())
    }

    fn text(&self, name: &str) -> String {
        self.value(name).unwrap_or_else(|| panic!("{name} is not set")).to_str().unwrap().to_owned()
    }

    fn roots(&self) -> Vec<Vec<u8>> {
        certificates(&std::fs::read_to_string(&self.bundle).unwrap())
    }
}

fn certificates(text: &str) -> Vec<Vec<u8>> {
    let found = read_pem_certificates(text.as_bytes());
    assert_eq!(found.damaged, 0);
    found.certificates
}

#[test]
fn every_variable_of_the_table_is_set_and_nothing_that_harms() {
    let machine = Machine::new();
    let prepared = machine.prepare();
    for variable in variables() {
        for name in &variable.names {
            assert_eq!(prepared.value(name).is_some(), variable.when == When::Always, "{name}");
        }
    }
    assert!(left_alone().iter().all(|left| prepared.value(&left.name).is_none()));
    for name in ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "WSS_PROXY", "YARN_HTTPS_PROXY"]
    {
        assert_eq!(prepared.text(name), "http://127.0.0.1:4711", "{name}");
    }
    assert_eq!(prepared.text("NO_PROXY"), "localhost,127.0.0.1,::1");
    assert_eq!(prepared.text("NODE_USE_ENV_PROXY"), "1");
    let bundle = prepared.bundle.to_str().unwrap();
    for name in ["SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS", "npm_config_cafile", "GRPC_DEFAULT_SSL_ROOTS_FILE_PATH"] {
        assert_eq!(prepared.text(name), bundle, "{name}");
    }
    assert_eq!(prepared.roots(), certificates(&format!("{SYSTEM}{OURS}")), "each once, ours last");
    assert_eq!(std::fs::read_to_string(&prepared.root).unwrap(), OURS);
    assert!(!prepared.text("NODE_OPTIONS").contains("use-env-proxy"), "older versions refuse to start");
    assert_eq!(prepared.notes, []);
}

#[test]
fn support_files_are_private_and_outlive_the_session() {
    let machine = Machine::new();
    let first = machine.prepare();
    for entry in std::fs::read_dir(&machine.support).unwrap() {
        let entry = entry.unwrap();
        let mode = entry.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, if entry.path().is_dir() { 0o700 } else { 0o600 }, "{entry:?}");
    }
    let count = || std::fs::read_dir(&machine.support).unwrap().count();
    let before = count();
    let second = machine.try_prepare(4712).unwrap();
    assert_eq!(count(), before, "another session on another port shares all files");
    assert_eq!(first.bundle, second.bundle);
    assert_eq!(first.text("WGETRC"), second.text("WGETRC"));
}

#[test]
fn attack_129_the_users_own_roots_survive_wherever_they_are_named() {
    for name in ["NODE_EXTRA_CA_CERTS", "SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "npm_config_cafile", "NPM_CONFIG_CAFILE"]
    {
        let mut machine = Machine::new();
        let path = machine.write("corporate.pem", CORPORATE);
        machine.inherit(name, &path);
        let prepared = machine.prepare();
        assert_eq!(prepared.roots(), certificates(&format!("{SYSTEM}{CORPORATE}{OURS}")), "{name}");
        assert_eq!(prepared.text(name), prepared.bundle.to_str().unwrap());
        assert_eq!(prepared.notes, []);
    }
    let mut machine = Machine::new();
    std::fs::create_dir(machine.folder.path().join("own")).unwrap();
    machine.write("own/corporate.pem", CORPORATE);
    machine.write("own/notes.txt", "nothing");
    symlink("corporate.pem", machine.folder.path().join("own/12345678.0")).unwrap();
    machine.inherit("PWD", machine.folder.path().to_owned());
    machine.inherit("SSL_CERT_DIR", "own"); // relative to the user's working folder
    let prepared = machine.prepare();
    assert_eq!(prepared.roots(), certificates(&format!("{SYSTEM}{CORPORATE}{OURS}")));
    assert!(prepared.value("SSL_CERT_DIR").is_none(), "left as it is");
}

#[test]
fn what_cannot_be_read_is_noted_and_stops_nothing() {
    let mut machine = Machine::new();
    let broken = CORPORATE.lines().enumerate().filter(|(at, _)| *at != 2).map(|(_, line)| format!("{line}\n"));
    let broken = machine.write("broken.pem", broken.collect::<String>() + CORPORATE);
    machine.inherit("CURL_CA_BUNDLE", "/nowhere/roots.pem");
    machine.inherit("PIP_CERT", "/nowhere/roots.pem");
    machine.inherit("AWS_CA_BUNDLE", machine.write("empty.pem", "nothing"));
    machine.inherit("DENO_CERT", broken);
    machine.inherit("SSL_CERT_FILE", machine.folder.path().to_owned());
    machine.inherit("WGETRC", "/nowhere/wgetrc");
    machine.inherit("JAVA_TOOL_OPTIONS", "-Xmx1g -Djavax.net.ssl.trustStore=/corp/cacerts -ea");
    let prepared = machine.prepare();
    let notes: Vec<_> = prepared.notes.iter().map(|note| note.variable.as_str()).collect();
    assert_eq!(notes, ["SSL_CERT_FILE", "CURL_CA_BUNDLE", "AWS_CA_BUNDLE", "DENO_CERT", "JAVA_TOOL_OPTIONS", "WGETRC"]);
    assert!(prepared.notes[1].to_string().contains("`/nowhere/roots.pem`"));
    assert_eq!(prepared.roots(), certificates(&format!("{SYSTEM}{CORPORATE}{OURS}")), "the sound one of two is taken");
}

#[test]
fn a_machine_without_roots_is_no_error() {
    let mut machine = Machine::new();
    machine.table.system_roots.files.clear();
    assert_eq!(machine.prepare().roots(), certificates(OURS));
    std::fs::create_dir(machine.folder.path().join("system.d")).unwrap();
    machine.write("system.d/a.pem", SYSTEM);
    assert_eq!(machine.prepare().roots(), certificates(&format!("{SYSTEM}{OURS}")), "a folder does too");
}

#[test]
fn settings_that_add_up_keep_the_users_part() {
    let mut machine = Machine::new();
    assert!(machine.prepare().text("PHP_INI_SCAN_DIR").starts_with(":/"), "an empty part is PHP's own folder");
    machine.inherit("PHP_INI_SCAN_DIR", "/etc/php.d");
    machine.inherit("NODE_OPTIONS", "--max-old-space-size=512");
    machine.inherit("JAVA_TOOL_OPTIONS", "-Xmx1g");
    machine.inherit("ALL_PROXY", "socks5://corp:1080");
    machine.inherit("NO_PROXY", ".corp,openai.com");
    machine.inherit("CARGO_HTTP_PROXY", "http://corp:3128");
    let outer = machine.prepare();
    assert!(outer.text("PHP_INI_SCAN_DIR").starts_with("/etc/php.d:/"));
    let preload = machine.support.join("preload.cjs");
    assert_eq!(outer.text("NODE_OPTIONS"), format!("--max-old-space-size=512 --require {}", preload.display()));
    assert!(outer.text("JAVA_TOOL_OPTIONS").starts_with("-Xmx1g -Dhttps.proxyHost=127.0.0.1 -Dhttps.proxyPort=4711 "));
    assert!(outer.text("JAVA_TOOL_OPTIONS").contains(" -Dhttp.nonProxyHosts=localhost|127.*|[::1]|corp|*.corp "));
    assert_eq!(outer.text("all_proxy"), "http://127.0.0.1:4711");
    assert_eq!(outer.text("no_proxy"), "localhost,127.0.0.1,::1,.corp");
    assert_eq!(outer.text("CARGO_HTTP_PROXY"), "http://127.0.0.1:4711");
    assert!(outer.value("PIP_PROXY").is_none());

    // A session inside a session.
    machine.inherited.extend(outer.variables.iter().cloned());
    let inner = machine.prepare();
    assert_eq!(inner.variables, outer.variables);
    assert_eq!(inner.notes, []);
}

#[test]
fn wget_keeps_its_start_file_but_not_its_way_past_the_proxy() {
    let machine = Machine::new();
    let text = "tries = 3\n# https_proxy = x\nHTTPS-Proxy = http://corp\nca_certificate=/x\nuse_proxy = off\nwait = 1";
    machine.write(".wgetrc", text);
    let prepared = machine.prepare();
    let have = std::fs::read_to_string(prepared.text("WGETRC")).unwrap();
    let bundle = prepared.bundle.display();
    assert_eq!(have, format!("tries = 3\n# https_proxy = x\nwait = 1\nca_certificate = {bundle}\n"));
}

#[test]
fn a_path_with_blanks_is_quoted_where_words_are_split() {
    let mut machine = Machine::new();
    machine.support = machine.folder.path().join("my home/support");
    let prepared = machine.prepare();
    assert!(prepared.text("NODE_OPTIONS").ends_with("/my home/support/preload.cjs\""), "{prepared:?}");
    assert!(prepared.text("NODE_OPTIONS").starts_with("--require \"/"));
    assert!(prepared.text("JAVA_TOOL_OPTIONS").contains(" -Djavax.net.ssl.trustStore=\"/"));
    assert!(!prepared.text("SSL_CERT_FILE").contains('"'));
    assert_node_takes(&prepared);
    assert_keytool_reads(&prepared);
}

#[test]
fn a_login_stands_in_the_url_and_is_never_shown() {
    let machine = Machine::new();
    let setup = Setup {
        proxy: ([127, 0, 0, 1], 4711).into(),
        login: Some(Login { user: "user", password: "pass.word" }),
        support: &machine.support,
        root_pem: OURS,
        inherited: &machine.inherited,
        secret_hosts: &machine.secret_hosts,
    };
    let prepared = prepare_by(&machine.table, &setup).unwrap();
    for name in ["HTTPS_PROXY", "http_proxy", "ALL_PROXY", "YARN_HTTPS_PROXY"] {
        assert_eq!(prepared.text(name), "http://user:pass.word@127.0.0.1:4711");
    }
    assert_eq!(prepared.text("GIT_HTTP_PROXY_AUTHMETHOD"), "basic");
    assert!(!prepared.text("JAVA_TOOL_OPTIONS").contains("pass.word"), "Java has no property for it");
    assert!(!format!("{setup:?}").contains("pass.word"));
}

#[test]
fn a_text_without_a_root_is_refused() {
    let machine = Machine::new();
    let setup = Setup {
        proxy: ([127, 0, 0, 1], 1).into(),
        login: None,
        support: &machine.support,
        root_pem: "nothing",
        inherited: &machine.inherited,
        secret_hosts: &[],
    };
    assert!(matches!(super::prepare(&setup), Err(Error::NoRoot)));
    assert!(!machine.support.exists());
}

fn program(name: &str, prepared: &Prepared) -> Option<Command> {
    let folders = std::env::var_os("PATH")?;
    let Some(path) = std::env::split_paths(&folders).map(|folder| folder.join(name)).find(|path| path.is_file()) else {
        let required = std::env::var("LEASEHOLD_REQUIRE_CLIENTS").unwrap_or_default();
        assert!(!required.split_ascii_whitespace().any(|one| one == name), "`{name}` is required and not installed");
        return None;
    };
    let mut command = Command::new(path);
    command.env_clear().env("PATH", folders).envs(prepared.variables.iter().cloned());
    Some(command)
}

/// Node starts with our options and has read the preload and the bundle.
fn assert_node_takes(prepared: &Prepared) {
    let Some(mut node) = program("node", prepared) else { return };
    let script = "const t = require('tls'); console.log(Object.getOwnPropertySymbols(t.connect).length)";
    let output = node.args(["-e", script]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "1", "{output:?}");
    assert!(output.stderr.is_empty(), "{output:?}");
}

/// Java's own tool reads the store and finds every root of the bundle in it.
fn assert_keytool_reads(prepared: &Prepared) {
    let Some(mut keytool) = program("keytool", prepared) else { return };
    let options = prepared.text("JAVA_TOOL_OPTIONS");
    let (_, rest) = options.split_once("trustStore=\"").unwrap();
    let path = Path::new(rest.split('"').next().unwrap());
    let listed = keytool.env_remove("JAVA_TOOL_OPTIONS").args(["-list", "-rfc", "-storepass", PASSWORD, "-keystore"]);
    let output = listed.arg(path).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert_eq!(certificates(&String::from_utf8_lossy(&output.stdout).replace('\r', "")), prepared.roots());
}
