//! `secrets policy check`, `list` and `show`: faults with what was meant, each once, and grants that fit nobody.

use crate::hand::Hand;

const FAULTY: &str =
    "schema = 1\nkind = \"policy\"\n[[grant]]\nservice = \"github\"\nitem = \"gh\"\nalow = [\"read\"]\naks = []\n";

fn human(hand: &Hand, arguments: &[&str]) -> String {
    let mut words = vec!["--output", "human"];
    words.extend(arguments);
    let ran = Hand::feed(&mut hand.command(&words), b"");
    [ran.stdout, ran.stderr].iter().map(|bytes| String::from_utf8_lossy(bytes).into_owned()).collect()
}

#[test]
fn each_fault_is_told_once_with_what_was_meant() {
    let hand = Hand::with_home();
    let policies = hand.home.join("policies");
    std::fs::create_dir_all(&policies).unwrap();
    std::fs::write(policies.join("mine.toml"), FAULTY).unwrap();
    let project = hand.home.join("work.toml");
    std::fs::write(&project, "schema = 1\nkind = \"project\"\n").unwrap();
    let paths = [policies.to_str().unwrap(), project.to_str().unwrap()];
    let arguments = ["policy", "check", paths[0], paths[1]];
    let (code, checked) = hand.envelope(&arguments, b"");
    assert_eq!((code, checked["result"]["faults"].as_array().unwrap().len()), (64, 2), "{checked}");
    let shown = human(&hand, &arguments);
    for meant in ["did you mean `allow`?", "did you mean `ask`?"] {
        assert!(shown.contains(meant), "{shown}");
    }
    assert!(checked["error"]["message"].as_str().unwrap().ends_with("did you mean `allow`?; and 1 more"), "{checked}");
}

#[test]
fn a_file_that_nobody_reads_is_told_and_so_is_a_project_beside_faulty_policies() {
    let hand = Hand::with_home();
    let policies = hand.home.join("policies");
    std::fs::create_dir_all(&policies).unwrap();
    std::fs::write(policies.join("mine.TOML"), FAULTY).unwrap();
    let (code, checked) = hand.envelope(&["policy", "check"], b"");
    assert_eq!((code, checked["result"]["ignored"].as_array().unwrap().len()), (0, 1), "{checked}");
    let shown = human(&hand, &["policy", "check"]);
    assert!(shown.contains("ignored, as its name") && shown.contains("policies/mine.toml"), "{shown}");

    std::fs::write(policies.join("mine.toml"), FAULTY).unwrap();
    let project = hand.home.join("work.secrets");
    std::fs::write(&project, "schema = 1\nkind = \"project\"\n[[need]]\nservice = \"githb\"\n").unwrap();
    let (_, checked) = hand.envelope(&["policy", "check", policies.to_str().unwrap(), project.to_str().unwrap()], b"");
    let faults = checked["result"]["faults"].as_array().unwrap();
    assert!(faults.len() == 3 && faults[2]["fix"] == "did you mean `github`?", "{checked}");
}

#[test]
fn a_folder_in_the_place_of_a_project_file_is_a_fault() {
    let hand = Hand::with_home();
    let folder = hand.home.join(".secrets.toml");
    std::fs::create_dir_all(&folder).unwrap();
    let (code, checked) = hand.envelope(&["policy", "check", folder.to_str().unwrap()], b"");
    assert!(code == 64 && checked["error"]["message"].as_str().unwrap().contains("not a regular file"), "{checked}");
}

#[test]
fn a_grant_for_nobody_is_not_shown_as_one_for_any() {
    let hand = Hand::with_home();
    let policies = hand.home.join("policies");
    std::fs::create_dir_all(&policies).unwrap();
    let grant = FAULTY.replace("alow", "allow").replace("aks = []", "agents = []");
    std::fs::write(policies.join("mine.toml"), grant).unwrap();
    let (code, shown) = hand.envelope(&["policy", "show", "github"], b"");
    assert_eq!((code, &shown["result"]["grants"][0]["nobody"]), (0, &true.into()), "{shown}");
    assert!(human(&hand, &["policy", "show", "github"]).contains("nobody"));
    let (code, proof) = hand.envelope(&["policy", "prove", "secret gh never reaches method GET"], b"");
    assert_eq!((code, &proof["result"]["proof"]["outcome"]), (0, &"holds".into()), "{proof}");
}

#[test]
fn a_mistyped_service_is_told_its_nearest() {
    let (code, shown) = Hand::with_home().envelope(&["policy", "show", "githb"], b"");
    let message = shown["error"]["message"].as_str().unwrap();
    assert!(code == 2 && message.ends_with("there is no service `githb`; did you mean `github`?"), "{shown}");
}

/// People are told apart by their users, and the control socket lets one in.
#[test]
fn a_quorum_that_one_user_alone_can_never_fill_is_told_with_what_mends_it() {
    let hand = Hand::with_home();
    let policies = hand.home.join("policies");
    std::fs::create_dir_all(&policies).unwrap();
    let grant = "schema = 1\nkind = \"policy\"\n[[grant]]\nservice = \"github\"\nitem = \"gh\"\nask = [\"delete\"]\n";
    let file = policies.join("mine.toml");
    for (approve, count) in [("", 0), ("approve = { quorum = 1 }\n", 0), ("approve = { quorum = 2 }\n", 1)] {
        std::fs::write(&file, format!("{grant}{approve}")).unwrap();
        let (code, checked) = hand.envelope(&["policy", "check"], b"");
        assert_eq!((code, checked["result"]["warnings"].as_array().unwrap().len()), (0, count), "{checked}");
    }
    let told = "mine.toml:3: 2 people must allow its requests, each as another user, and the control socket lets only \
                you in: none will ever pass; set `socket_mode = \"0660\"` and `socket_group` in the settings file";
    let shown = human(&hand, &["policy", "check"]);
    assert!(shown.contains("2 people must allow its requests") && shown.contains("`socket_group`"), "{shown}");
    let (code, linted) = hand.envelope(&["policy", "lint"], b"");
    assert!(code != 0 && linted["error"]["message"].as_str().unwrap().contains(told), "{linted}");
    let (_, looked) = hand.envelope(&["doctor"], b"");
    let checks = looked["result"]["checks"].as_array().unwrap();
    let quorum = checks.iter().find(|check| check["name"] == "quorum").unwrap();
    assert_eq!((&quorum["verdict"], &quorum["fix"]), (&"warning".into(), &"secrets config".into()), "{quorum}");
    assert!(quorum["detail"].as_str().unwrap().contains(told), "{quorum}");

    hand.stop();
    let group = std::process::Command::new("id").arg("-gn").output().unwrap().stdout;
    let group = String::from_utf8(group).unwrap();
    let settings = format!("socket_mode = \"0660\"\nsocket_group = \"{}\"\n", group.trim());
    std::fs::write(hand.home.join("config.toml"), settings).unwrap();
    let (_, looked) = hand.envelope(&["doctor"], b"");
    let checks = looked["result"]["checks"].as_array().unwrap();
    assert!(checks.iter().all(|check| check["name"] != "quorum"), "{looked}");
    let socket = checks.iter().find(|check| check["name"] == "socket").unwrap();
    assert_eq!(socket["verdict"], "ok", "it is open as the settings say: {socket}");
}
