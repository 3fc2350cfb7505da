//! The words of a path, an `operationId` or a summary, and what they say about a call. Names are a guide and no proof, so
//! what could hand out a credential is taken for it.

/// Lower-case and in the singular: `createAPIKeys` is `create`, `api`, `key`.
pub(super) fn words(text: &str) -> Vec<String> {
    let letters: Vec<char> = text.chars().take(LONGEST).collect();
    let mut words = vec![String::new()];
    for (at, c) in letters.iter().enumerate() {
        let (before, after) = (at.checked_sub(1).and_then(|at| letters.get(at)), letters.get(at + 1));
        let ends_capitals = before.is_some_and(char::is_ascii_uppercase) && after.is_some_and(char::is_ascii_lowercase);
        if c.is_ascii_uppercase() && (before.is_some_and(char::is_ascii_lowercase) || ends_capitals) {
            words.push(String::new());
        }
        if !c.is_alphanumeric() {
            words.push(String::new());
        } else if let Some(word) = words.last_mut() {
            word.extend(c.to_lowercase());
        }
    }
    words.retain(|word| !word.is_empty());
    words.into_iter().map(singular).collect()
}

/// More of a name or a summary is not looked at.
const LONGEST: usize = 200;

fn singular(mut word: String) -> String {
    if word.len() > 3 && word.ends_with('s') && !word.ends_with("ss") {
        word.pop();
    }
    word
}

/// What is a credential by itself.
const CREDENTIALS: [&str; 14] = [
    "accesskey",
    "accesstoken",
    "apikey",
    "apitoken",
    "authtoken",
    "clientsecret",
    "credential",
    "kubeconfig",
    "passphrase",
    "password",
    "pat",
    "refreshtoken",
    "secret",
    "secretkey",
];

/// Words before `key` and `token` that make a credential of them.
const QUALIFIERS: [&str; 46] = [
    "access",
    "account",
    "admin",
    "agent",
    "api",
    "app",
    "application",
    "auth",
    "authorization",
    "bearer",
    "bot",
    "client",
    "connection",
    "embed",
    "ephemeral",
    "id",
    "impersonation",
    "integration",
    "join",
    "jwt",
    "license",
    "link",
    "login",
    "management",
    "master",
    "oauth",
    "org",
    "organization",
    "personal",
    "private",
    "project",
    "provisioning",
    "publishable",
    "realtime",
    "refresh",
    "registration",
    "restricted",
    "root",
    "runner",
    "scoped",
    "secret",
    "security",
    "service",
    "session",
    "signing",
    "temporary",
];

/// How plainly words name a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Named {
    Not,
    /// `keys`, `tokens`: of a map, of a text, of a door.
    Weakly,
    Plainly,
}

/// Whether a segment of a path names a credential: by its last words, so that `input_tokens` and `keyboard` do not.
pub(super) fn credential_in(segment: &[String]) -> Named {
    let Some((last, before)) = segment.split_last() else { return Named::Not };
    let verbs = [&MAKING[..], &LOOKING, &LOOKING_AT, &CHANGING];
    if !before.is_empty() && verbs.iter().any(|list| list.contains(&&**last)) {
        return credential_in(before); // `tokens.rotate`
    }
    if CREDENTIALS.contains(&&**last) {
        return Named::Plainly;
    }
    match (&**last, before.last().map(String::as_str)) {
        ("key" | "token", None) => Named::Weakly,
        ("key" | "token", Some(word)) if QUALIFIERS.contains(&word) || word == "user" => Named::Plainly,
        ("account", Some("service")) => Named::Plainly,
        _ => Named::Not,
    }
}

/// How plainly a name or summary is about a credential: `Create an API key` is, `Create API key limits` may be, `Send mail
/// with an API key` is not.
pub(super) fn is_about_credential(words: &[String]) -> Named {
    const ARTICLES: [&str; 7] = ["a", "an", "it", "my", "new", "the", "your"];
    const PREPOSITIONS: [&str; 14] =
        ["as", "by", "for", "from", "in", "of", "on", "through", "to", "using", "via", "when", "with", "without"];
    let words = words.iter().filter(|word| !ARTICLES.contains(&&***word));
    let phrase: Vec<String> =
        words.take_while(|word| !PREPOSITIONS.contains(&&***word)).take(PHRASE).cloned().collect();
    let made = |part: &[String]| matches!(part, [verb, noun] if is_making(std::slice::from_ref(verb)) && ["key", "token"].contains(&&**noun));
    let names = |part: &[String]| credential_in(part) == Named::Plainly || made(part);
    match () {
        () if names(&phrase) => Named::Plainly,
        () if (1..phrase.len()).any(|end| phrase.get(..end).is_some_and(names)) => Named::Weakly,
        () => Named::Not,
    }
}

/// What stands further back than this is about something else.
const PHRASE: usize = 6;

/// Words that make a credential, or a new one of an old one.
const MAKING: [&str; 25] = [
    "access",
    "authenticate",
    "authorize",
    "create",
    "decrypt",
    "exchange",
    "export",
    "generate",
    "impersonate",
    "issue",
    "login",
    "mint",
    "recreate",
    "refresh",
    "regenerate",
    "reissue",
    "renew",
    "reroll",
    "reset",
    "reveal",
    "roll",
    "rotate",
    "show",
    "signin",
    "unwrap",
];

