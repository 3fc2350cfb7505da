//! SHA-1, for file formats that know nothing else; proves nothing and protects nothing.

use aws_lc_rs::digest;

/// SHA-1 (FIPS 180-4), which the checksum of a Java key store is made with. Not for anything that must resist forgery.
pub fn legacy_sha1(parts: &[&[u8]]) -> [u8; 20] {
    let mut context = digest::Context::new(&digest::SHA1_FOR_LEGACY_USE_ONLY);
    for part in parts {
        context.update(part);
    }
    let mut hash = [0; 20];
    for (to, from) in hash.iter_mut().zip(context.finish().as_ref()) {
        *to = *from;
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sha1_agrees_with_the_standards_example_in_whatever_parts() {
        // FIPS 180-4, example "abc" (csrc.nist.gov, SHA1.pdf)
        let want = "a9993e364706816aba3e25717850c26c9cd0d89d";
        assert_eq!(crate::base::hex(&legacy_sha1(&[b"abc"])), want);
        assert_eq!(crate::base::hex(&legacy_sha1(&[b"a", b"", b"bc"])), want);
    }
}
