//! The compact form of a JWS (RFC 7515 §7.1), read strictly.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

/// No token longer than this many bytes is looked at.
pub(crate) const MAX_BYTES: usize = 8 * 1024;

/// The three segments of a token whose form, and nothing else, has been checked.
pub(crate) struct Unverified<'a> {
    /// The decoded header.
    pub(crate) header: Vec<u8>,
    /// The decoded payload.
    pub(crate) payload: Vec<u8>,
    /// `header.payload` as it came: what the signature covers.
    pub(crate) signed: &'a [u8],
    /// The signature, still in base64url.
    pub(crate) signature: &'a str,
}

/// The header of every token of ours: these members and no others. Keys and certificates in it (`jwk`, `jku`, `x5u`, `x5c`),
/// extensions (`crit`, `b64`) and encryption (`enc`, `zip`, `cty`) are thereby refused (RFC 8725 §3.10).
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Header {
    pub(crate) alg: String,
    pub(crate) typ: String,
    pub(crate) kid: String,
}

/// Splits a token into exactly three non-empty segments of canonical, unpadded base64url.
///
/// Returns `None` for anything else: five parts (a JWE), the JSON serialisation, padding, white space, stray trailing
/// bits (RFC 4648 §3.5), or more than [`MAX_BYTES`].
pub(crate) fn split(token: &str) -> Option<Unverified<'_>> {
    if token.len() > MAX_BYTES {
        return None;
    }
    let (signed, signature) = token.rsplit_once('.')?;
    let (header, payload) = signed.split_once('.')?;
    let decode = |segment: &str| URL_SAFE_NO_PAD.decode(segment).ok().filter(|bytes| !bytes.is_empty());
    decode(signature)?;
    Some(Unverified {
        header: decode(header)?,
        payload: decode(payload)?,
        signed: signed.as_bytes(),
        signature,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn three_canonical_segments_are_split() {
        let token = split("e30.e30.AAAA").unwrap();
        assert_eq!((&token.header[..], &token.payload[..]), (&b"{}"[..], &b"{}"[..]));
        assert_eq!((token.signed, token.signature), (&b"e30.e30"[..], "AAAA"));
    }

    #[test]
    fn every_other_form_is_refused() {
        for hostile in [
            "",
            "..",
            "e30.e30",
            "e30.e30.",
            ".e30.AAAA",
            "e30..AAAA",
            "e30.e30.AAAA.AAAA",
            "a.b.c.d.e",
            "e30=.e30.AAAA",
            "e30.e30.AA==",
            " e30.e30.AAAA",
            "e30.e30.AAAA\n",
            "e30.e30.AA+A",
            "e30.e30.AA/A",
            "e31.e30.AAAA",
            "e30.e3?0.AAAA",
            r#"{"payload":"e30"}"#,
        ] {
            assert!(split(hostile).is_none(), "{hostile}");
        }
        assert!(split(&format!("e30.{}.AAAA", "e30e".repeat(4_000))).is_none());
    }
}
