//! Which addresses a request may be dialled at.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Where requests may go, told of the address that is dialled, not of the name in the URL.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum AddressPolicy {
    /// Anywhere. The default for URLs that the user configured.
    Any,
    /// Public addresses only: no loopback, private, link-local, shared, multicast, documentation
    /// or reserved ones, nor IPv6 forms that embed them. The default for URLs that a server chose.
    #[default]
    Public,
    /// Public addresses and loopback, for development on one machine.
    PublicOrLoopback,
    /// Loopback only.
    Loopback,
}

impl AddressPolicy {
    pub(crate) const ALL: [Self; 4] = [
        Self::Any,
        Self::Public,
        Self::PublicOrLoopback,
        Self::Loopback,
    ];

    /// Why an address is refused; `None` when it is not.
    pub(crate) fn refusal(self, address: IpAddr) -> Option<&'static str> {
        let address = unmapped(address);
        let fine = match self {
            Self::Any => true,
            Self::Public => is_public(address),
            Self::PublicOrLoopback => address.is_loopback() || is_public(address),
            Self::Loopback => address.is_loopback(),
        };
        if fine {
            return None;
        }
        Some(match self {
            Self::Loopback => "plain HTTP goes to loopback only, and this address is elsewhere",
            _ => "the server chose the URL, and its address is not public",
        })
    }
}

/// The IPv4 address that an IPv4-mapped one stands for.
fn unmapped(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V6(v6) => v6.to_ipv4_mapped().map_or(address, IpAddr::V4),
        IpAddr::V4(_) => address,
    }
}

fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(v4) => is_public_v4(v4),
        IpAddr::V6(v6) => is_public_v6(v6),
    }
}

/// IANA's special-purpose registry, without what is globally reachable.
fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    let special = address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_documentation()
        || address.is_multicast()
        || a == 0
        || a >= 240
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        || (a == 192 && b == 88 && c == 99)
        || (a == 198 && (b == 18 || b == 19));
    !special
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    let [a, b, ..] = segments;
    let embedded = |high: u16, low: u16| {
        let [[a, b], [c, d]] = [high.to_be_bytes(), low.to_be_bytes()];
        is_public_v4(Ipv4Addr::new(a, b, c, d))
    };
    match (a, b) {
        // NAT64 (RFC 6052) and 6to4 (RFC 3056) lead to the IPv4 address that they embed.
        (0x64, 0xff9b) => {
            let [_, _, zeros @ .., high, low] = segments;
            zeros == [0; 4] && embedded(high, low)
        }
        (0x2002, _) => embedded(b, segments[2]),
        // Teredo, benchmarking, ORCHID; documentation.
        (0x2001, 0..0x200 | 0xdb8) | (0x3fff, 0..0x1000) => false,
        // Unspecified, loopback, IPv4-compatible, discard and everything else outside of the one
        // block that is given out as global unicast; multicast and local addresses among them.
        _ => (a & 0xe000) == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_addresses_are_not_public() {
        for address in [
            "127.0.0.1",
            "10.1.2.3",
            "172.16.0.1",
            "192.168.1.1",
            "169.254.169.254",
            "0.0.0.0",
            "0.1.2.3",
            "100.64.0.1",
            "192.0.0.8",
            "198.18.0.1",
            "224.0.0.1",
            "240.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::ffff:10.0.0.1",
            "::ffff:127.0.0.1",
            "::127.0.0.1",
            "fd00::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "64:ff9b::a00:1",
            "64:ff9b:1::a00:1",
            "2002:a00:1::",
            "2002:7f00:1::1",
            "2001:0:4136:e378:8000:63bf:3fff:fdd2",
            "2001:db8::1",
            "100::1",
        ] {
            let parsed = address.parse().unwrap();
            assert!(AddressPolicy::Public.refusal(parsed).is_some(), "{address}");
            assert!(AddressPolicy::Any.refusal(parsed).is_none(), "{address}");
        }
    }

    #[test]
    fn public_addresses_are() {
        for address in [
            "1.1.1.1",
            "8.8.8.8",
            "100.128.0.1",
            "172.32.0.1",
            "2606:4700::1111",
            "2001:4860:4860::8888",
            "::ffff:1.1.1.1",
            "64:ff9b::101:101",
        ] {
            let parsed = address.parse().unwrap();
            assert_eq!(AddressPolicy::Public.refusal(parsed), None, "{address}");
        }
    }

    #[test]
    fn loopback_is_told_apart() {
        let loopback = ["127.0.0.1", "::1", "::ffff:127.0.0.1"].map(|text| text.parse().unwrap());
        for address in loopback {
            assert_eq!(AddressPolicy::Loopback.refusal(address), None);
            assert_eq!(AddressPolicy::PublicOrLoopback.refusal(address), None);
        }
        let private = "10.0.0.1".parse().unwrap();
        assert!(AddressPolicy::PublicOrLoopback.refusal(private).is_some());
        let public = "1.1.1.1".parse().unwrap();
        assert!(AddressPolicy::Loopback.refusal(public).is_some());
    }
}
