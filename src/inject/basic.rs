//! HTTP basic credentials (RFC 7617): decode, replace one part, encode again.

use base64::{Engine as _, engine::general_purpose};
use zeroize::Zeroizing;

use super::Error;
use crate::recipe::BasicPart;

/// The two parts of basic credentials.
#[derive(Clone)]
pub(super) struct Parts {
    pub(super) user: Zeroizing<Vec<u8>>,
    pub(super) password: Zeroizing<Vec<u8>>,
}

/// Reads a field value; `None` when it is not basic or not decodable.
pub(super) fn parse(value: &[u8]) -> Option<Parts> {
    let (scheme, encoded) = value.split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"basic ") {
        return None;
    }
    // Clients differ in whether they pad.
    let trimmed = encoded.trim_ascii();
    let unpadded = trimmed.strip_suffix(b"==").or_else(|| trimmed.strip_suffix(b"=")).unwrap_or(trimmed);
    let decoded = Zeroizing::new(general_purpose::STANDARD_NO_PAD.decode(unpadded).ok()?);
    let colon = decoded.iter().position(|&b| b == b':')?;
    let (user, password) = decoded.split_at(colon);
    Some(Parts {
        user: Zeroizing::new(user.to_vec()),
        password: Zeroizing::new(password.get(1..).unwrap_or_default().to_vec()),
    })
}

/// Whether a credential can be this part (RFC 7617, 2).
pub(super) fn check(part: BasicPart, credential: &[u8]) -> Result<(), Error> {
    let unwritable = |why| Err(Error::Unwritable { place: "basic credentials", why });
    if credential.iter().any(u8::is_ascii_control) {
        return unwritable("it holds control characters, such as a line break");
    }
    if part == BasicPart::User && credential.contains(&b':') {
        return unwritable("a user name holds no colon");
    }
    Ok(())
}

/// A field value with a stand-in for the credential.
pub(super) fn stand_in(part: BasicPart, other: &str, stand_in: &str) -> String {
    let joined = match part {
        BasicPart::Password => [other, ":", stand_in].concat(),
        BasicPart::User => [stand_in, ":", other].concat(),
    };
    format!("Basic {}", general_purpose::STANDARD.encode(joined))
}

/// Writes a field value with one part replaced and the other as the recipe wants it.
pub(super) fn write(
    parts: &Parts,
    part: BasicPart,
    other: Option<&str>,
    credential: &[u8],
) -> Result<Zeroizing<Vec<u8>>, Error> {
    check(part, credential)?;
    let other = |own: &'_ [u8]| other.map_or_else(|| own.to_vec(), |other| other.as_bytes().to_vec());
    let (user, password) = match part {
        BasicPart::Password => (other(&parts.user), credential.to_vec()),
        BasicPart::User => (credential.to_vec(), other(&parts.password)),
    };
    let joined = Zeroizing::new([user.as_slice(), b":", password.as_slice()].concat());
    drop((Zeroizing::new(user), Zeroizing::new(password)));
    Ok(Zeroizing::new(format!("Basic {}", general_purpose::STANDARD.encode(&*joined)).into_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attack_50_basic_is_decoded_swapped_and_encoded_again() {
        let parts = parse(b"Basic eC1hY2Nlc3MtdG9rZW46bGVhc2U=").unwrap(); // x-access-token:lease
        assert_eq!((&parts.user[..], &parts.password[..]), (&b"x-access-token"[..], &b"lease"[..]));
        let real = write(&parts, BasicPart::Password, None, b"ghp_real").unwrap();
        assert_eq!(&*parse(&real).unwrap().password, b"ghp_real");
        let real = write(&parts, BasicPart::User, Some(""), b"sk_live").unwrap();
        let back = parse(&real).unwrap();
        assert_eq!((&back.user[..], &back.password[..]), (&b"sk_live"[..], &b""[..]));
        assert!(write(&parts, BasicPart::User, None, b"a:b").is_err());
        assert!(write(&parts, BasicPart::Password, None, b"a\nb").is_err());
    }

    #[test]
    fn what_is_not_basic_is_none() {
        for value in [&b"Basic"[..], b"Basic !!!", b"Bearer abc", b"Basic bm9jb2xvbg=="] {
            assert!(parse(value).is_none());
        }
        assert!(parse(b"basic YTpi").is_some());
        assert!(parse(b"Basic YTpiYg").is_some(), "unpadded");
    }
}
