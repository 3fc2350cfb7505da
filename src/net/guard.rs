//! Which addresses may be dialled: global unicast after unwrapping, minus the special registries.
//!
//! Invariant: an address is judged by what it finally leads to, so an IPv4 address inside an IPv6 one is judged
//! as IPv4; metadata services are never dialled, whatever the settings allow (attacks 52 to 55).

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

use serde::{Deserialize, Deserializer, de::Error as _};

/// A range of addresses such as `10.0.0.0/8`; a single address is a range of one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Network {
    base: IpAddr,
    prefix: u8,
}

/// Why a text is no range; the writer's fault.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a range of addresses; write it like `10.0.0.0/8` or `192.168.1.7`")]
pub struct NetworkError(String);

impl Network {
    /// The range of this one address.
    pub const fn only(address: IpAddr) -> Self {
        Self { base: address, prefix: if address.is_ipv4() { 32 } else { 128 } }
    }

    /// Whether the address lies in the range.
    pub fn contains(&self, address: IpAddr) -> bool {
        match (self.base, address) {
            (IpAddr::V4(base), IpAddr::V4(address)) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.prefix)).unwrap_or(0);
                base.to_bits() & mask == address.to_bits() & mask
            }
            (IpAddr::V6(base), IpAddr::V6(address)) => {
                let mask = u128::MAX.checked_shl(128 - u32::from(self.prefix)).unwrap_or(0);
                base.to_bits() & mask == address.to_bits() & mask
            }
            _ => false,
        }
    }
}

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let error = || NetworkError(text.chars().take(60).flat_map(char::escape_default).collect());
        let (base, prefix) = text.split_once('/').map_or((text, None), |(base, prefix)| (base, Some(prefix)));
        let base: IpAddr = base.parse().map_err(|_| error())?;
        let widest = if base.is_ipv4() { 32 } else { 128 };
        let prefix = match prefix {
            Some(digits) => digits.parse().ok().filter(|&p| p <= widest).ok_or_else(error)?,
            None => widest,
        };
        Ok(Self { base, prefix })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.base, self.prefix)
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(D::Error::custom)
    }
}

/// Why an address may not be dialled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Denied {
    /// The name means this machine, wherever it leads; only a pinned address opens it.
    Localhost,
    /// A metadata service, which nothing opens.
    Metadata,
    /// A special address, which the settings may allow.
    Special(&'static str),
}

impl fmt::Display for Denied {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Localhost => "a loopback address",
            Self::Metadata => "a metadata service",
            Self::Special(kind) => kind,
        })
    }
}

/// The judge of addresses: the rule above plus the ranges that the operator allowed.
#[derive(Clone, Debug, Default)]
pub struct AddressGuard {
    allowed: Vec<Network>,
}

impl AddressGuard {
    /// A guard that also allows these ranges, metadata services excepted.
    pub const fn new(allowed: Vec<Network>) -> Self {
        Self { allowed }
    }

    /// `Ok` when the address may be dialled, else what kind of address it is.
    pub fn check(&self, address: IpAddr) -> Result<(), Denied> {
        let end = unwrap(address);
        if is_metadata(end) || is_metadata(address) {
            return Err(Denied::Metadata);
        }
        if self.allowed.iter().any(|range| range.contains(end) || range.contains(address)) {
            return Ok(());
        }
        let judged = match end {
            IpAddr::V4(end) => check_v4(end),
            IpAddr::V6(end) => check_v6(end),
        };
        judged.map_err(Denied::Special)
    }
}

/// Follows IPv4 inside IPv6: mapped, compatible, NAT64 (RFC 6052, RFC 8215), 6to4 (RFC 3056), Teredo (RFC 4380).
fn unwrap(address: IpAddr) -> IpAddr {
    let IpAddr::V6(v6) = address else { return address };
    let bits = v6.to_bits();
    let low = Ipv4Addr::from_bits((bits & 0xffff_ffff) as u32);
    let inner = match v6.segments() {
        // `::` and `::1` are no IPv4 addresses
        [0, 0, 0, 0, 0, 0, 0, 0 | 1] => return address,
        [0, 0, 0, 0, 0, 0 | 0xffff, ..] | [0, 0, 0, 0, 0xffff, 0, ..] | [0x64, 0xff9b, 0 | 1, ..] => low,
        [0x2002, ..] => Ipv4Addr::from_bits((bits >> 80 & 0xffff_ffff) as u32),
        [0x2001, 0, ..] => Ipv4Addr::from_bits(!low.to_bits()),
        _ => return address,
    };
    IpAddr::V4(inner)
}

fn is_metadata(address: IpAddr) -> bool {
    match address {
        // EC2 and most others; ECS task roles; Alibaba; Oracle; Azure's wire server
        IpAddr::V4(v4) => {
            matches!(
                v4.octets(),
                [169, 254, 169, 253 | 254]
                    | [169, 254, 170, 2 | 23]
                    | [100, 100, 100, 200]
                    | [192, 0, 0, 192]
                    | [168, 63, 129, 16]
            )
        }
        // EC2's IPv6 metadata, DNS and time services, EKS pod identity, Google's metadata
        IpAddr::V6(v6) => {
            matches!(v6.segments(), [0xfd00, 0xec2, 0, 0, 0, 0, 0, _] | [0xfd20, 0xce, 0, 0, 0, 0, 0, 0x254])
        }
    }
}

