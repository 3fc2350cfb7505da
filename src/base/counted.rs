//! Numbers of things, as people say them.

/// `1 lease`, `2 leases`; for things whose plural ends in `s`.
pub fn counted(count: u64, thing: &str) -> String {
    format!("{count} {thing}{}", if count == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_is_singular() {
        assert_eq!([0, 1, 2].map(|count| counted(count, "lease")), ["0 leases", "1 lease", "2 leases"]);
    }
}
