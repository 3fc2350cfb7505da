//! Descriptions in the shape of real ones, and what each of their calls becomes.

use super::*;
use crate::policy::ServiceView;

/// An account with keys, people and money, as most services have it.
const ACCOUNT: &str = r##"{
  "openapi": "3.0.2", "info": {"title": "Acme", "version": "2024-01"},
  "servers": [{"url": "https://{region}.api.acme.example/v1", "variables": {"region": {"default": "us"}}}],
  "components": {
    "securitySchemes": {
      "key": {"type": "apiKey", "in": "header", "name": "X-Acme-Key"},
      "session": {"type": "apiKey", "in": "cookie", "name": "acme_session"},
      "signed": {"type": "http", "scheme": "digest"}
    },
    "parameters": {"id": {"name": "id", "in": "path", "required": true, "schema": {"type": "string"}}},
    "schemas": {
      "User": {"type": "object", "properties": {"password": {"type": "string", "format": "password", "writeOnly": true},
        "boss": {"$ref": "#/components/schemas/User"}}},
      "App": {"type": "object", "properties": {"data": {"type": "object", "properties": {"client_secret": {"type": ["string", "null"]}}}}}
    }
  },
  "paths": {
    "/api-keys": {"get": {}, "post": {"operationId": "createApiKey"}},
    "/api-keys/{id}": {"parameters": [{"$ref": "#/components/parameters/id"}], "get": {}, "patch": {}, "delete": {}},
    "/api-keys/{id}/rotate": {"post": {}},
    "/personal_access_tokens": {"post": {"summary": "Create a token"}},
    "/service-accounts": {"post": {}},
    "/auth/login": {"post": {"summary": "Log in"}},
    "/sessions": {"post": {"summary": "Issue an access token for a user"}},
    "/apps": {"get": {"responses": {"200": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/App"}}}}}}},
    "/webhooks": {"get": {}, "post": {}},
    "/webhooks/{id}/secret": {"get": {}, "put": {"operationId": "rotateWebhookSecret"}},
    "/organizations/{id}": {"get": {}, "patch": {}, "delete": {}},
    "/organizations/{id}/members": {"get": {}, "post": {}},
    "/organizations/{id}/users/{user}": {"delete": {}},
    "/invitations": {"post": {}},
    "/billing": {"get": {}},
    "/payments": {"get": {}, "post": {}},
    "/users": {"post": {"responses": {"201": {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/User"}}}}}}},
    "/orders": {"get": {}, "post": {}},
    "/orders/{id}": {"post": {}, "delete": {}},
    "/orders/search": {"post": {"operationId": "searchOrders"}},
    "/orders/batch-delete": {"post": {}},
    "/saved-searches": {"post": {}},
    "/search": {"post": {"operationId": "createSearch"}},
    "/databases/{id}/query": {"post": {"requestBody": {"content": {"application/json": {"schema": {"properties": {"sql": {}}}}}}}},
    "/responses/input_tokens": {"post": {"summary": "Count input tokens"}},
    "/coins/{id}/tokens/{address}/price": {"get": {}}
  }
}"##;

/// Verbs behind a colon, and methods as paths.
const VERBS: &str = r"
openapi: 3.1.0
info: {title: Verbs, version: '1'}
servers: [{url: 'https://verbs.example'}]
webhooks: {made: {post: {}}}
components:
  securitySchemes: {oidc: {type: openIdConnect, openIdConnectUrl: 'https://verbs.example/.well-known'}, mutual: {type: mutualTLS}}
paths:
  /v2/entries:list: {post: {}}
  /v1/{name}: {get: {}, post: {}, delete: {}}
  /v1/{name}:search: {post: {}}
  /v1/secrets/{secret}/versions/{version}:access: {get: {}, post: {}}
  /v1/{+resource}:setPolicy: {post: {}}
  /api/users.list: {post: {operationId: users_list}}
  /api/chat.delete: {post: {operationId: chat_delete}}
  /api/conversations.invite: {post: {}}
  /api/tokens.rotate: {post: {}}
  /upload: {servers: [{url: 'https://upload.verbs.example'}], post: {}}
  /traced: {trace: {}, get: {}}
";

const OLD: &str = r"
swagger: '2.0'
info: {title: Old, version: v3}
host: api.old.example
basePath: /v3/
schemes: [http, https]
securityDefinitions:
  Authorization: {type: apiKey, in: header, name: Authorization}
  login: {type: basic}
  flow: {type: oauth2, flow: accessCode, authorizationUrl: 'https://old.example/a', tokenUrl: 'https://old.example/t', scopes: {}}
paths:
  /api_keys: {get: {operationId: GET_api_keys}, post: {operationId: POST_api_keys}}
  /mail/send: {post: {}}
  /scripts/search: {post: {parameters: [{in: body, name: body, schema: {$ref: '#/definitions/Ask'}}]}}
  /other: {$ref: 'other.yaml#/paths/other'}
  /elsewhere: {get: {$ref: 'other.yaml#/get'}, delete: {}}
definitions: {Ask: {properties: {script: {type: string}}}}
";

fn view(described: &Described) -> ServiceView {
    loaded(described).services().next().unwrap().view()
}

/// The capability that allows exactly this, and whether an `[[issue]]` refuses it.
fn place(described: &Described, call: &str) -> (String, bool) {
    let (method, path) = call.split_once(' ').unwrap();
    let view = view(described);
    let rule = format!("{method} api:{path}");
    let names: Vec<String> = view
        .capabilities
        .iter()
        .filter(|capability| capability.allow.iter().any(|one| *one == rule || lists(one, method, path)))
        .map(|capability| capability.name.clone())
        .collect();
    let issues = described.text.split("[[issue]]").skip(1).collect::<String>();
    let issue = issues.split(&format!("method = \"{method}\"")).nth(1).and_then(|rest| rest.split("] }").next());
    (names.join(" and "), issue.is_some_and(|issue| issue.contains(&format!("\"{path}\","))))
}

/// Whether a rule in words, `GET api:/a or /b`, is for this path too.
fn lists(rule: &str, method: &str, path: &str) -> bool {
    rule.strip_prefix(method)
        .is_some_and(|rest| rest.split([' ', ',']).any(|word| word.strip_prefix("api:").unwrap_or(word) == path))
}

fn all_places(text: &str, expected: &[(&str, &str, bool)]) -> Described {
    let described = describe(text.as_bytes(), &wish("shape")).unwrap();
    holds(&described);
    for (call, capability, refused) in expected {
        assert_eq!(place(&described, call), ((*capability).to_owned(), *refused), "{call}\n{}", described.text);
    }
    described
}

#[test]
fn calls_stand_where_their_words_put_them() {
    let described = all_places(
        ACCOUNT,
        &[
            ("GET /v1/api-keys", "secrets", false),
            ("POST /v1/api-keys", "secrets", true),
            ("GET /v1/api-keys/*", "secrets", false),
            ("PATCH /v1/api-keys/*", "secrets", false),
            ("DELETE /v1/api-keys/*", "admin", false),
            ("POST /v1/api-keys/*/rotate", "secrets", true),
            ("POST /v1/personal_access_tokens", "secrets", true),
            ("POST /v1/service-accounts", "secrets", true),
            ("POST /v1/auth/login", "secrets", true),
            ("POST /v1/sessions", "secrets", true),
            ("GET /v1/apps", "secrets", false),
            ("GET /v1/webhooks", "admin", false),
            ("GET /v1/webhooks/*/secret", "secrets", false),
            ("PUT /v1/webhooks/*/secret", "secrets", true),
            ("GET /v1/organizations/*", "read", false),
            ("DELETE /v1/organizations/*", "admin", false),
            ("GET /v1/organizations/*/members", "read", false),
            ("POST /v1/organizations/*/members", "admin", false),
            ("DELETE /v1/organizations/*/users/*", "admin", false),
            ("POST /v1/invitations", "admin", false),
            ("GET /v1/billing", "admin", false),
            ("GET /v1/payments", "read", false),
            ("POST /v1/payments", "pay", false),
            ("POST /v1/users", "write", false),
            ("POST /v1/orders", "write", false),
            ("POST /v1/orders/*", "write", false),
            ("DELETE /v1/orders/*", "delete", false),
            ("POST /v1/orders/search", "read", false),
            ("POST /v1/orders/batch-delete", "delete", false),
            ("POST /v1/saved-searches", "write", false),
            ("POST /v1/search", "write", false),
            ("POST /v1/databases/*/query", "write", false),
            ("POST /v1/responses/input_tokens", "write", false),
            ("GET /v1/coins/*/tokens/*/price", "read", false),
        ],
    );
    assert_eq!(described.left_out, ["the security scheme `signed`, which is none that a proxy can put in"]);
    let why = "\"/v1/api-keys/*/rotate\", # the path says that it makes a credential";
    assert_eq!(described.text.matches(why).count(), 2, "in its capability and its issue: {}", described.text);
    assert!(described.text.contains("code  = \"issue_refused\""), "{}", described.text);
}

#[test]
fn verbs_behind_a_colon_and_methods_as_paths_are_words_too() {
    let described = all_places(
        VERBS,
        &[
            ("POST /v2/entries:list", "read", false),
            ("POST /v1/*", "write", false),
            ("POST /v1/*:search", "read", false),
            ("DELETE /v1/*", "delete", false),
            ("GET /v1/secrets/*/versions/*:access", "secrets", false),
            ("POST /v1/secrets/*/versions/*:access", "secrets", true),
            ("POST /v1/*:setPolicy", "write", false),
            ("POST /api/users.list", "read", false),
            ("POST /api/chat.delete", "delete", false),
            ("POST /api/conversations.invite", "admin", false),
            ("POST /api/tokens.rotate", "secrets", true),
            ("GET /traced", "read", false),
        ],
    );
    let all = described.left_out.join("\n");
    for part in ["`POST /upload`", "`trace` of the path `/traced`", "{+resource}", "the security scheme `mutual`"] {
        assert!(all.contains(part), "{part}: {all}");
    }
    assert!(!described.text.contains("/upload\""), "{}", described.text);
}

#[test]
fn what_a_description_of_version_two_leaves_to_other_files_is_told() {
    let described = all_places(
        OLD,
        &[
            ("GET /v3/api_keys", "secrets", false),
            ("POST /v3/api_keys", "secrets", true),
            ("POST /v3/mail/send", "write", false),
            ("POST /v3/scripts/search", "write", false),
            ("GET /v3/elsewhere", "read", false),
        ],
    );
    let all = described.left_out.join("\n");
    for part in ["the path `/other`", "what 1 operations ask and answer", "2 references to other files"] {
        assert!(all.contains(part), "{part}: {all}");
    }
    assert_eq!(described.text.matches("[[inject]]").count(), 2, "Authorization and OAuth are one: {}", described.text);
}

#[test]
fn hostile_descriptions_are_refused_or_used_in_bounded_time() {
    let deep = format!("{}{}", "{\"a\":".repeat(100_000), "}".repeat(100_000));
    assert!(matches!(describe(deep.as_bytes(), &wish("x")), Err(DescriptionError::Syntax(_))));
    let flow = format!("openapi: 3.0.0\na: {}\n", "[".repeat(100_000));
    assert!(matches!(describe(flow.as_bytes(), &wish("x")), Err(DescriptionError::Syntax(_))));
    let paths: Vec<String> = (0..3_000).map(|n| format!("  /p{n}/{{id}}: {{get: {{}}, delete: {{}}}}\n")).collect();
    let paths = paths.concat();
    let many = format!("{}\npaths:\n{paths}", VERBS.split("\npaths:").next().unwrap());
    holds(&describe(many.as_bytes(), &wish("many")).unwrap());
    for text in
        ["", "\u{0}", "openapi: 3.0.0\n? [a]\n: b\n", "{\"openapi\": 3}", "openapi: 3.0.0\npaths: 5\n", "- 3.0.0"]
    {
        assert!(describe(text.as_bytes(), &wish("x")).is_err(), "{text:?}");
    }
    let odd = ACCOUNT.replace("\"/orders\"", "\"/{a}{b}/{c}.{d}/e*f/%2e/../{\"").replace("\"/billing\"", "\"orders\"");
    let described = describe(odd.as_bytes(), &wish("odd")).unwrap();
    holds(&described);
    assert_eq!(described.left_out.len(), 3, "{:?}", described.left_out);
}
