//! Tests of what people mistype: the place, the word that was meant, and no fault that is none.

use super::{super::PolicySet, ACME, set_with};

fn faults(texts: &[(&str, &str)]) -> Vec<String> {
    let errors = PolicySet::of_texts(texts).err();
    errors.map(|errors| errors.faults().iter().map(ToString::to_string).collect()).unwrap_or_default()
}

fn service_faults(from: &str, to: &str) -> Vec<String> {
    assert!(ACME.contains(from), "{from}");
    faults(&[("acme.toml", &ACME.replacen(from, to, 1))])
}

fn grant_faults(rest: &str) -> Vec<String> {
    let policy = format!("[[grant]]\nservice = \"acme\"\n{rest}\n");
    let errors = set_with(&policy).err();
    errors.map(|errors| errors.faults().iter().map(ToString::to_string).collect()).unwrap_or_default()
}

#[test]
fn a_value_that_is_no_toml_is_told_where_it_stands_and_nowhere_else() {
    let from = "risk  = \"spend\"";
    let line = 1 + ACME.split_once(from).unwrap().0.matches('\n').count();
    let all = service_faults(from, "risk == \"spend\"");
    assert!(all.len() == 1 && all[0].starts_with(&format!("acme.toml:{line}:7:")), "{all:?}");
}

#[test]
fn a_key_that_stands_twice_is_named() {
    let all = grant_faults("item = \"k\"\nallow = [\"read\"]\nallow = [\"run\"]");
    assert!(all.len() == 1 && all[0].ends_with("duplicate key `allow`; keep one of them"), "{all:?}");
}

#[test]
fn one_table_where_a_list_belongs_is_told_how_a_list_is_written() {
    let all = faults(&[("p.toml", "schema = 1\nkind = \"policy\"\n[grant]\nservice = \"acme\"\n")]);
    assert!(all.len() == 1 && all[0].contains("such as `[[grant]]`"), "{all:?}");
    let all = faults(&[("p.toml", "schema = 2\nkind = \"policy\"\n")]);
    assert_eq!(all, ["p.toml:1:10: `schema` is not usable; expected `1`"]);
}

#[test]
fn grants_that_could_never_fit_or_give_nothing_are_faults() {
    for (rest, message) in [
        ("item = {}", "`item` names no secret; write `item = \"NAME\"`"),
        ("item = 5", "`item` is integer; expected the name of a secret, or a table"),
        ("item = \"k\"\nprojects = [\"src/acme/**\"]", "`src/acme/**` is no project's folder; write it like"),
        ("item = \"k\"\nprojects = \"./src\"", "`./src` is no project's folder"),
        ("item = \"k\"\nprojects = \"~bob/src\"", "`~bob/src` is no project's folder"),
        ("item = \"k\"\nprojects = \"$HOME/src\"", "`$HOME/src` is no project's folder"),
        ("item = \"k\"\nprojects = \"~/src/\"", "`~/src/` is no project's folder; leave out the `/` at its end"),
        ("item = \"k\"\napprove = { remember = \"sesion\" }", "did you mean `session`?"),
        ("item = \"k\"\napprove = { remember = \"for ever\" }", "or `never`, or `session`"),
    ] {
        let all = grant_faults(rest);
        assert!(all.len() == 1 && all[0].contains(message), "{rest}: {all:?}");
    }
    for projects in ["~", "~/src", "~/src/**", "/", "/srv/*", "**", "*/acme"] {
        let all = grant_faults(&format!("item = \"k\"\nprojects = \"{projects}\""));
        assert!(all.is_empty(), "{projects}: {all:?}");
    }
}

#[test]
fn a_service_that_is_there_twice_is_told_at_its_id() {
    let text = format!("# a guide\n{ACME}");
    let line = text.lines().position(|line| line.starts_with("id ")).unwrap() + 1;
    let all = faults(&[("a.toml", &text), ("b.toml", &text)]);
    assert!(all.len() == 1 && all[0].starts_with(&format!("b.toml:{line}:11:")), "{all:?}");
}

#[test]
fn every_fault_of_a_place_and_of_a_vector_is_told() {
    let all = service_faults("use     = \"key\"", "use = \"kee\"\nmising = \"pass\"");
    assert!(all.iter().any(|fault| fault.contains("did you mean `missing`?")), "{all:?}");
    let all =
        service_faults("\"GET https://api.acme.example/v1/projects/acme/web/items\"", "\"https://api.acme.example/\"");
    assert!(all.len() == 1 && all[0].contains("is no request: it has no method; write it like"), "{all:?}");
    let all = service_faults("\"https://api.acme.example\"", "\"https://API.acme.example/v1\"");
    assert!(all.iter().any(|fault| fault.contains("in lower case") && fault.contains("no path follows")), "{all:?}");
}

