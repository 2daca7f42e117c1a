//! The signature layer against the vectors of the project Wycheproof (<https://github.com/C2SP/wycheproof>, `testvectors_v1`).
//!
//! The vectors are not part of this repository. Their folder is named by `WYCHEPROOF_DIR`; without it these tests
//! only say so. Each test asserts how many cases it ran, so that none can pass by having run nothing.
//!
//! Their payloads are no claims and their headers have no `typ`, so an access token is none of them. What is compared is
//! what lies below: the compact form, the strict header, the pinned algorithm, the signature, and the loading of keys.
#![cfg(feature = "issuer")]

mod crypto;
mod jwk;
mod jws;
mod raw;

use std::collections::HashMap;
use std::path::PathBuf;

use base64::Engine as _;
use base64::alphabet::URL_SAFE;
use base64::engine::general_purpose::{GeneralPurpose, NO_PAD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::{KeyError, KeySet, VerifyingKey};
use crate::domain::secret::ServerSecret;
use crate::domain::{compact, json};

const VARIABLE: &str = "WYCHEPROOF_DIR";

/// For the vectors' secrets only: one ends in stray bits, and is not meant to fail for that.
const LENIENT: GeneralPurpose = GeneralPurpose::new(&URL_SAFE, NO_PAD.with_decode_allow_trailing_bits(true));

/// The groups of a file, or nothing where the vectors are not at hand.
fn groups(file: &str) -> Option<Vec<Value>> {
    let Some(folder) = std::env::var_os(VARIABLE).filter(|folder| !folder.is_empty()) else {
        eprintln!("left out: {VARIABLE} does not name a folder with {file}");
        return None;
    };
    let path = PathBuf::from(folder).join(file);
    let text = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let Value::Array(groups) = serde_json::from_slice::<Value>(&text).unwrap()["testGroups"].take() else {
        panic!("{}: no testGroups", path.display())
    };
    Some(groups)
}

/// A case of a file, with its identifier for messages.
fn cases(group: &Value) -> impl Iterator<Item = (u64, &Value)> {
    group["tests"].as_array().unwrap().iter().map(|case| (case["tcId"].as_u64().unwrap(), case))
}

fn is_valid(case: &Value) -> bool {
    match case["result"].as_str().unwrap() {
        "valid" => true,
        "invalid" => false,
        other => panic!("{other}"),
    }
}

/// A token as it would come over the wire. Some are given in the JSON serialisation.
fn wire(token: &Value) -> String {
    token.as_str().map_or_else(|| token.to_string(), str::to_owned)
}

fn hex(digits: &Value) -> Vec<u8> {
    let digits = digits.as_str().unwrap();
    (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect()
}

/// The verifier of access tokens without what only an access token has: `typ`, `kid`, the closed list of header members,
/// and claims.
fn verifies(key: &VerifyingKey, token: &str) -> bool {
    let Some(token) = compact::split(token) else { return false };
    let Ok(header) = json::from_slice::<Value>(&token.header) else { return false };
    header["alg"] == key.algorithm().as_str() && key.verify(token.signed, token.signature)
}

/// The keys of a group: one, or a set of them.
fn load(group: &Value) -> Result<KeySet, KeyError> {
    let given = group.get("public").unwrap_or(&group["private"]);
    let set = if given.get("keys").is_some() { given.clone() } else { json!({ "keys": [given] }) };
    match set["keys"].as_array().unwrap().iter().map(hmac).collect::<Option<Vec<_>>>() {
        Some(keys) => {
            assert!(KeySet::from_jwks(set.to_string().as_bytes()).is_err(), "an HMAC key in a JWKS");
            KeySet::new(keys)
        }
        None => KeySet::from_jwks(set.to_string().as_bytes()),
    }
}

/// An HMAC key. This crate reads none from a JWK: they follow from the server's secret, which decides about the length.
fn hmac(jwk: &Value) -> Option<VerifyingKey> {
    let secret = LENIENT.decode(jwk["k"].as_str()?).unwrap();
    let is_ours = jwk["kty"] == "oct" && jwk["alg"] == "HS256" && jwk["use"] == "sig";
    (is_ours && is_long_enough(&secret))
        .then(|| VerifyingKey::hmac(jwk["kid"].as_str().unwrap().to_owned(), &secret))
}

/// Whether a secret of this many bytes would be taken. Its randomness is not asked about: one of the vectors' keys is
/// all zeros.
fn is_long_enough(secret: &[u8]) -> bool {
    let random = "Zm9vYmFyLWJhei1xdXV4LTEyMzQ1Njc4OTAxMjM0NTY3ODkwYWJjZGVmZ2hpamtsbW5vcA";
    ServerSecret::new(&random[..secret.len()]).is_ok()
}

/// How many cases were run, by what became of them.
#[derive(Default)]
struct Tally(HashMap<&'static str, usize>);

impl Tally {
    fn count(&mut self, what: &'static str) {
        *self.0.entry(what).or_default() += 1;
    }

    #[track_caller]
    fn assert(self, expected: &[(&'static str, usize)]) {
        assert_eq!(self.0, expected.iter().copied().collect());
    }
}
