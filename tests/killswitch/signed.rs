//! Signed answers: only the holder of the key is a heartbeat, for this address and this beat.

use std::sync::{Arc, Mutex};

use crate::{
    beacon::{ALIVE, Beacon, Says, Signer},
    heartbeat::{house, settings, test},
    house::House,
};

struct World {
    beacon: Beacon,
    signer: Signer,
    house: House,
}

impl World {
    async fn new() -> Self {
        let beacon = Beacon::new(ALIVE).await;
        let signer = Signer::new();
        let more = format!("misses = 1000\npublic_key = \"{}\"", signer.public());
        let house = house(settings(&beacon.url(), &more)).await;
        Self { beacon, signer, house }
    }

    async fn refuses(&self, says: Says, reason: &str) {
        self.beacon.says(says);
        let tested = test(&self.house).await;
        assert!(!tested.success && tested.message.contains(reason), "{tested:?}");
    }
}

#[tokio::test]
async fn the_keys_signature_of_this_beat_is_a_heartbeat() {
    let world = World::new().await;
    world.beacon.says(world.signer.says(world.beacon.url()));
    let tested = test(&world.house).await;
    assert!(tested.success, "{tested:?}");
    assert!(test(&world.house).await.success);
    let mut nonces: Vec<_> = world.beacon.asked().iter().map(|asked| asked.nonce().to_owned()).collect();
    let all = nonces.len();
    nonces.sort();
    nonces.dedup();
    assert_eq!(nonces.len(), all, "a nonce is used once");
}

#[tokio::test]
async fn attack_121_a_captive_portal_is_no_heartbeat() {
    let world = World::new().await;
    world.refuses(Says::Head("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<html>Log in"), "not signed").await;
}

#[tokio::test]
async fn attack_121_a_spoofed_server_is_no_heartbeat() {
    let world = World::new().await;
    world.refuses(Signer::new().says(world.beacon.url()), "is not the key's signature").await;
    world.refuses(Says::Signed(Arc::new(|_| "not base64 !".into())), "is not the key's signature").await;
    world.refuses(Says::Signed(Arc::new(|_| String::new())), "is not the key's signature").await;
}

#[tokio::test]
async fn attack_121_a_recorded_answer_and_one_for_another_address_are_no_heartbeats() {
    let world = World::new().await;
    let (signer, url) = (world.signer.clone(), world.beacon.url());
    let first = Mutex::new(None);
    let replays = Says::Signed(Arc::new(move |asked| {
        first.lock().unwrap().get_or_insert_with(|| signer.sign(asked.nonce(), &url)).clone()
    }));
    world.beacon.says(replays.clone());
    test(&world.house).await; // whoever asked first, this test or the daemon, had a true answer
    world.refuses(replays, "is not the key's signature").await;
    world.refuses(world.signer.says("http://another.test/".into()), "is not the key's signature").await;
}
