//! The transcript: what is done, what is seen, and whether it is as it should be.

use std::{
    io::{BufRead as _, BufReader, Write},
    process::{Child, Command, Stdio},
    sync::Arc,
};

use tokio::time::Instant;

use super::{AGENT_ARGUMENT, API_HOST, Error, OTHER_HOST, VARIABLE, agent::Said, api::Api};
use crate::{
    audit,
    base::{Clock, Home, SecretBytes, hex, random},
    broker::{Broker, NewValue},
    daemon::{self, Options, Running, Settings},
    killswitch::{Plan, Tripper},
    policy::{EasyPlace, EasyService},
    store::{RawReveal, RotationPlan, Store},
};

/// Tells the story; fails when any of it does not hold. Nothing is left behind.
pub fn run(out: &mut dyn Write) -> Result<(), Error> {
    let folder = std::env::temp_dir().join(format!("leasehold-demo-{}", hex(&random::<8>())));
    std::fs::create_dir(&folder)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let told = runtime.block_on(tell(out, &Home::at(folder.join("home"))));
    runtime.shutdown_background();
    std::fs::remove_dir_all(&folder)?;
    told
}

async fn tell(out: &mut dyn Write, home: &Home) -> Result<(), Error> {
    let mut story = Story { out, failures: Vec::new() };
    let secret = format!("demo-live-{}", hex(&random::<16>()));
    let api = Api::start(&[API_HOST, OTHER_HOST]).await?;
    let running = set_up(home, &api, &secret).await?;

    story.line("Leasehold, offline: an agent calls an API with a key that it does not have.")?;
    story.line("")?;
    story
        .line(&format!("  The store holds `demo_key`. Its value begins with `{}`.", &secret.get(..12).unwrap_or("")))?;
    story.line(&format!("  A stand-in API serves https://{API_HOST} on loopback, with TLS."))?;
    story.line(&format!("  $ secrets exec --secret demo_key={VARIABLE} -- agent"))?;

    let broker = running.broker().clone();
    let (mut child, said) = start_agent(home)?;
    let told = tokio::task::block_in_place(|| story.follow(said, &secret, &api, &broker));
    let ended = child.wait()?;
    told?;
    story.check("the agent ended by itself", ended.success())?;
    running.stop().await;
    story.verify_audit(home)?;
    story.conclude()
}

async fn set_up(home: &Home, api: &Api, secret: &str) -> Result<Running, Error> {
    Store::create(home, Clock::system())?;
    let root = home.folder().join("stand-in.pem");
    std::fs::write(&root, api.root_pem())?;
    let mut settings = Settings::default();
    settings.upstream.extra_roots.push(root);
    for host in [API_HOST, OTHER_HOST] {
        let host = host.parse().map_err(|_| Error::Story(format!("`{host}` is no host")))?;
        settings.upstream.hosts.insert(host, api.address());
    }
    let running = daemon::build(&Options::new(home, settings), Clock::system()).await?;
    let other = format!("demo-other-{}", hex(&random::<16>()));
    for (name, value, host) in [("demo_key", secret, API_HOST), ("other_key", other.as_str(), OTHER_HOST)] {
        add(running.broker(), name, value, host)?;
    }
    Ok(running)
}

fn add(broker: &Broker, name: &str, value: &str, host: &str) -> Result<(), Error> {
    let odd = |what: &str| Error::Story(format!("`{what}` cannot be set up"));
    let name: crate::base::SecretName = name.parse().map_err(|_| odd(name))?;
    let value = SecretBytes::new(value.as_bytes().to_vec());
    broker.add(NewValue {
        name: name.clone(),
        value,
        rotate_via: None,
        binding: None,
        raw: RawReveal::Deny,
        plan: RotationPlan::default(),
    })?;
    let origin = format!("https://{host}").parse().map_err(|_| odd(host))?;
    let id = EasyService::id_for(&origin).ok_or_else(|| odd(host))?;
    let wording = "Bearer {}".parse().map_err(|_| odd("wording"))?;
    let place = EasyPlace::Header(http::header::AUTHORIZATION, wording);
    broker.write_easy(&name, &EasyService { id, origin, place, env: vec![VARIABLE.to_owned()] })?;
    Ok(())
}

