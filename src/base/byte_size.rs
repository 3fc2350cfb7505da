//! A number of bytes as people write it: `64MiB`, `512KiB`, `100`.

/// Reads a whole number with a unit (`B`, `KiB`, `MiB`, `GiB`, `kB`, `MB`, `GB`; none means bytes). `None` for anything else, and for more
/// than 64 bits hold.
pub fn parse_byte_size(text: &str) -> Option<u64> {
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let factor: u64 = match unit.trim_start() {
        "" | "B" => 1,
        "KiB" => 1 << 10,
        "MiB" => 1 << 20,
        "GiB" => 1 << 30,
        "kB" | "KB" => 1_000,
        "MB" => 1_000_000,
        "GB" => 1_000_000_000,
        _ => return None,
    };
    number.parse::<u64>().ok()?.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units_or_are_bytes() {
        for (text, size) in [
            ("0", Some(0)),
            ("100", Some(100)),
            ("7 B", Some(7)),
            ("512KiB", Some(512 << 10)),
            ("8MiB", Some(8 << 20)),
            ("2 GiB", Some(2 << 30)),
            ("8MB", Some(8_000_000)),
            ("8mb", None),
            ("-1", None),
            ("1.5MiB", None),
            ("MiB", None),
            ("", None),
            ("99999999999GiB", None),
        ] {
            assert_eq!(parse_byte_size(text), size, "{text}");
        }
    }
}
