//! What recording costs; run by hand: `cargo test --release --lib audit::tests::cost -- --ignored --nocapture`.

use std::time::Instant;

use super::*;

#[test]
#[ignore = "a measurement, not a check"]
fn what_one_request_costs() {
    const REQUESTS: u32 = 100_000;
    let client = "agent".parse().unwrap();
    let mut rounds: Vec<_> = (0..7)
        .map(|_| {
            let (_folder, path) = place();
            let log = open(&path);
            let start = Instant::now();
            for _ in 0..REQUESTS {
                let id = RequestId::next();
                log.append(&begun(id).client(&client)).unwrap();
                log.append_lazily(&ended(id).client(&client));
            }
            start.elapsed() / REQUESTS
        })
        .collect();
    rounds.sort_unstable();
    eprintln!("one line written at once and one with the next: {:?} ({rounds:?})", rounds[rounds.len() / 2]);
}
