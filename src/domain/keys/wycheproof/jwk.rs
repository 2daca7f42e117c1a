//! `json_web_key_test.json`: key sets, good and bad, each with a token that its key has signed.

use super::*;

/// The cases that are refused although they are labelled valid: these algorithms are not spoken.
const NOT_SPOKEN: [(u64, &str); 3] = [(5, "RS256"), (14, "HS384"), (15, "HS512")];

#[test]
fn sets_are_accepted_and_refused_as_labelled() {
    let Some(groups) = groups("json_web_key_test.json") else { return };
    let mut tally = Tally::default();
    for group in &groups {
        let set = load(group);
        for (id, case) in cases(group) {
            let not_spoken = NOT_SPOKEN.iter().any(|exception| exception.0 == id);
            let accepted = set.as_ref().is_ok_and(|set| any_verifies(set, &wire(&case["jws"])));
            assert_eq!(accepted, is_valid(case) && !not_spoken, "{id}: {}", case["comment"]);
            // All but one of the refusals are refusals of the key: the token's signature is genuine.
            assert_eq!(set.is_ok(), accepted || id == 3, "{id}: {}", case["comment"]);
            tally.count(if not_spoken { "algorithm not spoken" } else { "as labelled" });
        }
    }
    tally.assert(&[("as labelled", 23), ("algorithm not spoken", 3)]);
}

#[test]
fn sets_are_refused_for_the_right_reason() {
    let Some(groups) = groups("json_web_key_test.json") else { return };
    let named = |comment: &str| groups.iter().find(|group| group["comment"] == comment).unwrap();
    assert!(matches!(load(named("jws_duplicate_kid")), Err(KeyError::DuplicateKeyId(_))));
    let unusable = |comment: &str| matches!(load(named(comment)), Err(KeyError::UnusableJwk(_)));
    for comment in
        ["wrong_algorithm", "invalid_algorithm", "invalid_use", "invalid_point", "wrong_curve", "wrong_kty"]
    {
        assert!(unusable(comment), "{comment}");
    }
}

/// Were HMAC keys read from a set, this one would still be refused.
#[test]
fn public_and_hmac_keys_do_not_stand_in_one_set() {
    let Some(groups) = groups("json_web_key_test.json") else { return };
    let mixed = &groups[0]["private"]["keys"];
    let ec = KeySet::from_jwks(json!({ "keys": [mixed[1]] }).to_string().as_bytes()).unwrap();
    let ec = ec.find("kid-ec-sign").unwrap().clone();
    assert!(matches!(KeySet::new([hmac(&mixed[0]).unwrap(), ec]), Err(KeyError::MixedSet)));
}

#[test]
fn short_secrets_are_refused() {
    let Some(groups) = groups("json_web_key_test.json") else { return };
    let mut refused = 0;
    for group in groups.iter().filter(|group| group["comment"] == "HS256") {
        let secret = URL_SAFE_NO_PAD.decode(group["private"]["keys"][0]["k"].as_str().unwrap()).unwrap();
        let taken = ServerSecret::new(String::from_utf8(secret.clone()).unwrap());
        assert_eq!(taken.is_ok(), is_valid(cases(group).next().unwrap().1), "{} bytes", secret.len());
        refused += usize::from(taken.is_err());
    }
    assert_eq!(refused, 2);
}

fn any_verifies(set: &KeySet, token: &str) -> bool {
    set.by_kid.values().any(|key| verifies(key, token))
}
