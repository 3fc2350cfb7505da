//! Names and values as queries and forms write them (application/x-www-form-urlencoded, WHATWG URL 5.1).

use percent_encoding::percent_decode;

use crate::policy::rules::Reading;

/// The most names and values that are told apart; common servers take a thousand.
const MOST: usize = 10_000;

/// The decoded values of one name. Read exactly, `None` when the text could be split or decoded in two ways. Read
/// loosely, names compare without case, and `;` separates too; `None` when the name could have any value.
pub(super) fn values_of(text: &str, name: &str, reading: Reading) -> Option<Vec<String>> {
    let separators: &[char] = if reading == Reading::Loose { &['&', ';'] } else { &['&'] };
    if reading == Reading::Exact && text.contains(';') {
        return None;
    }
    let mut values = Vec::new();
    for (at, pair) in text.split(separators).enumerate() {
        if at >= MOST {
            return None;
        }
        let (raw_name, raw_value) = pair.split_once('=').unwrap_or((pair, ""));
        match (decode(raw_name), decode(raw_value)) {
            (Some(found), Some(value)) => {
                let same = match reading {
                    Reading::Exact => found == name,
                    Reading::Loose => base_name(&found).eq_ignore_ascii_case(name),
                };
                // A twin may be the one that the server looks at.
                if reading == Reading::Exact && !same && base_name(&found).eq_ignore_ascii_case(name) {
                    return None;
                }
                values.extend(same.then_some(value));
            }
            // What cannot be decoded may be anything to whoever decodes it all the same.
            (Some(found), None) if reading == Reading::Loose && !base_name(&found).eq_ignore_ascii_case(name) => {}
            _ => return None,
        }
    }
    Some(values)
}

/// All names and values, decoded; `None` when the text could be split or decoded in two ways.
pub(super) fn pairs(text: &str) -> Option<Vec<(String, String)>> {
    if text.contains(';') {
        return None;
    }
    let parts = text.split('&').filter(|pair| !pair.is_empty());
    let split = parts.map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    let split = split.enumerate().map(|(at, pair)| (at < MOST).then_some(pair));
    split.map(|pair| pair.and_then(|(name, value)| Some((decode(name)?, decode(value)?)))).collect()
}

/// `name[]` and `name[0]` are `name` to some servers.
fn base_name(name: &str) -> &str {
    name.split('[').next().unwrap_or(name).trim()
}

/// The text behind `+` and percent-encoding; `None` when it is broken or no text.
fn decode(raw: &str) -> Option<String> {
    let spaced = raw.replace('+', " ");
    let mut bytes = spaced.bytes();
    while let Some(byte) = bytes.next() {
        let is_broken = byte == b'%' && !(0..2).all(|_| bytes.next().is_some_and(|digit| digit.is_ascii_hexdigit()));
        if is_broken {
            return None;
        }
    }
    String::from_utf8(percent_decode(spaced.as_bytes()).collect()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_decoded_and_all_of_them_count() {
        let exact = |text, name| values_of(text, name, Reading::Exact);
        assert_eq!(exact("a=1&b=x+y%21&a=2&c", "a").unwrap(), ["1", "2"]);
        assert_eq!(exact("a=1&b=x+y%21", "b").unwrap(), ["x y!"]);
        assert_eq!(exact("c", "c").unwrap(), [""]);
        assert_eq!(exact("%61=1", "a").unwrap(), ["1"]);
        assert_eq!(exact("b=1", "a").unwrap(), [""; 0]);
        for unclear in ["a=%", "a=%f", "a=%zz", "a=%ff", "a=1;b=2", "a=1&A=2", "a=1&a[]=2", "b=%c3%28"] {
            assert_eq!(exact(unclear, "a"), None, "{unclear}");
        }
    }

    #[test]
    fn whatever_could_be_meant_is_seen_when_it_takes() {
        for text in ["x=1;a=v", "A=v", "a[]=v", "a[0]=v", "%41=v"] {
            assert_eq!(values_of(text, "a", Reading::Loose).unwrap(), ["v"], "{text}");
        }
        for any in ["a=%", "a=v&a=%zz", "a=%ff", "%=v", "%zz", "x=1;A[]=%"] {
            assert_eq!(values_of(any, "a", Reading::Loose), None, "{any}");
        }
        assert_eq!(values_of("x=%&b=%ff", "a", Reading::Loose).unwrap(), [""; 0], "of another name");
    }

    #[test]
    fn more_pairs_than_servers_take_are_not_told_apart() {
        let many = |count: usize| "x&".repeat(count);
        for reading in [Reading::Exact, Reading::Loose] {
            assert_eq!(values_of(&many(MOST - 1), "a", reading).unwrap(), [""; 0]);
            assert_eq!(values_of(&many(MOST), "a", reading), None);
        }
        assert!(pairs(&many(MOST)).is_some() && pairs(&many(MOST + 1)).is_none());
    }
}