/// The IANA IPv4 special-purpose registry, read as what is not globally reachable.
fn check_v4(address: Ipv4Addr) -> Result<(), &'static str> {
    match address.octets() {
        [0, ..] => Err("not a destination"),
        [127, ..] => Err("a loopback address"),
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => Err("a private address"),
        [100, 64..=127, ..] => Err("a carrier-private address"),
        [169, 254, ..] => Err("a link-local address"),
        [192, 0, 0, 9 | 10] => Ok(()),
        [192, 0, 0 | 2, _] | [192, 88, 99, _] | [198, 18 | 19, ..] | [198, 51, 100, _] | [203, 0, 113, _] => {
            Err("a reserved address")
        }
        [224..=239, ..] => Err("a multicast address"),
        [240..=255, ..] => Err("a reserved address"),
        _ => Ok(()),
    }
}

/// Global unicast is `2000::/3`; within it the IANA IPv6 special-purpose registry takes some blocks away.
fn check_v6(address: Ipv6Addr) -> Result<(), &'static str> {
    match address.segments() {
        [0, 0, 0, 0, 0, 0, 0, 1] => Err("a loopback address"),
        [0xfe80..=0xfebf, ..] => Err("a link-local address"),
        [0xfc00..=0xfdff | 0xfec0..=0xfeff, ..] => Err("a private address"),
        [0xff00..=0xffff, ..] => Err("a multicast address"),
        // AMT, AS112 and ORCHIDv2 are globally reachable parts of 2001::/23
        [0x2001, 3 | 0x20..=0x2f, ..] | [0x2001, 4, 0x112, ..] => Ok(()),
        [0x2001, 0..=0x1ff | 0xdb8, ..] | [0x3fff, 0..=0xfff, ..] => Err("a reserved address"),
        [0x2000..=0x3fff, ..] => Ok(()),
        _ => Err("not a global address"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn denied(address: &str) -> bool {
        AddressGuard::default().check(address.parse().unwrap()).is_err()
    }

    #[test]
    fn attack_52_metadata_services_are_denied_even_when_allowed() {
        let wide = AddressGuard::new(vec!["0.0.0.0/0".parse().unwrap(), "::/0".parse().unwrap()]);
        for address in [
            "169.254.169.254",
            "169.254.170.2",
            "fd00:ec2::254",
            "100.100.100.200",
            "192.0.0.192",
            "::ffff:169.254.169.254",
            "64:ff9b::a9fe:a9fe",
        ] {
            assert!(denied(address), "{address}");
            assert!(wide.check(address.parse().unwrap()).is_err(), "{address}");
        }
    }

    #[test]
    fn attack_53_a_private_address_in_any_wrapping_is_denied() {
        for address in [
            "::ffff:10.0.0.1",
            "::10.0.0.1",
            "::ffff:0:10.0.0.1",
            "64:ff9b::10.0.0.1",
            "64:ff9b:1::10.0.0.1",
            "2002:0a00:0001::1",
            "2001:0:1::f5ff:fffe", // Teredo of 10.0.0.1
            "fec0::1",
            "fc00::1",
            "fe80::1",
            "::ffff:127.0.0.1",
        ] {
            assert!(denied(address), "{address}");
        }
        for address in ["64:ff9b::8.8.8.8", "::ffff:8.8.8.8", "2002:0808:0808::1"] {
            assert!(!denied(address), "{address}");
        }
    }

    #[test]
    fn attack_55_what_is_no_destination_is_denied() {
        for address in [
            "0.0.0.0",
            "::",
            "::1",
            "255.255.255.255",
            "224.0.0.1",
            "ff02::1",
            "127.8.8.8",
            "192.168.0.1",
            "172.31.255.255",
            "198.18.0.1",
            "2001:db8::1",
            "3fff::1",
            "100.64.0.1",
            "4000::1",
        ] {
            assert!(denied(address), "{address}");
        }
        for address in ["8.8.8.8", "172.32.0.1", "2606:4700::1111", "192.0.0.9", "2001:4860:4860::8888"] {
            assert!(!denied(address), "{address}");
        }
    }

    #[test]
    fn ranges_that_the_operator_allows_may_be_dialled() {
        let guard = AddressGuard::new(vec!["10.1.0.0/16".parse().unwrap(), "127.0.0.1".parse().unwrap()]);
        assert!(guard.check("10.1.2.3".parse().unwrap()).is_ok());
        assert!(guard.check("10.2.2.3".parse().unwrap()).is_err());
        assert!(guard.check("127.0.0.1".parse().unwrap()).is_ok());
        assert!(guard.check("127.0.0.2".parse().unwrap()).is_err());
        for text in ["10.0.0.0/33", "10.0.0/8", "x", "::/129"] {
            assert!(text.parse::<Network>().is_err(), "{text}");
        }
    }
}