#[test]
fn hosts_that_would_be_wider_than_meant_are_faults() {
    let tenant = "\"https://{tenant}.acme.example\"";
    for (origin, message) in [
        ("\"https://{tennant}.acme.example\"", "`{tennant}` is not declared; did you mean `tenant`?"),
        ("\"https://{x}.acme.example\"", "`{x}` is not declared; add `[param.x]`"),
        ("\"https://{tenant}.{tenant}.acme.example\"", "`{tenant}` stands twice in one origin"),
        ("[]", "`origin` of `[host.tenant]` lists no host"),
        ("\"https://*.com\"", "`*.com` is too wide"),
    ] {
        let all = service_faults(tenant, origin);
        assert!(all.iter().any(|fault| fault.contains(message)), "{origin}: {all:?}");
        assert!(all.iter().all(|fault| !fault.contains("stands twice") || origin.matches("tenant").count() == 2));
    }
    let two = "[\"https://{tenant}.acme.example\", \"https://{tenant}.acme.test\"]";
    assert_eq!(service_faults(tenant, two), [""; 0], "one parameter in two origins");
}

#[test]
fn grants_of_a_service_whose_file_has_faults_are_not_judged_further() {
    let policy = "schema = 1\nkind = \"policy\"\n[[grant]]\nservice = \"acme\"\nitem = \"k\"\nallow = [\"raed\"]\nalow = []\n\
        [[grant]]\nservice = \"acmee\"\nitem = \"k\"\n";
    let service = ACME.replacen("risk  = \"spend\"", "risk  = \"spent\"", 1);
    let all = faults(&[("acme.toml", &service), ("p.toml", policy)]);
    assert_eq!(all.len(), 3, "{all:?}");
    assert!(all[0].starts_with("acme.toml:") && all[0].contains("did you mean `spend`?"), "{all:?}");
    assert!(all[1].contains("unknown key `alow`"), "{all:?}");
    assert!(all[2].ends_with("there is no service `acmee`; did you mean `acme`?"), "{all:?}");
}

#[test]
fn a_shipped_service_that_an_own_file_replaces_badly_judges_no_grant() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("github.toml"), ACME.replace("id      = \"acme\"", "id = \"github\"\nnmae = 1"))
        .unwrap();
    let policy = "schema = 1\nkind = \"policy\"\n[[grant]]\nservice = \"github\"\nitem = \"k\"\nallow = [\"run\"]\n";
    std::fs::write(folder.path().join("p.toml"), policy).unwrap();
    let errors = PolicySet::load(folder.path()).unwrap_err();
    assert!(errors.faults().iter().all(|fault| fault.file.ends_with("github.toml")), "{errors}");
}

#[test]
fn a_project_s_faults_are_told_beside_those_of_the_policies() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("acme.toml"), ACME.replacen("risk  = \"spend\"", "risk  = \"spent\"", 1))
        .unwrap();
    let project = folder.path().join("work.secrets");
    let need = "schema = 1\nkind = \"project\"\n[[need]]\nservice = \"acme\"\ncaps = [\"x\"]\n[[need]]\nservice = \"githb\"\ncaps = []\n";
    std::fs::write(&project, need).unwrap();
    let told = |errors: super::super::LoadErrors| errors.faults().iter().map(ToString::to_string).collect::<Vec<_>>();
    let all = told(PolicySet::check_project(folder.path(), &project).unwrap_err());
    assert_eq!(all.len(), 2, "{all:?}");
    assert!(all[0].contains("did you mean `spend`?") && all[1].ends_with("did you mean `github`?"), "{all:?}");
    std::fs::remove_file(folder.path().join("acme.toml")).unwrap();
    let all = told(PolicySet::check_project(folder.path(), &project).unwrap_err());
    assert!(all.len() == 2 && all[0].contains("there is no service `acme`"), "{all:?}");
}

#[test]
fn bytes_that_are_no_text_are_told_where_they_stand() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("p.toml"), b"schema = 1\n# \xc3\xa9 \xff\n").unwrap();
    let errors = PolicySet::load(folder.path()).unwrap_err();
    let told = errors.faults()[0].to_string();
    assert!(told.contains("p.toml:2:5: the file is not UTF-8 text"), "{told}");
}

#[test]
fn the_examples_of_the_readme_load() {
    let text = include_str!("../../../policies/README.md");
    let blocks: Vec<&str> = text.split("```toml\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert_eq!(blocks.len(), 3);
    let folder = tempfile::tempdir().unwrap();
    for block in blocks {
        if block.contains("\"project\"") {
            let set = PolicySet::load(folder.path()).unwrap_or_else(|errors| panic!("{errors}"));
            let project = set.parse_project("p.toml", block).unwrap_or_else(|errors| panic!("{errors}"));
            assert_eq!((project.needs.len(), project.narrows.len()), (1, 1));
        } else {
            let name = if block.contains("\"prices\"") { "prices.toml" } else { "mine.toml" };
            std::fs::write(folder.path().join(name), block).unwrap();
            let set = PolicySet::load(folder.path()).unwrap_or_else(|errors| panic!("{errors}"));
            assert_eq!(set.grants().count(), 1);
        }
    }
}
