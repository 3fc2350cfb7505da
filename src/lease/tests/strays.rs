//! Tokens found where none belongs: in bodies, in streams, in every spelling, and nothing else found.

use super::*;

/// Shapes of the catalogue: every alphabet, prefixes of every kind, the shortest and the longest.
fn shapes() -> Vec<TokenShape> {
    use Alphabet::{Base62, Hex, Upper};
    let shapes = [
        ("sk-proj-", Base62, 31),
        ("sk-ant-api03-", Base62, 31),
        ("AIza", Base62, 31),
        ("e2b_", Hex, 31),
        ("ghp_", Base62, 31),
        ("github_pat_", Base62, 31),
        ("glpat-", Base62, 25),
        ("hvs.", Base62, 26),
        ("xoxb-", Base62, 31),
        ("sk_live_000000_", Base62, 31),
        ("7000000000:", Base62, 31),
        ("LKIA", Upper, 26),
        ("SG.", Base62, 31),
        ("NRAK-", Upper, 31),
        ("00", Base62, 31),
        ("EAA", Base62, 25),
        ("2/", Base62, 31),
        ("dp.pt.", Base62, 31),
        ("lse_", Base62, 31),
    ];
    shapes.map(|(prefix, alphabet, length)| TokenShape::new(prefix, alphabet, length).unwrap()).to_vec()
}

fn issue_all(table: &LeaseTable) -> Vec<(LeaseId, String)> {
    let leases = shapes().into_iter().enumerate().map(|(count, shape)| {
        let (lease, token) = issue(table, NewLease { shape, ..new(&format!("s{count}"), "agent") });
        (lease.id, token)
    });
    leases.collect()
}

