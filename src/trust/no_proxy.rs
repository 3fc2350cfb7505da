//! Which hosts are reached without the proxy: local ones and the user's, never one that has a secret.
//!
//! Invariant: no entry covers a host with a secret under any client's reading of the list, the widest included:
//! requests compares ends of names without regard to labels, so `hub.com` would cover `github.com`.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::{OsStr, OsString},
    net::IpAddr,
};

use crate::base::Host;

const LOCAL: [&str; 3] = ["localhost", "127.0.0.1", "::1"];

/// Local hosts, then what the user's variables list, in their order, without what must go through the proxy.
pub(super) fn merge(inherited: &BTreeMap<OsString, OsString>, secret_hosts: &[String]) -> Vec<String> {
    let own = ["NO_PROXY", "no_proxy"].iter().filter_map(|name| inherited.get(OsStr::new(name)));
    let own: Vec<_> = own.map(|value| value.to_string_lossy()).collect();
    let own = own.iter().flat_map(|value| value.split([',', ' ', '\t'])).map(str::trim).filter(|entry| is_plain(entry));
    let mut seen = BTreeSet::new();
    let own = own.filter(|entry| !core(entry).is_empty()); // everything at once: nothing would be left to do
    let entries = LOCAL.into_iter().chain(own).filter(|entry| !secret_hosts.iter().any(|host| covers(entry, host)));
    entries.filter(|entry| seen.insert(*entry)).map(str::to_owned).collect()
}

/// Host names, addresses and blocks of addresses; nothing that could end a word in some other variable.
fn is_plain(entry: &str) -> bool {
    !entry.is_empty() && entry.chars().all(|c| c.is_alphanumeric() || ".-_*:/[]".contains(c))
}

/// Whether an entry keeps (part of) a host or host pattern with a secret away from the proxy.
fn covers(entry: &str, secret_host: &str) -> bool {
    let entry = core(entry);
    let (host, is_pattern) = literal_end(bare(secret_host));
    if let Ok(address) = host.parse::<IpAddr>() {
        // Which addresses a block holds is the client's business; beside a secret for an address none stays.
        return entry.contains('/') || entry.parse() == Ok(address);
    }
    entry.is_empty() || host.ends_with(&*entry) || (is_pattern && entry.ends_with(host))
}

/// The literal end of an entry in the form of our hosts; empty when it stands for everything.
fn core(entry: &str) -> String {
    let end = entry.rsplit('*').next().unwrap_or("");
    let end = bare(end.trim_start_matches('.')).trim_end_matches('.');
    if end.is_ascii() {
        return end.to_ascii_lowercase();
    }
    match end.parse::<Host>() {
        Ok(Host::Name(name)) => name.to_string(),
        _ => String::new(), // no host name: clients may read it as they like
    }
}

/// Without port and brackets.
fn bare(entry: &str) -> &str {
    if let Some(address) = entry.strip_prefix('[') {
        return address.split(']').next().unwrap_or("");
    }
    match entry.split_once(':') {
        Some((host, port)) if !port.contains(':') => host,
        _ => entry,
    }
}

/// The literal labels at the end of a host pattern, and whether there was anything else.
fn literal_end(pattern: &str) -> (&str, bool) {
    match pattern.rfind(['*', '}']) {
        Some(at) => (pattern.get(at + 1..).unwrap_or("").trim_start_matches('.'), true),
        None => (pattern, false),
    }
}

/// The same list for Java: bars between, a star for everything below a name (`http.nonProxyHosts`).
pub(super) fn for_java(entries: &[String]) -> String {
    let mut hosts: Vec<String> = Vec::new();
    for entry in entries {
        let name = entry.trim_start_matches("*.").trim_start_matches('.');
        let is_address = |text: &str| text.parse::<IpAddr>().is_ok();
        match name {
            "127.0.0.1" => hosts.push("127.*".to_owned()),
            _ if name.contains('/') || name.contains('*') || name.is_empty() => {} // Java cannot say it
            _ if is_address(bare(name)) && bare(name).contains(':') => hosts.push(format!("[{}]", bare(name))),
            _ if is_address(bare(name)) || name == "localhost" => hosts.push(bare(name).to_owned()),
            _ => hosts.extend([bare(name).to_owned(), format!("*.{}", bare(name))]),
        }
    }
    hosts.join("|")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(upper: &str, lower: &str, hosts: &[&str]) -> String {
        let inherited = [("NO_PROXY", upper), ("no_proxy", lower)].map(|(n, v)| (n.into(), v.into())).into();
        merge(&inherited, &hosts.iter().map(|&host| host.to_owned()).collect::<Vec<_>>()).join(",")
    }

    const LOCAL_LIST: &str = "localhost,127.0.0.1,::1";

    #[test]
    fn the_users_entries_stay() {
        assert_eq!(merge(&BTreeMap::new(), &[]).join(","), LOCAL_LIST);
        let own = ".corp,10.0.0.0/8,build.example.com:8080,*.internal";
        assert_eq!(merged("*, :443", "*.", &[]), LOCAL_LIST, "nothing would be left to the proxy");
        assert_eq!(merged(own, " .corp lan ", &["api.openai.com"]), format!("{LOCAL_LIST},{own},lan"));
        assert_eq!(merged("LOCALHOST,a\u{0}b,\"x,$(y)", "", &[]), format!("{LOCAL_LIST},LOCALHOST"));
    }

    #[test]
    fn no_entry_leads_a_host_with_a_secret_past_the_proxy() {
        for entry in [
            "*",
            "github.com",
            ".github.com",
            "*.github.com",
            "api.github.com",
            "API.GITHUB.COM",
            "hub.com",
            "com",
            ".com",
            "api.github.com:443",
            "api.github.com.",
            "*hub.com",
            ".",
            "api.github.com.:443",
            "ａpi.github.com",
        ] {
            assert_eq!(merged(entry, entry, &["api.github.com"]), LOCAL_LIST, "{entry}");
        }
        for entry in ["uploads.github.com", "github.com.evil.com", "api.github.company", "xapi.github.com"] {
            assert_eq!(merged(entry, "", &["api.github.com"]), format!("{LOCAL_LIST},{entry}"), "{entry}");
        }
    }

    #[test]
    fn an_entry_inside_a_pattern_goes_too() {
        for pattern in ["*.myshopify.com", "{shop}.myshopify.com", "**.myshopify.com"] {
            for entry in ["acme.myshopify.com", ".myshopify.com", "myshopify.com", "a.b.myshopify.com"] {
                assert_eq!(merged(entry, "", &[pattern]), LOCAL_LIST, "{entry} {pattern}");
            }
            assert_ne!(merged("shopify.dev", "", &[pattern]), LOCAL_LIST);
        }
    }

    #[test]
    fn a_local_host_with_a_secret_goes_through_the_proxy() {
        assert_eq!(merged("", "", &["localhost"]), "127.0.0.1,::1");
        assert_eq!(merged("127.0.0.0/8,10.0.0.0/8", "", &["127.0.0.1"]), "localhost,::1");
        assert_eq!(merged("[::1]:80", "", &["[::1]"]), "localhost,127.0.0.1");
    }

    #[test]
    fn java_gets_the_same_list_in_its_own_words() {
        let entries = ["localhost", "127.0.0.1", "::1", ".corp", "*.lan", "10.0.0.0/8", "192.0.2.1", "h.example:80"];
        let java = for_java(&entries.map(str::to_owned));
        assert_eq!(java, "localhost|127.*|[::1]|corp|*.corp|lan|*.lan|192.0.2.1|h.example|*.h.example");
    }
}