type Lines = std::io::Lines<BufReader<std::process::ChildStdout>>;

fn start_agent(home: &Home) -> Result<(Child, Lines), Error> {
    let program = std::env::current_exe()?;
    let mut child = Command::new(&program)
        .arg("--home")
        .arg(home.folder())
        .args(["exec", "--secret", &format!("demo_key={VARIABLE}"), "--"])
        .arg(&program)
        .arg(AGENT_ARGUMENT)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()?;
    let output = child.stdout.take().ok_or_else(|| Error::Story("the agent has no output".into()))?;
    Ok((child, BufReader::new(output).lines()))
}

struct Story<'a> {
    out: &'a mut dyn Write,
    failures: Vec<String>,
}

impl Story<'_> {
    fn line(&mut self, text: &str) -> Result<(), Error> {
        writeln!(self.out, "{text}").and_then(|()| self.out.flush()).map_err(Error::Io)
    }

    /// A claim and whether it holds.
    fn check(&mut self, claim: &str, holds: bool) -> Result<(), Error> {
        if !holds {
            self.failures.push(claim.to_owned());
        }
        self.line(&format!("    {} {claim}", if holds { "ok    " } else { "FAILED" }))
    }

    fn follow(&mut self, said: Lines, secret: &str, api: &Api, broker: &Arc<Broker>) -> Result<(), Error> {
        let mut lease = String::new();
        let mut cut_at = None;
        let mut streams = 0;
        for line in said {
            let line = line?;
            self.check_silence(&line, secret)?;
            match serde_json::from_str(&line).map_err(|_| Error::Story(format!("the agent said `{line}`")))? {
                Said::Environment { proxy, roots, key } => {
                    lease.clone_from(&key);
                    self.environment(&proxy, &roots, &key, secret)?;
                }
                Said::Answered { request, authorization, status, body } => {
                    self.answered(&request, &authorization, (status, &body), &lease, (secret, api))?;
                }
                Said::Streaming { event } => {
                    streams += 1;
                    self.line(&format!(
                        "\n  {} A stream: its first event is here, the stream is still open.",
                        4 + streams
                    ))?;
                    self.line(&format!("    {event}"))?;
                    if streams == 2 {
                        self.line("  $ secrets kill")?;
                        cut_at = Some(Instant::now());
                        self.kill(broker)?;
                    }
                }
                Said::Ended { events, how } => match cut_at {
                    Some(begun) => self.cut(&how, begun)?,
                    None => self.check(&format!("{events} events arrived, then the stream {how}"), events == 3)?,
                },
            }
        }
        self.check("the agent went through all its steps", cut_at.is_some())
    }

    fn kill(&mut self, broker: &Arc<Broker>) -> Result<(), Error> {
        let killed = broker.kill(Plan::default(), Tripper::Operator, "the demonstration");
        let report = tokio::runtime::Handle::current().block_on(killed);
        self.check(&format!("{} lease ended, the switch is latched", report.leases), report.leases == 1)?;
        self.check("nothing is forwarded until it is reset", broker.ready().is_err())
    }

    fn check_silence(&mut self, said: &str, secret: &str) -> Result<(), Error> {
        if said.contains(secret) {
            self.check("the agent never sees the credential", false)?;
        }
        Ok(())
    }

    fn environment(&mut self, proxy: &str, roots: &str, key: &str, secret: &str) -> Result<(), Error> {
        self.line("\n  1 What the agent's environment holds")?;
        self.line(&format!("    {VARIABLE}={key}"))?;
        self.line(&format!("    HTTPS_PROXY={proxy}"))?;
        self.line(&format!("    SSL_CERT_FILE={roots}"))?;
        self.check("the key is a lease token, not the credential", key != secret && key.contains("000000"))
    }

    fn answered(
        &mut self,
        request: &str,
        authorization: &str,
        (status, body): (u16, &str),
        lease: &str,
        (secret, api): (&str, &Api),
    ) -> Result<(), Error> {
        let received = api.received();
        let last = received.last();
        if request.contains(OTHER_HOST) {
            self.line("\n  4 The same token on its way to another host")?;
            self.line(&format!("    agent    {request}   authorization: {authorization}"))?;
            self.line(&format!("    proxy    {status} {body}"))?;
            self.check("the proxy refused it", status == 403 && body.contains("stray_lease"))?;
            let untouched = received.len() == 2;
            return self.check("nothing was sent upstream", untouched);
        }
        let echo = request.contains("/v1/echo");
        self.line(if echo {
            "\n  3 An API that echoes the credential"
        } else {
            "\n  2 One request, as the agent sent it and as the upstream received it"
        })?;
        self.line(&format!("    agent    {request}   authorization: {authorization}"))?;
        if let Some(last) = last {
            let shown =
                last.authorization.replace(secret, &format!("{}…(the real key)", secret.get(..12).unwrap_or("")));
            self.line(&format!("    upstream {}   authorization: {shown}", last.line))?;
        }
        self.line(&format!("    answer   {status} {body}"))?;
        if echo {
            return self
                .check("the echo was replaced by the lease token", body.contains(lease) && !body.contains(secret));
        }
        let swapped = last.is_some_and(|last| last.authorization == format!("Bearer {secret}"));
        self.check("the upstream received the real key", swapped && status == 200)
    }

    fn cut(&mut self, how: &str, begun: Instant) -> Result<(), Error> {
        let took = begun.elapsed();
        self.check(
            &format!("the live stream was {how} {:.1} ms after the command", took.as_secs_f64() * 1e3),
            how == "cut",
        )
    }

    fn verify_audit(&mut self, home: &Home) -> Result<(), Error> {
        self.line("\n  7 The audit log")?;
        self.line("  $ secrets audit verify")?;
        let verified = audit::verify(&home.audit()).map_err(|error| Error::Story(error.to_string()))?;
        self.check(&format!("{} lines, the chain is whole", verified.lines), verified.is_whole())?;
        self.check("every request that began has its end", verified.open_requests.is_empty())
    }

    fn conclude(mut self) -> Result<(), Error> {
        self.line("")?;
        if self.failures.is_empty() {
            return self.line("All of it held.");
        }
        Err(Error::Story(format!("it did not hold: {}", self.failures.join("; "))))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(claims: &[(&str, bool)]) -> (String, Result<(), Error>) {
        let mut out = Vec::new();
        let mut story = Story { out: &mut out, failures: Vec::new() };
        for (claim, holds) in claims {
            story.check(claim, *holds).unwrap();
        }
        let concluded = story.conclude();
        (String::from_utf8(out).unwrap(), concluded)
    }

    #[test]
    fn one_claim_that_does_not_hold_fails_the_story() {
        let (text, concluded) = told(&[("the sky is blue", true), ("pigs fly", false), ("water is wet", true)]);
        assert!(text.contains("ok     the sky is blue\n") && text.contains("FAILED pigs fly\n"), "{text}");
        assert!(!text.contains("All of it held"), "{text}");
        assert_eq!(concluded.unwrap_err().to_string(), "it did not hold: pigs fly");
    }

    #[test]
    fn claims_that_hold_make_it_whole() {
        let (text, concluded) = told(&[("the sky is blue", true)]);
        assert!(concluded.is_ok() && text.ends_with("\nAll of it held.\n"), "{text}");
    }

    #[test]
    fn a_word_of_the_credential_from_the_agent_fails_the_story() {
        let mut out = Vec::new();
        let mut story = Story { out: &mut out, failures: Vec::new() };
        story.check_silence("{\"body\":\"s3cr3t\"}", "s3cr3t").unwrap();
        assert!(story.conclude().is_err());
    }
}
