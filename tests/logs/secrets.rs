//! What must not be found in a log, in every way in which it could stand there.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};

/// What must not be found.
#[derive(Default)]
pub(crate) struct Secrets(pub(crate) Vec<String>);

impl Secrets {
    pub(crate) fn add(&mut self, secret: &str) {
        self.0.push(secret.to_owned());
    }

    /// A token, its signature alone, and the random bytes of a refresh token in every way in which bytes are printed.
    pub(crate) fn add_token(&mut self, token: &str) {
        self.add(token);
        if let Some((_, signature)) = token.rsplit_once('.') {
            self.add(signature);
        }
        let Some(bytes) = token.strip_prefix("rt_").and_then(|text| URL_SAFE_NO_PAD.decode(text).ok()) else {
            return;
        };
        let secret = bytes.get(21..53).unwrap_or(&bytes);
        self.add(&secret.iter().map(|byte| format!("{byte:02x}")).collect::<String>());
        self.add(&secret.iter().map(|byte| format!("{byte:02X}")).collect::<String>());
        self.add(&secret.iter().map(u8::to_string).collect::<Vec<_>>().join(", "));
        // In base64 the middle of it has two neighbours less to be right about.
        self.add(&STANDARD.encode(secret)[4..36]);
    }

    pub(crate) fn found_in(&self, text: &str) -> Vec<&str> {
        self.0.iter().map(String::as_str).filter(|secret| text.contains(secret)).collect()
    }
}
