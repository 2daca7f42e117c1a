//! What can be read off a refresh token from outside: its place. The rest of it stays closed.

use std::ops::Range;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use uuid::Uuid;
use zeroize::Zeroizing;

const PREFIX: &str = "rt_";
const SESSION: Range<usize> = 1..17;
const GENERATION: Range<usize> = 17..21;

/// Where a token says that it belongs. Nothing has been verified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct UnverifiedPlace {
    pub(super) session: Uuid,
    pub(super) generation: u32,
}

impl UnverifiedPlace {
    /// Reads the first member of a `Cookie` or `Set-Cookie` header that has a refresh token as its value, and answers with
    /// it. By its form and not by its name, which can be configured.
    pub(super) fn find(header: &str) -> Option<(Self, &str)> {
        header.split(';').map(str::trim).find_map(|pair| Some((Self::read(pair.split_once('=')?.1)?, pair)))
    }

    fn read(token: &str) -> Option<Self> {
        let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(token.strip_prefix(PREFIX)?).ok()?);
        let session = Uuid::from_slice(bytes.get(SESSION)?).ok()?;
        let generation = u32::from_be_bytes(bytes.get(GENERATION)?.try_into().ok()?);
        Some(Self { session, generation })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_known_by_its_form_wherever_it_stands() {
        let session = Uuid::from_u128(7);
        let bytes = [&[1][..], session.as_bytes(), &5_u32.to_be_bytes(), &[0; 48]].concat();
        let token = format!("rt_{}", URL_SAFE_NO_PAD.encode(bytes));
        let place = UnverifiedPlace { session, generation: 5 };
        for (header, pair) in [
            (format!("__Host-Http-refresh_token={token}; Path=/; Secure"), "__Host-Http-refresh_token="),
            (format!("theme=dark; mine={token}"), "mine="),
        ] {
            assert_eq!(UnverifiedPlace::find(&header), Some((place, &*format!("{pair}{token}"))));
        }
        for header in ["", "theme=dark", "a=rt_", "a=rt_AAAA", "a=rt_!", "rt_", "refresh_token=; Max-Age=0"] {
            assert_eq!(UnverifiedPlace::find(header), None, "{header}");
        }
    }
}
