//! A daemon under load: loops of `curl` behind it until it is killed, and what its record must say afterwards.

use crate::{
    hand::{Hand, SECRET},
    support::{Origin, Program, Speaks, TestCa, count, find_program, until_blocking},
};

const HOST: &str = "api.acme.test";

/// A daemon in front of an origin, that was killed in the middle of load.
pub(crate) struct Killed {
    pub(crate) hand: Hand,
    origin: Origin,
}

impl Killed {
    /// Kills it once there is enough; `None` where the programs for it are not installed.
    pub(crate) fn when(settings: &str, is_enough: impl Fn(&Hand, &Origin) -> bool) -> Option<Self> {
        let (sh, _) = (find_program("sh")?, find_program("curl")?);
        let ca = TestCa::new();
        let origin = Origin::builder(ca.leaf_for(&[HOST])).speaks(Speaks::Both).start();
        let hand = Hand::in_front_of(&ca, &origin, &[HOST]);
        let config = hand.home.join("config.toml");
        let text = std::fs::read_to_string(&config).unwrap();
        std::fs::write(&config, format!("{text}{settings}")).unwrap();
        let mut daemon = hand.serve();
        hand.acme(HOST);
        let script = format!(
            "while curl --silent --fail -o /dev/null -H \"Authorization: Bearer $ACME_KEY\" 'https://{HOST}/echo'; do :; done"
        );
        let clients: Vec<_> = (0..4)
            .map(|_| {
                let mut command = hand.command(&["--no-autostart", "exec", "--secret", "acme_key=ACME_KEY", "--"]);
                Program::start(command.arg(&sh).args(["-c", &script]))
            })
            .collect();
        until_blocking("there is load", || is_enough(&hand, &origin));
        daemon.kill();
        for client in clients {
            client.finish(); // the loops end with their first failure
        }
        Some(Self { hand, origin })
    }

    /// The record as it is has no break; what verification says of it.
    pub(crate) fn verified(&self) -> serde_json::Value {
        let (code, whole) = self.hand.envelope(&["audit", "verify"], b"");
        assert_eq!((code, &whole["result"]["first_break"]), (0, &serde_json::Value::Null), "{whole}");
        assert_eq!(whole["result"]["note"], "agrees", "no kill looks like a cut: {whole}");
        whole["result"].clone()
    }

    /// After the next start every beginning has its end, and no file of the record has the secret.
    pub(crate) fn assert_recorded(&self, files: &[String]) {
        let records = self.hand.records();
        let ids = |action: &str| {
            let mut ids: Vec<_> = records.iter().filter(|r| r.action == action).map(|r| r.request_id.clone()).collect();
            ids.sort();
            ids
        };
        assert_eq!(ids("request_begun"), ids("request_ended"), "every beginning has one end, of whatever kind");
        assert!(ids("request_begun").len() >= self.origin.requests().len(), "nothing reached the origin unrecorded");
        for file in files {
            assert_eq!(count(&self.hand.read(file), SECRET.as_bytes()), 0, "{file}");
        }
    }
}
