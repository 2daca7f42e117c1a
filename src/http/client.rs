//! Who is calling: the address, and the names that a client gives itself.

use std::net::{IpAddr, SocketAddr};

use actix_web::http::header::{HeaderMap, HeaderName, HeaderValue};
use ipnet::{IpNet, Ipv4Net};

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
/// The longest `User-Agent` that is kept, in bytes.
const MAX_USER_AGENT_BYTES: usize = 512;
/// The longest device name that is kept, in bytes.
const MAX_DEVICE_NAME_BYTES: usize = 256;

/// The networks of the proxies in front of the service, whose `X-Forwarded-For` is believed. Defaults to none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrustedProxies(Vec<IpNet>);

/// An entry of a list of proxies that is neither an address nor a network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is neither an IP address nor a network; write it like 10.0.0.0/8, 127.0.0.1 or fd00::/8")]
pub struct InvalidProxy(String);

/// The address of a client: the peer of the connection or, behind trusted proxies, what the first of them saw. An
/// IPv4-mapped IPv6 address (RFC 4291 §2.5.5.2) counts as the IPv4 address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct ClientAddress(IpAddr);

impl TrustedProxies {
    /// Reads a comma-separated list of addresses and networks in CIDR notation (RFC 4632). An empty list trusts nobody.
    ///
    /// # Errors
    ///
    /// [`InvalidProxy`] names the first entry that is neither.
    pub fn parse(list: &str) -> Result<Self, InvalidProxy> {
        let entries = list.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        entries
            .map(|entry| parse_network(entry).ok_or_else(|| InvalidProxy(entry.to_owned())))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    pub(crate) fn contains(&self, address: IpAddr) -> bool {
        self.0.iter().any(|network| network.contains(&address))
    }
}

impl ClientAddress {
    /// The address behind a request from `peer`, the other end of the socket; `None` if that is unknown, as on a Unix socket.
    ///
    /// While the address found so far is a trusted proxy, the next one is read from the right of `X-Forwarded-For`, over all
    /// headers of that name. Something that is no address ends the walk, since whoever wrote it can have written everything
    /// left of it. `Forwarded` (RFC 7239) is not read: a proxy that does not know it passes on what the client sent.
    pub(crate) fn of(
        peer: Option<SocketAddr>,
        headers: &HeaderMap,
        proxies: &TrustedProxies,
    ) -> Option<Self> {
        let mut address = peer?.ip().to_canonical();
        let headers: Vec<&HeaderValue> = headers.get_all(X_FORWARDED_FOR).collect();
        let mut hops = headers.iter().rev().flat_map(|header| header.as_bytes().rsplit(|&byte| byte == b','));
        while proxies.contains(address) {
            match hops.next().and_then(parse_hop) {
                Some(hop) => address = hop,
                None => break,
            }
        }
        Some(Self(address))
    }
}

impl ClientAddress {
    /// The plain address.
    pub(crate) fn ip(self) -> IpAddr {
        self.0
    }
}

/// A `User-Agent` header as it may be stored and shown: one line of text, at most 512 bytes. `None` if nothing is left.
pub(crate) fn clean_user_agent(header: &[u8]) -> Option<String> {
    clean(&String::from_utf8_lossy(header), MAX_USER_AGENT_BYTES)
}

/// A device name that a client chose, as it may be stored and shown: one line of text, at most 256 bytes. `None` if nothing
/// is left.
pub(crate) fn clean_device_name(name: &str) -> Option<String> {
    clean(name, MAX_DEVICE_NAME_BYTES)
}

fn clean(text: &str, max_bytes: usize) -> Option<String> {
    let mut cleaned: String = text.chars().filter(|&c| !c.is_control() && !rearranges_text(c)).collect();
    cleaned.truncate(cleaned.floor_char_boundary(max_bytes));
    let trimmed = cleaned.trim();
    (!trimmed.is_empty()).then(|| trimmed.to_owned())
}

/// Line and paragraph separators and the marks of the bidirectional algorithm (UAX #9), with which one name can be made to
/// look like another in a list of sessions.
fn rearranges_text(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// An address or a network; one of IPv4-mapped IPv6 becomes the IPv4 it stands for, like the addresses it is compared with.
fn parse_network(entry: &str) -> Option<IpNet> {
    if let Ok(address) = entry.parse::<IpAddr>() {
        return Some(address.to_canonical().into());
    }
    let network = entry.parse::<IpNet>().ok()?;
    match (network.addr().to_canonical(), network) {
        (IpAddr::V4(address), IpNet::V6(mapped)) => {
            let prefix = mapped.prefix_len().checked_sub(96)?;
            Ipv4Net::new(address, prefix).ok().map(IpNet::V4)
        }
        _ => Some(network),
    }
}

/// One hop: an address, perhaps with the port that some proxies add.
fn parse_hop(hop: &[u8]) -> Option<IpAddr> {
    let hop = std::str::from_utf8(hop).ok()?.trim_matches([' ', '\t']);
    let address = hop.parse::<IpAddr>().or_else(|_| hop.parse::<SocketAddr>().map(|socket| socket.ip()));
    address.ok().map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn client(peer: &str, forwarded: &[&str], proxies: &str) -> String {
        let mut headers = HeaderMap::new();
        for value in forwarded {
            headers.append(X_FORWARDED_FOR, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        headers.append(HeaderName::from_static("forwarded"), HeaderValue::from_static("for=6.6.6.6"));
        headers.append(HeaderName::from_static("x-real-ip"), HeaderValue::from_static("6.6.6.6"));
        let peer = SocketAddr::new(peer.parse().unwrap(), 40_000);
        ClientAddress::of(Some(peer), &headers, &TrustedProxies::parse(proxies).unwrap())
            .unwrap()
            .ip()
            .to_string()
    }

    #[test]
    fn an_untrusted_peer_is_the_client_whatever_it_says() {
        for proxies in ["", "10.0.0.0/8", "fd00::/8"] {
            assert_eq!(client("203.0.113.9", &["1.1.1.1"], proxies), "203.0.113.9");
        }
        assert_eq!(client("10.0.0.1", &["1.1.1.1"], ""), "10.0.0.1");
    }

    #[test]
    fn behind_trusted_proxies_the_rightmost_untrusted_hop_is_the_client() {
        for (forwarded, expected) in [
            (&["203.0.113.9"][..], "203.0.113.9"),
            (&["1.1.1.1, 203.0.113.9"], "203.0.113.9"),
            (&["1.1.1.1, 203.0.113.9, 10.0.0.2"], "203.0.113.9"),
            (&["1.1.1.1,203.0.113.9 ,\t10.0.0.2,10.1.2.3"], "203.0.113.9"),
            (&["1.1.1.1", "203.0.113.9, 10.0.0.2"], "203.0.113.9"),
            (&["203.0.113.9", "10.0.0.2"], "203.0.113.9"),
            (&["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
            (&["2001:db8::7"], "2001:db8::7"),
            (&["[2001:db8::7]:4711"], "2001:db8::7"),
            (&["203.0.113.9:4711"], "203.0.113.9"),
            (&["::ffff:203.0.113.9"], "203.0.113.9"),
            (&["203.0.113.9, ::ffff:10.0.0.2"], "203.0.113.9"),
            (&[], "10.0.0.1"),
        ] {
            assert_eq!(client("10.0.0.1", forwarded, "10.0.0.0/8"), expected, "{forwarded:?}");
            assert_eq!(client("::ffff:10.0.0.1", forwarded, "10.0.0.0/8"), expected, "{forwarded:?}");
        }
    }

    #[test]
    fn rubbish_ends_the_walk_at_the_last_good_hop() {
        for (forwarded, expected) in [
            (&["203.0.113.9, unknown"][..], "10.0.0.1"),
            (&["203.0.113.9, unknown, 10.0.0.2"], "10.0.0.2"),
            (&["203.0.113.9, , 10.0.0.2"], "10.0.0.2"),
            (&["203.0.113.9, 10.0.0.2,"], "10.0.0.1"),
            (&[""], "10.0.0.1"),
            (&["203.0.113.9", ""], "10.0.0.1"),
            (&["203.0.113.9, 10.0.0.2\u{a0}"], "10.0.0.1"),
            (&["203.0.113.9, 010.0.0.2"], "10.0.0.1"),
            (&["203.0.113.9, 10.0.0.2%eth0"], "10.0.0.1"),
            (&["203.0.113.9, \"10.0.0.2\""], "10.0.0.1"),
            (&["203.0.113.9, for=10.0.0.2"], "10.0.0.1"),
        ] {
            assert_eq!(client("10.0.0.1", forwarded, "10.0.0.0/8"), expected, "{forwarded:?}");
        }
    }

    #[test]
    fn without_a_peer_there_is_no_client() {
        let mut headers = HeaderMap::new();
        headers.append(X_FORWARDED_FOR, HeaderValue::from_static("203.0.113.9"));
        assert_eq!(ClientAddress::of(None, &headers, &TrustedProxies::parse("0.0.0.0/0").unwrap()), None);
    }

    #[test]
    fn proxies_are_addresses_and_networks() {
        let networks = |list: &str| {
            TrustedProxies::parse(list)
                .unwrap()
                .0
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert_eq!(networks(""), "");
        assert_eq!(networks(" , "), "");
        assert_eq!(
            networks("127.0.0.1, ::1,10.0.0.0/8 , fd00::/8"),
            "127.0.0.1/32 ::1/128 10.0.0.0/8 fd00::/8"
        );
        assert_eq!(networks("::ffff:10.0.0.1, ::ffff:10.0.0.0/104"), "10.0.0.1/32 10.0.0.0/8");
        for entry in
            ["localhost", "10.0.0.0/33", "10.0.0.0/", "10.0.0", "*", "::ffff:10.0.0.0/95", "10.0.0.1:80"]
        {
            assert_eq!(
                TrustedProxies::parse(&format!("127.0.0.1,{entry}")),
                Err(InvalidProxy(entry.to_owned()))
            );
        }
    }

    #[test]
    fn names_are_one_line_of_bounded_length() {
        for (name, expected) in [
            ("Anna's phone", Some("Anna's phone")),
            ("  Telefon f\u{fc}r \u{1f4f1} ", Some("Telefon f\u{fc}r \u{1f4f1}")),
            ("a\r\nb\0c\u{1b}[31md\u{7f}\u{85}e", Some("abc[31mde")),
            ("a\u{2028}b\u{202e}c\u{2066}d\u{200f}e", Some("abcde")),
            ("\u{1f468}\u{200d}\u{1f4bb}", Some("\u{1f468}\u{200d}\u{1f4bb}")),
            ("", None),
            (" \t\n ", None),
            ("\u{202e}", None),
        ] {
            assert_eq!(clean_device_name(name).as_deref(), expected, "{name:?}");
        }
        assert_eq!(
            clean_user_agent(b"Mozilla/5.0 \xff\n(X11)").as_deref(),
            Some("Mozilla/5.0 \u{fffd}(X11)")
        );
        assert_eq!(clean_user_agent(&[b'a'; 600]).map(|agent| agent.len()), Some(512));
        assert_eq!(clean_device_name(&"\u{1f4f1}".repeat(100)).map(|name| name.len()), Some(256));
        assert_eq!(clean_device_name(&"\u{20ac}".repeat(100)).map(|name| name.len()), Some(255));
    }

    proptest! {
        #[test]
        fn what_is_kept_is_clean_and_bounded(bytes in prop::collection::vec(any::<u8>(), 0..700)) {
            if let Some(kept) = clean_user_agent(&bytes) {
                prop_assert!(kept.len() <= MAX_USER_AGENT_BYTES && !kept.chars().any(char::is_control));
                prop_assert_eq!(clean_user_agent(kept.as_bytes()), Some(kept.clone()));
            }
        }

        #[test]
        fn what_a_client_adds_on_the_left_changes_nothing(lies in "[0-9a-z., :]{0,40}") {
            let honest = client("10.0.0.1", &["203.0.113.9, 10.0.0.2"], "10.0.0.0/8");
            prop_assert_eq!(client("10.0.0.1", &[&format!("{lies},203.0.113.9, 10.0.0.2")], "10.0.0.0/8"), honest.clone());
            prop_assert_eq!(client("10.0.0.1", &[&lies, "203.0.113.9, 10.0.0.2"], "10.0.0.0/8"), honest);
        }
    }
}
