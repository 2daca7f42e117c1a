//! The same tokens, decoded by `jsonwebtoken` alone.

use actix_authflow::Claims;
use actix_authflow::testing::internals::{AUDIENCE, ISSUER, Tokens};
use jsonwebtoken::{Algorithm, DecodingKey, Validation};

pub(crate) struct BareJwt {
    key: DecodingKey,
    validation: Validation,
}

impl BareJwt {
    /// Set up as its documentation advises: one algorithm, and issuer, audience and expiry checked.
    pub(crate) fn new(tokens: &Tokens) -> Self {
        let algorithm: Algorithm = tokens.algorithm().as_str().parse().unwrap();
        let mut validation = Validation::new(algorithm);
        validation.set_issuer(&[ISSUER]);
        validation.set_audience(&[AUDIENCE]);
        Self { key: tokens.decoding_key(), validation }
    }

    /// Into the same type, so that the difference is in the checks.
    pub(crate) fn decode(&self, token: &str) -> jsonwebtoken::errors::Result<Claims> {
        jsonwebtoken::decode(token, &self.key, &self.validation).map(|decoded| decoded.claims)
    }
}
