//! Descriptions as providers write them: versions 2 and 3, JSON and YAML; what comes out loads, and its vectors hold.

mod shapes;

use super::*;
use crate::policy::{Finding, PolicySet};

/// In the shape of the OpenAPI Initiative's own example, with what it lacks.
const PETS: &str = r"
openapi: 3.0.3
info: {title: Pet store, version: 1.0.0}
servers:
  - url: https://{shop}.pets.example/v1
    variables: {shop: {default: main}}
  - url: https://eu.pets.example/v1/
components:
  securitySchemes:
    bearerAuth: {type: http, scheme: bearer}
    oauth: {type: oauth2, flows: {}}
  schemas:
    Key: {type: object, properties: {id: {type: string}, client_secret: {type: string}}}
    Keys: {type: array, items: {$ref: '#/components/schemas/Key'}}
paths:
  /pets:
    get: {responses: {'200': {description: all}}}
    post: {responses: {'201': {description: made}}}
  /pets/{petId}:
    get: {responses: {'200': {description: one}}}
    delete: {responses: {'204': {description: gone}}}
  /pets/{petId}/photo.{format}:
    get: {responses: {'200': {description: image}}}
  /keys/{id}:
    get:
      responses:
        '200': {description: a key, content: {application/json: {schema: {$ref: '#/components/schemas/Keys'}}}}
  /keys/list:
    get: {responses: {'200': {description: names}}}
";

const SHOP: &str = r#"{
  "swagger": "2.0", "info": {"title": "Shop", "version": "1"},
  "host": "api.shop.example", "basePath": "/api", "schemes": ["https"],
  "securityDefinitions": {
    "ApiKeyHeader": {"type": "apiKey", "in": "header", "name": "X-Api-Key"},
    "appKey": {"type": "apiKey", "in": "query", "name": "app_key"},
    "mutual": {"type": "mutualTLS"}
  },
  "paths": {"/things": {"get": {"responses": {"200": {"description": "x"}}}}}
}"#;

fn wish(id: &str) -> Wish {
    Wish { id: id.parse().unwrap(), origins: Vec::new(), env: Vec::new() }
}

/// The set with the service that came out.
fn loaded(described: &Described) -> PolicySet {
    PolicySet::of_texts(&[("new.toml", &described.text)]).unwrap_or_else(|e| panic!("{e}\n{}", described.text))
}

fn holds(described: &Described) {
    let set = loaded(described);
    let service = set.services().next().unwrap();
    assert!(service.vectors() > 1);
    assert_eq!(service.try_vectors(), [], "{}", described.text);
    assert_eq!(set.lint(service), [] as [Finding; 0], "{}", described.text);
}

