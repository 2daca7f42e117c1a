//! `json_web_signature_test.json`: whole tokens in the compact form.

use aws_lc_rs::hmac;

use super::*;

/// The cases that are not taken as labelled, and why.
const EXCEPTIONS: [(u64, Verdict, &str); 4] = [
    (
        367,
        Verdict::Skip,
        "labelled invalid for its padding, which was lost: byte for byte the valid case 357",
    ),
    (370, Verdict::Skip, "the same"),
    (372, Verdict::Refuse, "labelled valid with a `?` in the header: not base64url (RFC 7515 §2)"),
    (373, Verdict::Refuse, "labelled valid with a `?` in the payload: not base64url (RFC 7515 §2)"),
];

#[derive(Clone, Copy, PartialEq)]
enum Verdict {
    Skip,
    Refuse,
}

#[test]
fn tokens_are_accepted_and_refused_as_labelled() {
    let Some(groups) = groups("json_web_signature_test.json") else { return };
    let mut tally = Tally::default();
    for group in &groups {
        match algorithm(group) {
            Some(algorithm) => compare(group, algorithm, &mut tally),
            None => refuse_the_key(group, &mut tally),
        }
    }
    tally.assert(&[
        ("HS256", 36),
        ("ES256", 39),
        ("ES256, key for another use", 2),
        ("refused where labelled valid", 2),
        ("left out", 2),
        ("key of an algorithm not spoken", 320),
    ]);
}

#[test]
fn the_cases_left_out_are_copies_of_a_valid_one() {
    let Some(groups) = groups("json_web_signature_test.json") else { return };
    let all: HashMap<u64, String> =
        groups.iter().flat_map(cases).map(|(id, case)| (id, wire(&case["jws"]))).collect();
    for (id, verdict, why) in EXCEPTIONS {
        assert_eq!(all[&id] == all[&357], verdict == Verdict::Skip, "{id}: {why}");
    }
}

/// What is lost in cases 367 and 370: padding, under a signature that covers it.
#[test]
fn padding_is_refused() {
    let Some(groups) = groups("json_web_signature_test.json") else { return };
    let group = groups.iter().find(|group| group["comment"] == "base64").unwrap();
    let set = load(group).unwrap();
    let secret = URL_SAFE_NO_PAD.decode(group["private"]["k"].as_str().unwrap()).unwrap();
    let sign = |signed: &str| {
        let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, &secret), signed.as_bytes());
        format!("{signed}.{}", URL_SAFE_NO_PAD.encode(tag))
    };
    let accepts = |token: &str| verifies(set.find("hs256-key").unwrap(), token);
    // Padded to whole groups of four.
    let (header, payload) = ("eyJhbGciOiJIUzI1NiIgIH0", "VGVzdA");
    assert!(accepts(&sign(&format!("{header}.{payload}"))));
    assert!(!accepts(&sign(&format!("{header}=.{payload}"))));
    assert!(!accepts(&sign(&format!("{header}.{payload}=="))));
    assert!(!accepts(&format!("{}=", sign(&format!("{header}.{payload}")))));
}

/// The algorithm of a group, if it is one of ours.
fn algorithm(group: &Value) -> Option<&'static str> {
    let key = group.get("public").unwrap_or(&group["private"]);
    let named = key["alg"].as_str();
    match (named, key["crv"].as_str()) {
        (Some("HS256"), _) => Some("HS256"),
        (Some("ES256"), _) => Some("ES256"),
        (None, Some("P-256")) => Some("ES256, key for another use"),
        _ => None,
    }
}

fn compare(group: &Value, algorithm: &'static str, tally: &mut Tally) {
    let set = load(group);
    for (id, case) in cases(group) {
        let exception = EXCEPTIONS.iter().find(|exception| exception.0 == id);
        let (expected, what) = match exception {
            Some((_, Verdict::Skip, _)) => {
                tally.count("left out");
                continue;
            }
            Some((_, Verdict::Refuse, _)) => (false, "refused where labelled valid"),
            None => (is_valid(case), algorithm),
        };
        let key = set.as_ref().ok().and_then(|set| set.by_kid.values().next());
        let accepted = key.is_some_and(|key| verifies(key, &wire(&case["jws"])));
        assert_eq!(accepted, expected, "{id}: {}", case["comment"]);
        tally.count(what);
    }
}

/// RSA and P-521 keys, valid tokens or not: their algorithms are not on the allow-list.
fn refuse_the_key(group: &Value, tally: &mut Tally) {
    assert!(load(group).is_err(), "{}", group["comment"]);
    cases(group).for_each(|_| tally.count("key of an algorithm not spoken"));
}
