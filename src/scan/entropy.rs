//! How random a text looks.

/// Shannon's entropy of the bytes of a text, in bits per byte: 0 for one letter repeated, about 4 for 20 random letters.
pub(super) fn entropy(text: &[u8]) -> f64 {
    let mut counts = [0_u32; 256];
    for &byte in text {
        if let Some(count) = counts.get_mut(usize::from(byte)) {
            *count += 1;
        }
    }
    let total = f64::from(u32::try_from(text.len()).unwrap_or(u32::MAX));
    counts.iter().filter(|count| **count > 0).map(|count| f64::from(*count) / total).map(|p| -p * p.log2()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn random_text_has_more_than_repeated_text() {
        assert!(entropy(b"").abs() < 0.001);
        assert!(entropy(b"xxxxxxxxxxxx").abs() < 0.001);
        assert!((entropy(b"abcdabcd") - 2.0).abs() < 0.001);
        assert!(entropy(b"q8Zt3LmX0vB7nR2kYw5P") > 4.0);
    }
}