#[test]
fn a_description_of_version_three_becomes_a_service_that_loads_and_whose_vectors_hold() {
    let described = describe(PETS.as_bytes(), &wish("pets")).unwrap();
    holds(&described);
    let text = &described.text;
    for part in [
        "origin = [\"https://{shop}.pets.example\", \"https://eu.pets.example\"]",
        "[param.shop]",
        "env  = [\"PETS_API_KEY\"]",
        "at   = [{ header = \"authorization\", as = \"Bearer {}\" }]",
        "\"/v1/pets/*/photo.*\"",
        "[cap.delete]",
        "risk  = \"secret\"",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    assert_eq!(text.matches("[[inject]]").count(), 1, "OAuth and bearer send the same");
    assert_eq!(described.left_out, [""; 0]);
}

#[test]
fn a_get_that_answers_with_a_credential_is_no_read() {
    let described = describe(PETS.as_bytes(), &wish("pets")).unwrap();
    let set = loaded(&described);
    let view = set.services().next().unwrap().view();
    let of = |name: &str| view.capabilities.iter().find(|capability| capability.name == name).unwrap();
    assert_eq!(of("secrets").allow, ["GET api:/v1/keys/*"]);
    assert_eq!(of("read").deny, ["GET api:/v1/keys/*"]);
}

#[test]
fn a_description_of_version_two_with_two_keys_becomes_two_credentials() {
    let described = describe(SHOP.as_bytes(), &wish("shop")).unwrap();
    holds(&described);
    let text = &described.text;
    for part in [
        "[credential.api-key-header]\ntype = \"token\"\nenv  = [\"SHOP_API_KEY_HEADER\"]",
        "at   = [{ header = \"x-api-key\" }]",
        "at   = [{ query = \"app_key\" }]",
        "origin = [\"https://api.shop.example\"]",
        "\"/api/things\"",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    assert_eq!(described.left_out, ["the security scheme `mutual`, which is none that a proxy can put in"]);
}

#[test]
fn a_wished_host_and_variable_take_the_place_of_what_the_description_says() {
    let wish =
        Wish { origins: vec!["https://pets.corp.example:8443".parse().unwrap()], env: vec!["PET".into()], ..wish("p") };
    let described = describe(PETS.as_bytes(), &wish).unwrap();
    holds(&described);
    assert!(described.text.contains("origin = [\"https://pets.corp.example:8443\"]"), "{}", described.text);
    assert!(described.text.contains("env  = [\"PET\"]") && described.text.contains("\"/v1/pets\""));
}

#[test]
fn hostile_names_stay_texts() {
    let evil = PETS
        .replace("title: Pet store", "title: \"P\\\"\\n[cap.x]\"")
        .replace("/pets:", "/p'\"{x}:")
        .replace("bearerAuth", "'Auth\"] x'");
    let described = describe(evil.as_bytes(), &wish("pets")).unwrap();
    let set = loaded(&described);
    assert_eq!(set.services().next().unwrap().capabilities().len(), 4, "{}", described.text);
}

#[test]
fn what_cannot_be_used_says_why() {
    let of = |text: &str| describe(text.as_bytes(), &wish("x")).unwrap_err();
    assert!(matches!(of("{"), DescriptionError::Syntax(_)));
    assert!(matches!(of("a: [1"), DescriptionError::Syntax(_)));
    assert_eq!(of("openapi: 2.5"), DescriptionError::Version);
    assert_eq!(of("{\"swagger\": \"1.2\"}"), DescriptionError::Version);
    assert_eq!(of(&PETS.replace("https://", "http://")), DescriptionError::NoHost);
    assert_eq!(of(&PETS.replace("paths:", "ways:")), DescriptionError::NoPaths);
    assert_eq!(of(&PETS.replace("securitySchemes", "others")), DescriptionError::NoCredential);
}

#[test]
fn references_in_circles_and_schemas_without_end_come_to_an_end() {
    let circle = PETS.replace(
        "Keys: {type: array, items: {$ref: '#/components/schemas/Key'}}",
        "Keys: {$ref: '#/components/schemas/Loop'}\n    Loop: {$ref: '#/components/schemas/Keys'}\n    \
         Deep: {properties: {a: {$ref: '#/components/schemas/Deep'}, b: {$ref: '#/components/schemas/Deep'}}}",
    );
    let circle = circle.replace("/keys/", "/things/"); // its name would be enough
    let described = describe(circle.as_bytes(), &wish("pets")).unwrap();
    assert!(!described.text.contains("[cap.secrets]"), "{}", described.text);
    let deep =
        circle.replace("schema: {$ref: '#/components/schemas/Keys'}", "schema: {$ref: '#/components/schemas/Deep'}");
    assert!(describe(deep.as_bytes(), &wish("pets")).is_ok());
    let levels: Vec<String> = (1..30).map(|i| format!("b{i}: &b{i} [*b{0}, *b{0}]", i - 1)).collect();
    let bomb = format!("b0: &b0 [x, x]\n{}\nopenapi: 3.0.0\n", levels.join("\n"));
    assert!(describe(bomb.as_bytes(), &wish("pets")).is_err());
}
