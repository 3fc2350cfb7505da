//! What passes, what is withheld, and what ends an answer.

use super::*;

fn of(fields: &[&str]) -> FieldScrubber {
    FieldScrubber::new(Arc::new(Fields::of(fields)), Documents::Lines)
}

fn scrub(fields: &[&str], chunks: &[&[u8]]) -> Result<String, Unreadable> {
    scrub_by(of(fields), chunks)
}

fn scrub_by(mut scrubber: FieldScrubber, chunks: &[&[u8]]) -> Result<String, Unreadable> {
    let mut out = Vec::new();
    for chunk in chunks {
        out.extend_from_slice(&scrubber.feed(Bytes::copy_from_slice(chunk))?);
    }
    scrubber.finish()?;
    Ok(String::from_utf8(out).unwrap())
}

const TEXT: &str = r#" {"id": 7, "download_url":"https://x/y?token=\"a\\", "items":[ {"download\u005furl" : 12},
        {"download_url":{"a":[1,{"b":"}]"}]},"size":1e3} ], "n":null, "download_url": null} "#;
const CLEAN: &str = r#" {"id": 7, "download_url":"[withheld]", "items":[ {"download\u005furl" : "[withheld]"},
        {"download_url":"[withheld]","size":1e3} ], "n":null, "download_url": null} "#;

#[test]
fn values_are_withheld_wherever_the_text_is_split() {
    for at in 0..=TEXT.len() {
        let (one, two) = TEXT.as_bytes().split_at(at);
        assert_eq!(scrub(&["/**/download_url"], &[one, two]).unwrap(), CLEAN, "split at {at}");
    }
    let single: Vec<&[u8]> = TEXT.as_bytes().chunks(1).collect();
    assert_eq!(scrub(&["/**/download_url"], &single).unwrap(), CLEAN);
}

#[test]
fn what_is_not_listed_passes_as_it_is() {
    for text in [
        "",
        " ",
        "[]",
        "{}",
        "[1,2]",
        "null",
        "\"a\"",
        "{\"a\":{}}",
        "\u{feff}{\"b\":[]}",
        "{\"a\":1}\n{\"a\":2}\n",
        "12",
    ] {
        assert_eq!(scrub(&["/**/token"], &[text.as_bytes()]).unwrap(), text);
    }
    let whole = Bytes::from_static(b"{\"a\":[1,2,3]}");
    let mut scrubber = of(&["/**/token"]);
    assert_eq!(scrubber.feed(whole.clone()).unwrap().as_ptr(), whole.as_ptr(), "uncopied");
}

#[test]
fn lines_of_json_are_documents_each() {
    let text = b"{\"token\":\"a\"}\n{\"x\":1,\"token\":\"b\"}\n";
    let clean = "{\"token\":\"[withheld]\"}\n{\"x\":1,\"token\":\"[withheld]\"}\n";
    assert_eq!(scrub(&["/token"], &[text]).unwrap(), clean);
    let words = b"12\ntrue\n\n {}\r\n\"a\" \n";
    assert_eq!(scrub(&["/token"], &[words]).unwrap().as_bytes(), words);
    assert_eq!(scrub(&["/1/key"], &[br#"[{"key":1},{"key":2}]"#]).unwrap(), r#"[{"key":1},{"key":"[withheld]"}]"#);
}

#[test]
fn what_is_no_json_ends_the_answer() {
    for text in [
        "{",
        "[1",
        "\"a",
        "{\"a\"}",
        "{a:1}",
        "[1}",
        "{]",
        "{\"a\":1,}",
        "{'token':'x'}",
        "<html>",
        "[1 2]",
        "[1,,2]",
        "/*x*/{}",
        "{\"a\":1]",
        "]",
        ",",
        "{\"\u{1}\":1}",
        "\u{ef}{}",
        "hello world",
        "nojson",
        "ok",
        "tru",
        "-",
        "{\"a\":xyz}",
        "{\"a\":01}",
        "{\"a\":1.}",
        "[truefalse]",
        "{\"a\":1} trailing",
        "{\"a\":1}\ntrailing",
        "{\"a\":1} {}",
        "{\n}{}",
        "1 2",
        "\"a\"1",
        "{\"a\":\"\\x41\"}",
        "{\"a\":\"\n\"}",
    ] {
        assert!(scrub(&["/**/token"], &[text.as_bytes()]).is_err(), "{text}");
        let single: Vec<&[u8]> = text.as_bytes().chunks(1).collect();
        assert!(scrub(&["/**/token"], &single).is_err(), "{text}");
    }
    assert!(scrub(&["/token"], &[b"{\"token\":\"secret"]).is_err());
    let deep = "[".repeat(DEEPEST + 1);
    assert!(scrub(&["/token"], &[deep.as_bytes()]).is_err());
    let long = format!("{{\"{}\":1}}", "k".repeat(LONGEST_KEY));
    assert!(scrub(&["/token"], &[long.as_bytes()]).is_err());
    let utf16: Vec<u8> = "{\"token\":\"s\"}".encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert!(scrub(&["/token"], &[&utf16]).is_err());
}

#[test]
fn where_one_document_is_wanted_another_line_is_none_of_it() {
    let one = || FieldScrubber::new(Arc::new(Fields::of(&["/token"])), Documents::One);
    for text in ["", "{\"a\":1} \r\n\t", "\n\n[1,\n2]\n", "7\n"] {
        assert_eq!(scrub_by(one(), &[text.as_bytes()]).unwrap(), text);
    }
    for text in ["{\"token\":\"s\"}\n{}", "{}\nx", "{} x", "1\n2"] {
        assert!(scrub_by(one(), &[text.as_bytes()]).is_err(), "{text}");
    }
}

#[test]
fn no_word_shows_at_a_listed_place_that_is_none_of_json() {
    for text in ["tok-abc", "nabc", "truely", "f\"abc\"", "null-abc", "nul", "Abc", "_abc", "0abc", "1e", "-abc"] {
        let (mut scrubber, mut shown) = (of(&["/token"]), Vec::new());
        let text = format!("{{\"token\":{text}}}");
        let fed = text.bytes().try_for_each(|byte| {
            shown.extend_from_slice(&scrubber.feed(Bytes::copy_from_slice(&[byte]))?);
            Ok::<_, Unreadable>(())
        });
        let shown = String::from_utf8(shown).unwrap();
        assert!(fed.is_err() && !shown.contains("abc"), "{text}: {shown}");
    }
}

#[test]
fn nothing_of_a_value_leaves_before_the_text_turns_out_to_be_wrong() {
    let mut scrubber = of(&["/token"]);
    assert_eq!(scrubber.feed(Bytes::from_static(b"{\"token\":\"abc")).unwrap(), "{\"token\":\"[withheld]\"");
    assert_eq!(scrubber.feed(Bytes::from_static(b"def\", \"a\":")).unwrap(), ", \"a\":");
    assert_eq!(scrubber.found(), 1);
    assert!(scrubber.feed(Bytes::from_static(b"<")).is_err());
}
