//! `json_web_crypto_test.json`: the older file, with encrypted tokens.

use super::*;

#[test]
fn signed_tokens_are_as_labelled_and_encrypted_ones_refused() {
    let Some(groups) = groups("json_web_crypto_test.json") else { return };
    let mut tally = Tally::default();
    for group in &groups {
        let set = load(group);
        for (id, case) in cases(group) {
            if let Some(jwe) = case.get("jwe") {
                assert!(compact::split(&wire(jwe)).is_none(), "{id}: {}", case["comment"]);
                assert!(set.is_err(), "{id}: a key for encryption");
                tally.count("encrypted");
                continue;
            }
            let token = wire(&case["jws"]);
            let spoken = !group["comment"].as_str().unwrap().starts_with("jws_rsa");
            let accepted = set.as_ref().is_ok_and(|set| set.by_kid.values().any(|key| verifies(key, &token)));
            assert_eq!(accepted, spoken && is_valid(case), "{id}: {}", case["comment"]);
            tally.count(if spoken { "signed" } else { "RS256, not spoken" });
        }
    }
    tally.assert(&[("signed", 35), ("RS256, not spoken", 14), ("encrypted", 34)]);
}
