//! Each kind of file with the setting that wins, and with harmless neighbours.

use super::*;

struct Place {
    folder: tempfile::TempDir,
    inherited: BTreeMap<OsString, OsString>,
}

impl Place {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), inherited: BTreeMap::new() }
    }

    fn with(self, path: &str, text: &str) -> Self {
        let path = self.folder.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
        self
    }

    fn find(&self, look: fn(&Surroundings<'_>) -> Vec<Finding>) -> Vec<Finding> {
        let [home, project] = ["home", "home/work/project"].map(|name| self.folder.path().join(name));
        let found = look(&Surroundings { home: &home, project: &project, inherited: &self.inherited });
        let own = self.folder.path().display().to_string();
        found.into_iter().filter(|finding| finding.place.starts_with(&own) || finding.place.contains("env")).collect()
    }

    fn settings(&self, look: fn(&Surroundings<'_>) -> Vec<Finding>) -> Vec<String> {
        self.find(look).into_iter().map(|finding| finding.setting).collect()
    }
}

#[test]
fn git_proxies_are_found_in_every_file_and_section() {
    let place = Place::new()
        .with(
            "home/.gitconfig",
            "[user]\n\tproxy = no\n[HTTP]\n\t# proxy = x\n\tProxy = http://corp:3128\n\
             [http \"https://u:hush@git.corp/\"] proxy = \n\tsslVerify = false\n",
        )
        .with("home/.config/git/config", "[http]\nsslVerify = true\npostBuffer = 1\n")
        .with("home/work/project/.git/config", "[remote \"origin\"]\n\tproxy = http://corp:3128\n");
    let found = place.find(git);
    let names: Vec<_> = found.iter().map(|finding| finding.setting.as_str()).collect();
    assert_eq!(
        names,
        ["http.proxy", "http.https://…@git.corp/.proxy", "http.https://…@git.corp/.sslverify", "remote.origin.proxy"]
    );
    let shown: String = found.iter().map(Finding::to_string).collect();
    let shown = shown.replace(&place.folder.path().display().to_string(), ""); // its name is random
    assert!(!shown.contains("hush") && !shown.contains("3128"), "no values, no passwords: {shown}");
    assert!(found[0].fix.contains("git config --file") && found[0].fix.contains("--unset-all http.proxy"));
}

#[test]
fn npm_pip_and_curl_settings_are_found() {
    let place = Place::new()
        .with("home/.npmrc", "//registry.npmjs.org/:_authToken=x\nhttps-proxy=http://corp\nproxy = null\ncafile=/x\n")
        .with("home/work/project/.npmrc", "strict-ssl=false\n")
        .with("home/.config/pip/pip.conf", "[global]\nproxy = http://corp\nindex-url = x\n")
        .with("home/.curlrc", "--proxy http://corp\ncacert = \"/x\"\nuser-agent = x\n");
    assert_eq!(place.settings(npm), ["https-proxy", "strict-ssl"]);
    assert_eq!(place.settings(pip), ["proxy"]);
    assert_eq!(place.settings(curl), ["--proxy", "cacert"]);
}

#[test]
fn cargo_is_looked_for_above_the_project_too() {
    let place = Place::new()
        .with("home/.cargo/config.toml", "[http]\nproxy = 'corp:3128'\n")
        .with("home/work/.cargo/config", "[http]\nproxy = ''\n")
        .with("home/work/project/.cargo/config.toml", "[build]\njobs = 1\n[http]\ncainfo = '/x'\n");
    assert_eq!(place.find(cargo).len(), 2);
    let broken = Place::new().with("home/.cargo/config.toml", "[http\nproxy");
    assert!(broken.find(cargo).is_empty());
}

#[test]
fn claude_codes_own_environment_is_looked_at() {
    let text = r#"{ "env": { "HTTPS_PROXY": "http://corp", "NODE_EXTRA_CA_CERTS": "/x", "EDITOR": "vi" } }"#;
    let place =
        Place::new().with("home/.claude/settings.json", text).with("home/work/project/.claude/settings.json", "[]");
    assert_eq!(place.settings(claude_code), ["env.HTTPS_PROXY", "env.NODE_EXTRA_CA_CERTS"]);
}

#[test]
fn harmful_variables_are_found_when_they_harm() {
    let mut place = Place::new();
    place.inherited = [("NODE_TLS_REJECT_UNAUTHORIZED", "1"), ("GIT_SSL_CAPATH", "/x"), ("GIT_SSL_NO_VERIFY", "")]
        .map(|(name, value)| (name.into(), value.into()))
        .into();
    assert_eq!(place.settings(variables_that_harm), ["GIT_SSL_CAPATH"]);
    place.inherited.insert("NODE_TLS_REJECT_UNAUTHORIZED".into(), "0".into());
    assert_eq!(place.settings(inspect), ["NODE_TLS_REJECT_UNAUTHORIZED", "GIT_SSL_CAPATH"]);
}