/// Words that begin a session, whose answer is a credential.
const LOGINS: [&str; 6] = ["authenticate", "authorize", "impersonate", "login", "logon", "signin"];

/// Words that only look; the second list does with a word more, as in `users.list`, since `POST /list` may make one.
const LOOKING: [&str; 8] = ["aggregate", "autocomplete", "count", "find", "lookup", "query", "search", "suggest"];
const LOOKING_AT: [&str; 6] = ["describe", "fetch", "get", "list", "read", "retrieve"];

/// Words that change something, whatever else is said.
const CHANGING: [&str; 34] = [
    "add", "apply", "approve", "archive", "assign", "attach", "cancel", "clear", "create", "delete", "destroy",
    "disable", "enable", "execute", "import", "insert", "invoke", "move", "publish", "purge", "put", "remove", "reset",
    "restore", "revoke", "run", "save", "send", "set", "start", "stop", "trigger", "update", "upload",
];

/// Words that take away for good.
const DELETING: [&str; 8] = ["delete", "destroy", "drop", "erase", "purge", "remove", "terminate", "wipe"];

/// Segments about who may do what; reading these is no more than reading.
const PEOPLE: [&str; 10] = [
    "collaborator",
    "invitation",
    "invite",
    "maintainer",
    "member",
    "membership",
    "owner",
    "ownership",
    "permission",
    "role",
];

/// Segments about the whole account, or about where its data goes; reading these is more.
const HOUSE: [&str; 8] = ["audit", "billing", "hook", "idp", "saml", "scim", "sso", "webhook"];

/// Segments that move money.
const MONEY: [&str; 9] =
    ["charge", "disbursement", "payment", "payout", "purchase", "refund", "topup", "transfer", "withdrawal"];

fn last_in(segment: &[String], list: &[&str]) -> bool {
    segment.last().is_some_and(|word| list.contains(&&**word))
}

fn edge_in(segment: &[String], list: &[&str]) -> bool {
    last_in(segment, list) || segment.first().is_some_and(|word| list.contains(&&**word))
}

pub(super) fn is_making(segment: &[String]) -> bool {
    edge_in(segment, &MAKING)
}

pub(super) fn is_login(segment: &[String]) -> bool {
    last_in(segment, &LOGINS)
        || matches!(segment, [first, second] if ["sign", "log"].contains(&&**first) && *second == "in")
}

pub(super) fn is_deleting(segment: &[String]) -> bool {
    edge_in(segment, &DELETING)
}

/// The first word, so that `dataset` and `pages/{id}/update` are told apart from `updatePage`.
pub(super) fn is_changing(name: &[String]) -> bool {
    name.first().is_some_and(|word| CHANGING.contains(&&**word))
}

/// Whether the last segment of a path, or the verb behind its colon, only looks, and nothing that is said beside it speaks
/// against.
pub(super) fn is_looking(segment: &[String], is_verb: bool, said: &[Vec<String>]) -> bool {
    let plain = edge_in(segment, &LOOKING) || (is_verb || segment.len() > 1) && edge_in(segment, &LOOKING_AT);
    let changes = |words: &Vec<String>| words.iter().take(6).any(|word| CHANGING.contains(&&**word));
    plain && !segment.iter().any(|word| CHANGING.contains(&&**word)) && !said.iter().any(changes)
}

pub(super) fn is_about_people(segment: &[String]) -> bool {
    last_in(segment, &PEOPLE)
        || matches!(segment, [first, second] if *second == "key" && ["deploy", "gpg", "host", "public", "ssh"].contains(&&**first)
            || *first == "payment" && *second == "method" || *first == "role" && *second == "assignment")
}

pub(super) fn is_about_house(segment: &[String]) -> bool {
    segment.iter().any(|word| HOUSE.contains(&&**word))
}

pub(super) fn is_about_money(segment: &[String]) -> bool {
    segment.iter().any(|word| MONEY.contains(&&**word))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_cut_at_capitals_and_signs() {
        for (text, expected) in [
            ("createAPIKeys", &["create", "api", "key"][..]),
            ("access_tokens", &["access", "token"]),
            ("OAuthToken", &["o", "auth", "token"]),
            ("users.list", &["user", "list"]),
            ("", &[]),
            ("Größe", &["größe"]),
        ] {
            assert_eq!(words(text), expected, "{text}");
        }
    }

    #[test]
    fn credentials_are_told_from_what_is_only_called_alike() {
        for (text, named) in [
            ("api-keys", Named::Plainly),
            ("admin_api_keys", Named::Plainly),
            ("personalAccessTokens", Named::Plainly),
            ("service-accounts", Named::Plainly),
            ("client_secrets", Named::Plainly),
            ("tokens", Named::Weakly),
            ("tokens.rotate", Named::Weakly),
            ("apiKeys.list", Named::Plainly),
            ("input_tokens", Named::Not),
            ("count_tokens", Named::Not),
            ("tokenize", Named::Not),
            ("keyboards", Named::Not),
            ("secretaries", Named::Not),
        ] {
            assert_eq!(credential_in(&words(text)), named, "{text}");
        }
        for (text, named) in [
            ("Generate a new access token for a user", Named::Plainly),
            ("createToken", Named::Plainly),
            ("getApiKeyUsage", Named::Weakly),
            ("Send a message using an API key", Named::Not),
            ("Create a model response", Named::Not),
        ] {
            assert_eq!(is_about_credential(&words(text)), named, "{text}");
        }
    }
}
