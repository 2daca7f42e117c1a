//! Signatures without a token around them: Ed25519, ECDSA on P-256 as `r ‖ s`, HMAC-SHA-256.

use super::*;
use crate::domain::keys::PublicKey;

#[test]
fn ed25519_signatures_are_as_labelled() {
    let Some(groups) = groups("ed25519_test.json") else { return };
    let mut tally = Tally::default();
    for group in &groups {
        let key = VerifyingKey::ed25519(&hex(&group["publicKey"]["pk"])).unwrap();
        compare(group, &[key, from_pem(group)], published(group, "EdDSA").as_ref(), &mut tally);
    }
    tally.assert(&[("valid", 88), ("invalid", 63), ("with the published key too", 151)]);
}

#[test]
fn p256_signatures_are_as_labelled() {
    let Some(groups) = groups("ecdsa_secp256r1_sha256_p1363_test.json") else { return };
    let mut tally = Tally::default();
    for group in &groups {
        let key = VerifyingKey::p256(&hex(&group["publicKey"]["uncompressed"])).unwrap();
        compare(group, &[key, from_pem(group)], published(group, "ES256").as_ref(), &mut tally);
    }
    tally.assert(&[("valid", 173), ("invalid", 89), ("with the published key too", 252)]);
}

/// The primitive, with short keys too, which no secret that is taken leads to.
#[test]
fn macs_are_as_labelled_and_never_truncated() {
    let Some(groups) = groups("hmac_sha256_test.json") else { return };
    let mut tally = Tally::default();
    for group in &groups {
        let whole = group["tagSize"] == 256;
        for (id, case) in cases(group) {
            let key = VerifyingKey::hmac("kid".into(), &hex(&case["key"]));
            let accepted = verifies_raw(&key, &case["msg"], &case["tag"]);
            assert_eq!(accepted, whole && is_valid(case), "{id}: {}", case["comment"]);
            tally.count(if !whole { "truncated" } else { label(case) });
        }
    }
    tally.assert(&[("valid", 33), ("invalid", 54), ("truncated", 87)]);
}

fn from_pem(group: &Value) -> VerifyingKey {
    PublicKey::from_pem(group["publicKeyPem"].as_str().unwrap()).unwrap().into_verifying()
}

/// The key as somebody else would publish it, where the group has that form. It names no `alg`, which this crate demands.
fn published(group: &Value, algorithm: &str) -> Option<VerifyingKey> {
    let mut jwk = group.get("publicKeyJwk")?.clone();
    jwk["alg"] = algorithm.into();
    let set = KeySet::from_jwks(json!({ "keys": [jwk] }).to_string().as_bytes()).unwrap();
    set.find("none").cloned()
}

fn compare(group: &Value, keys: &[VerifyingKey], published: Option<&VerifyingKey>, tally: &mut Tally) {
    for (id, case) in cases(group) {
        for key in keys.iter().chain(published) {
            let accepted = verifies_raw(key, &case["msg"], &case["sig"]);
            assert_eq!(accepted, is_valid(case), "{id}: {}", case["comment"]);
        }
        tally.count(label(case));
        published.iter().for_each(|_| tally.count("with the published key too"));
    }
}

fn verifies_raw(key: &VerifyingKey, message: &Value, signature: &Value) -> bool {
    key.verify(&hex(message), &URL_SAFE_NO_PAD.encode(hex(signature)))
}

fn label(case: &Value) -> &'static str {
    if is_valid(case) { "valid" } else { "invalid" }
}