/// Texts with a token in their middle, as clients and agents write them.
fn texts(token: &str) -> Vec<String> {
    vec![
        token.to_owned(),
        format!(r#"{{"model":"m","note":"my key is {token}","n":1000000}}"#),
        format!(r#"{{"k":"a\n{token}\n"}}"#),
        format!("https://api.example.test/v1?key={token}&page=2"),
        format!("grant_type=x&client_secret={token}&n=000000"),
        format!("export KEY={token}\n"),
        format!("data: {{\"text\":\"{token}\"}}\n\n"),
        format!("0000000000 {token} 0000000000"),
    ]
}

#[test]
fn tokens_are_unique_and_have_their_shape() {
    let (_, table) = table();
    let mut seen = BTreeSet::new();
    for round in 0..100 {
        for shape in shapes() {
            let secret = format!("s{round}");
            let (_, token) = issue(&table, NewLease { shape: shape.clone(), ..new(&secret, shape.prefix()) });
            assert!(token.starts_with(shape.prefix()) && token.len() == shape.length(), "{token}");
            assert!(token.contains(TokenShape::ZERO_RUN) && !token.ends_with("AA"), "{token}");
            let random = token[shape.prefix().len()..].bytes();
            assert!({ random }.all(|byte| shape.alphabet().characters().contains(&byte)), "{token}");
            assert!(seen.insert(token), "twice");
        }
    }
}

#[test]
fn every_shape_is_a_candidate_by_its_looks() {
    let (_, table) = table();
    for (_, token) in issue_all(&table) {
        assert!(looks_like_lease(token.as_bytes()), "{token}");
        for text in texts(&token) {
            let at = text.find(&token).unwrap();
            let covers = |range: std::ops::Range<usize>| range.start <= at && range.end >= at + token.len();
            assert!(token_candidates(text.as_bytes()).any(covers), "{text}");
            assert!(token_candidates(text.as_bytes()).all(|range| range.len() <= TokenShape::MAX_LENGTH));
        }
    }
}

#[test]
fn a_stray_token_is_found_exactly_wherever_it_stands() {
    let (_, table) = table();
    for (id, token) in issue_all(&table) {
        for text in texts(&token).into_iter().chain([format!("x{token}y"), format!("%3D{token}000000x{token}")]) {
            let stray = table.find_stray(text.as_bytes()).expect(&text);
            assert_eq!(&text[stray.range], token);
            assert!(matches!(stray.found, Found::Live(lease) if lease.id == id));
        }
        table.revoke(&id, CutReason::Revoked);
        let stray = table.find_stray(texts(&token)[1].as_bytes()).unwrap();
        assert!(matches!(stray.found, Found::Ended(CutReason::Revoked)));
    }
}

#[test]
fn a_token_that_was_never_ours_is_found_only_if_it_must_be_meant_as_one() {
    let (_, table) = table();
    let (_, strange) = super::table();
    let ours = issue_all(&table);
    for (_, token) in issue_all(&strange) {
        let telling = token.starts_with("AIza") || ["LKIA", "00", "EAA", "2/"].iter().any(|p| token.starts_with(p));
        let stray = table.find_stray(format!("key={token}").as_bytes());
        assert_eq!(stray.is_none(), telling, "{token}");
        assert!(stray.is_none_or(|stray| matches!(stray.found, Found::Unknown) && stray.range.start == 4));
        let both = format!("{token} {}", ours[0].1);
        let stray = table.find_stray(both.as_bytes()).unwrap();
        assert!(stray.is_ours() && both[stray.range] == ours[0].1, "a token of ours is not hidden by a strange one");
    }
}

#[test]
fn ordinary_bodies_hold_no_stray() {
    let (_, table) = table();
    issue_all(&table);
    let zeros = "0".repeat(100_000);
    let hex = "00ff0000001000000200000030000004ffEAA".repeat(10_000);
    for text in ["", "000000", "{\"amount\":1000000,\"id\":\"00000000-0000-0000-0000-000000000000\"}", &zeros, &hex] {
        assert!(table.find_stray(text.as_bytes()).is_none());
    }
    let noise: Vec<u8> = (0..100_000_u32).flat_map(|n| crate::base::sha256(&n.to_le_bytes())).take(1 << 20).collect();
    assert!(table.find_stray(&noise).is_none());
}

/// Feeds the chunks; returns what was released before the stray was seen, or all of it.
fn stream(table: &LeaseTable, chunks: &[&[u8]]) -> (Vec<u8>, Option<Stray>) {
    let mut scanner = table.scanner();
    let (mut waiting, mut released) = (Vec::new(), Vec::new());
    for chunk in chunks {
        waiting.extend_from_slice(chunk);
        match scanner.feed(chunk) {
            Scan::Clean { release } => released.extend(waiting.drain(..release)),
            Scan::Stray { stray, .. } => {
                released.extend(waiting.drain(..stray.range.start));
                return (released, Some(stray));
            }
        }
        assert_eq!(scanner.held(), waiting.len());
        assert!(waiting.len() < TokenShape::MAX_LENGTH + 4, "at most a token less a byte, `:` and `/` escaped");
    }
    released.append(&mut waiting);
    (released, None)
}

#[test]
fn a_token_split_anywhere_is_seen_before_its_first_byte_leaves() {
    let (_, table) = table();
    for (id, token) in issue_all(&table) {
        let escaped = token.replace(':', "%3A").replace('/', "%2F");
        for (text, token) in
            texts(&token).iter().map(|t| (t, &token)).chain(texts(&escaped).iter().map(|t| (t, &escaped)))
        {
            let at = text.find(token).unwrap();
            let bytes = text.as_bytes();
            let mut splits: Vec<Vec<&[u8]>> = (0..=bytes.len()).map(|cut| vec![&bytes[..cut], &bytes[cut..]]).collect();
            splits.extend([1, 2, 3, 7].map(|size| bytes.chunks(size).collect()));
            for chunks in splits {
                let (released, stray) = stream(&table, &chunks);
                let stray = stray.unwrap_or_else(|| panic!("{text} in {} chunks", chunks.len()));
                assert!(matches!(stray.found, Found::Live(lease) if lease.id == id));
                assert_eq!(released, &bytes[..at], "{text}");
            }
        }
    }
}

#[test]
fn streams_without_tokens_pass_whole_and_at_once() {
    let (_, table) = table();
    issue_all(&table);
    let events: Vec<String> = (0..50)
        .map(|n| format!("event: delta\ndata: {{\"i\":{n}000000,\"text\":\"task sk lse_ ghp 000000\"}}\n\n"))
        .collect();
    let mut scanner = table.scanner();
    for event in &events {
        let Scan::Clean { release } = scanner.feed(event.as_bytes()) else { panic!("{event}") };
        assert_eq!((release, scanner.held()), (event.len(), 0), "an event is not held up");
    }
    let text = events.concat();
    for size in [1, 5, 16, 31, 32, 100] {
        let chunks: Vec<_> = text.as_bytes().chunks(size).collect();
        let (released, stray) = stream(&table, &chunks);
        assert!(stray.is_none() && released == text.as_bytes());
    }
}

#[test]
fn only_the_beginning_of_a_token_is_held_back() {
    let (_, table) = table();
    let (_, token) = issue(&table, new("gh", "agent"));
    let mut scanner = table.scanner();
    let half = format!("some text {}", &token[..12]);
    assert!(matches!(scanner.feed(half.as_bytes()), Scan::Clean { release: 10 }));
    assert_eq!(scanner.held(), 12);
    assert!(matches!(scanner.feed(b"-"), Scan::Clean { release: 13 }), "it did not become a token");
    assert_eq!(scanner.held(), 0);
    assert!(matches!(scanner.feed(b""), Scan::Clean { release: 0 }));
}

#[test]
fn a_token_leased_while_a_stream_runs_is_seen_and_the_stream_may_go_on() {
    let (_, table) = table();
    let mut scanner = table.scanner();
    assert!(matches!(scanner.feed(b"begin "), Scan::Clean { release: 6 }));
    let shape = TokenShape::new("xai-", Alphabet::Base62, 31).unwrap();
    let (_, token) = issue(&table, NewLease { shape, ..new("x", "agent") });
    let Scan::Stray { stray, release } = scanner.feed(format!("{token} ").as_bytes()) else { panic!("not seen") };
    assert_eq!((stray.range, release), (0..31, 32));
    assert!(matches!(scanner.feed(b"end."), Scan::Clean { release: 4 }));
}

#[test]
fn of_two_strange_tokens_the_first_is_told_even_when_it_was_split() {
    let (_, table) = table();
    let (_, strange) = super::table();
    issue(&table, new("gh", "agent"));
    let [(_, one), (_, two)] = ["a", "b"].map(|secret| issue(&strange, new(secret, "agent")));
    let text = format!("{one} {two}");
    let (released, stray) = stream(&table, &[&text.as_bytes()[..20], &text.as_bytes()[20..]]);
    assert_eq!((released.len(), stray.unwrap().range), (0, 0..31));
}
