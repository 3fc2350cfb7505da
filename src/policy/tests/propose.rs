//! `[[propose]]`: inert where sessions open, checked where people look.

use super::super::{PolicySet, Standing, proposals};
use super::ACME;

const HEAD: &str = "schema = 1\nkind = \"project\"\n";

fn faults_of(text: &str) -> Vec<(usize, usize, String)> {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(".secrets.toml");
    std::fs::write(&path, text).unwrap();
    let errors = proposals(&path).unwrap_err();
    errors.faults().iter().map(|fault| (fault.line, fault.column, fault.message.clone())).collect()
}

#[test]
fn a_proposal_changes_nothing_of_what_a_session_reads_even_when_it_is_broken() {
    let set = PolicySet::of_texts(&[("acme.toml", ACME)]).unwrap();
    let narrow = "[[narrow]]\nservice = \"acme\"\ndeny = [\"read\"]\n";
    let read = |text: &str| format!("{:?}", set.parse_project("f", &format!("{HEAD}{text}")).unwrap());
    let without = read(narrow);
    let proposals = [
        format!("[[propose]]\nservice = '''\n{ACME}'''\n"),
        "[[propose]]\nservice = '''this is = no [[TOML'''\n".to_owned(),
        "[[propose]]\nother = 7\n".to_owned(),
        "[propose]\n".to_owned(),
    ];
    for proposal in proposals {
        assert_eq!(read(&format!("{narrow}{proposal}")), without, "{proposal}");
    }
    let errors = set.parse_project("f", &format!("{HEAD}[[proposal]]\n")).unwrap_err();
    assert!(errors.to_string().contains("`proposal`"), "any other key is still a fault");
}

#[test]
fn a_fault_of_a_proposed_service_is_told_where_it_stands_in_the_project_s_file() {
    let text =
        format!("{HEAD}[[propose]]\nservice = '''\nschema = 1\nkind = \"service\"\nid = \"x\"\n  wrong = 1\n'''\n");
    let faults = faults_of(&text);
    assert!(
        faults.iter().any(|(line, column, what)| (*line, *column) == (8, 3) && what.contains("`wrong`")),
        "{faults:?}"
    );
    let text = format!("{HEAD}[[propose]]\nservice = 'wrong = 1'\n");
    assert!(faults_of(&text).iter().any(|(line, _, what)| *line == 4 && what.contains("`schema`")));
    let text = format!("{HEAD}[[propose]]\nservice = '''kind = \"policy\"'''\n");
    assert!(faults_of(&text).iter().any(|(line, column, what)| (*line, *column) == (4, 21) && what.contains("policy")));
    let twice = format!("[[propose]]\nservice = '''\n{ACME}'''\n").repeat(2);
    assert!(faults_of(&format!("{HEAD}{twice}")).iter().any(|(_, _, what)| what.contains("proposed twice")));
    assert!(
        faults_of(&format!("{HEAD}[[propose]]\n")).iter().any(|(line, _, what)| *line == 3 && what.contains("service"))
    );
}

#[test]
fn an_accepted_text_is_the_user_s_and_an_edit_waits_again() {
    let folder = tempfile::tempdir().unwrap();
    let (project, policies) = (folder.path().join("a.toml"), folder.path().join("p"));
    let propose = |path: &std::path::Path, text: &str| {
        std::fs::write(path, format!("{HEAD}[[propose]]\nservice = '''\n{text}'''\n")).unwrap();
        proposals(path).unwrap().remove(0)
    };
    let set = || PolicySet::load(&policies).unwrap();
    let first = propose(&project, ACME);
    assert_eq!(first.text(), ACME);
    assert_eq!(first.standing(&policies, &set()), Standing::Waits);
    let path = first.accept(&policies).unwrap();
    assert!(set().service(first.service().id()).is_some());
    assert_eq!(first.standing(&policies, &set()), Standing::Accepted);
    let second = propose(&project, &format!("{ACME}# more\n"));
    assert_eq!(second.standing(&policies, &set()), Standing::Replaces);

    let stranger = propose(&folder.path().join("b.toml"), &format!("{ACME}# more\n"));
    let refused = |standing| matches!(standing, Standing::Refused(_));
    assert!(refused(stranger.standing(&policies, &set())), "another project's");
    second.accept(&policies).unwrap();
    assert_eq!(second.standing(&policies, &set()), Standing::Accepted);
    let mut own = std::fs::read_to_string(&path).unwrap();
    own.push_str("# my own\n");
    std::fs::write(&path, own).unwrap();
    assert!(refused(first.standing(&policies, &set())), "what the user wrote is not lost");
}

#[test]
fn no_word_of_a_proposal_may_be_another_service_s() {
    let folder = tempfile::tempdir().unwrap();
    let (project, policies) = (folder.path().join("a.toml"), folder.path().join("p"));
    let set = PolicySet::load(&policies).unwrap();
    let github = set.service(&"github".parse().unwrap()).unwrap();
    for (key, word) in [("id", "github"), ("name", github.name())] {
        let text: String = ACME
            .lines()
            .map(|line| match line.split_whitespace().next() {
                Some(first) if first == key => format!("{key} = \"{word}\"\n"),
                _ => format!("{line}\n"),
            })
            .collect();
        std::fs::write(&project, format!("{HEAD}[[propose]]\nservice = '''\n{text}'''\n")).unwrap();
        let standing = proposals(&project).unwrap()[0].standing(&policies, &set);
        assert!(matches!(&standing, Standing::Refused(why) if why.contains("`github`")), "{key}: {standing:?}");
    }
}
