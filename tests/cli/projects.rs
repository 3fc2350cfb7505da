//! Project files that cannot be used: what is said of them, on one line, with a command that works where it is read.

use std::fs;

use crate::hand::Hand;

fn world() -> Hand {
    let hand = Hand::with_home();
    hand.acme("api.acme.test");
    hand
}

/// Runs `exec` in a folder and gives what it says.
fn exec(hand: &Hand, folder: &std::path::Path) -> (Option<i32>, String) {
    let mut command = hand.command(&["exec", "--secret", "acme_key", "--", "true"]);
    let ran = Hand::feed(command.current_dir(folder), b"");
    (ran.status.code(), String::from_utf8_lossy(&ran.stderr).into_owned())
}

#[test]
fn several_faults_are_told_on_one_line_with_a_fix_that_works_in_the_folder_below() {
    let hand = world();
    let deep = hand.work.join("a/b");
    fs::create_dir_all(&deep).unwrap();
    let above = hand.work.join(".secrets.toml");
    fs::write(hand.work.join("a/.secrets.toml"), "schema = 1\nkind = \"project\"\n").unwrap();
    fs::write(&above, "schema = 1\nkind = \"project\"\nx = 1\ny = 2\n[[narrow]]\nservice = \"nobody\"\n").unwrap();
    let (code, said) = exec(&hand, &deep);
    assert_eq!(code, Some(64), "{said}");
    assert!(said.contains("unknown key `x`") && said.contains("; and 2 more\n") && !said.contains("\\n"), "{said}");
    let fix = said.lines().find_map(|line| line.trim().strip_prefix("fix: secrets ")).unwrap();
    assert!(fix.ends_with(above.to_str().unwrap()), "{fix}");
    let words: Vec<&str> = fix.split(' ').collect();
    let mut command = hand.command(&words);
    let checked = Hand::feed(command.current_dir(&deep), b"");
    let checked: serde_json::Value = serde_json::from_slice(&checked.stdout).unwrap();
    assert_eq!(checked["result"]["faults"].as_array().unwrap().len(), 3, "all of them: {checked}");
    assert!(hand.records_of("session_open").is_empty(), "no session begins");
}

#[test]
fn faults_of_the_policies_are_told_on_one_line_too() {
    let hand = world();
    fs::write(hand.home.join("policies/bad.toml"), "x = 1\n").unwrap();
    let ran = hand.run(&["--output", "human", "add", "other", "--host", "b.acme.test"], b"other-value-0123456789");
    let said = String::from_utf8_lossy(&ran.stderr);
    assert!(said.contains("; and ") && said.contains(" more") && !said.contains("\\n"), "{said}");
    assert!(said.contains("fix: secrets policy check"), "{said}");
}

#[test]
fn a_need_of_a_service_that_the_file_proposes_says_how_to_accept_it() {
    let hand = world();
    let file = hand.work.join(".secrets.toml");
    let need = "schema = 1\nkind = \"project\"\n[[need]]\nservice = \"ledger\"\n";
    for (proposal, hint) in
        [("", "`secrets policy list`"), ("[[propose]]\nservice = 'x = 1'\n", "`secrets policy accept`")]
    {
        fs::write(&file, format!("{need}{proposal}")).unwrap();
        let (code, said) = exec(&hand, &hand.work);
        assert!(code == Some(64) && said.contains("there is no service `ledger`") && said.contains(hint), "{said}");
    }
    let (_, checked) = hand.envelope(&["policy", "check"], b"");
    let faults = checked["result"]["faults"].to_string();
    assert!(
        faults.contains("ledger") && faults.contains(":6:12") && faults.contains("`kind`"),
        "what is proposed is looked at too: {faults}"
    );
}
