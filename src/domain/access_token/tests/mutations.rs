//! Genuine tokens with something changed: a bit, a byte, a stretch, the length.

use proptest::prelude::*;

use super::*;

const ALPHABET: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.=+/ \n";

#[test]
fn every_flipped_bit_is_noticed() {
    for algorithm in ALL {
        let world = World::new(algorithm);
        let good = world.good();
        for (index, bit) in (0..good.len()).flat_map(|index| (0..7).map(move |bit| (index, bit))) {
            let mut bytes = good.clone().into_bytes();
            bytes[index] ^= 1 << bit;
            let mutated = String::from_utf8(bytes).unwrap();
            let verdict = world.verify(&mutated, TimeCheck::Skipped).map(drop);
            assert_eq!(verdict, Err(TokenRefused::Invalid), "{algorithm:?}: bit {bit} of byte {index}");
        }
    }
}

/// The last character of a segment holds bits that belong to no byte: there are several spellings of one token, of which
/// one is accepted.
#[test]
fn every_segment_has_one_spelling() {
    for algorithm in ALL {
        let world = World::new(algorithm);
        let good = world.good();
        let segments: Vec<&str> = good.split('.').collect();
        for changed in 0..3 {
            let (kept, last) = segments[changed].split_at(segments[changed].len() - 1);
            for other in
                ALPHABET.iter().map(|byte| char::from(*byte).to_string()).filter(|other| other != last)
            {
                let mut segments = segments.clone();
                let spelling = format!("{kept}{other}");
                segments[changed] = &spelling;
                world.assert_invalid(&segments.join("."), &format!("{algorithm:?}: {last} became {other}"));
            }
        }
    }
}

#[test]
fn nothing_stands_around_a_token() {
    let world = World::new(SigningAlgorithm::EdDsa);
    let good = world.good();
    for (before, after) in [
        (" ", ""),
        ("", " "),
        ("", "\n"),
        ("\t", ""),
        ("", "="),
        ("", "=="),
        ("", "."),
        (".", ""),
        ("", ".e30"),
        ("\u{feff}", ""),
        ("", "\0"),
        ("Bearer ", ""),
        ("\"", "\""),
    ] {
        world.assert_invalid(&format!("{before}{good}{after}"), &format!("{before:?} {after:?}"));
    }
    let padded = good.split('.').map(|part| format!("{part}=")).collect::<Vec<_>>().join(".");
    world.assert_invalid(&padded, "padding");
    let (signed, signature) = good.rsplit_once('.').unwrap();
    let (header, payload) = signed.split_once('.').unwrap();
    let flattened = json!({ "protected": header, "payload": payload, "signature": signature }).to_string();
    world.assert_invalid(&flattened, "the JSON serialisation");
    let general =
        json!({ "payload": payload, "signatures": [{ "protected": header, "signature": signature }] });
    world.assert_invalid(&general.to_string(), "the general JSON serialisation");
    world.assert_invalid(&format!("{header}..{payload}.{signature}.AAAA"), "five parts");
    world.assert_invalid(&format!("{header}..{signature}"), "a detached payload");
}

#[test]
fn a_token_of_more_than_8_kib_is_not_looked_at() {
    let world = World::new(SigningAlgorithm::EdDsa);
    let sized = |bytes: usize| world.with_claims(&with(&claims(), "padding", "x".repeat(bytes).into()));
    let most = (5_000..8_000).take_while(|bytes| sized(*bytes).len() <= 8192).last().unwrap();
    assert!((8189..=8192).contains(&sized(most).len()));
    assert!(world.at(NOW, &sized(most)).is_ok());
    world.assert_invalid(&sized(most + 1), "a byte too much");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn every_other_stretch_is_noticed(
        algorithm in prop::sample::select(&ALL[..]),
        at in any::<prop::sample::Index>(),
        removed in 0..8_usize,
        inserted in prop::collection::vec(prop::sample::select(ALPHABET), 0..8),
    ) {
        let world = World::new(algorithm);
        let good = world.good();
        let start = at.index(good.len());
        let end = (start + removed).min(good.len());
        let inserted = String::from_utf8(inserted).unwrap();
        let mutated = format!("{}{inserted}{}", &good[..start], &good[end..]);
        prop_assume!(mutated != good);
        prop_assert_eq!(world.at(NOW, &mutated).map(drop), Err(TokenRefused::Invalid));
        prop_assert_eq!(world.verify(&mutated, TimeCheck::Skipped).map(drop), Err(TokenRefused::Invalid));
    }

    #[test]
    fn no_text_is_a_token_by_chance(text in "\\PC{0,60}(\\.[A-Za-z0-9_-]{0,40}){0,5}") {
        let world = World::new(SigningAlgorithm::EdDsa);
        prop_assert_eq!(world.at(NOW, &text).map(drop), Err(TokenRefused::Invalid));
    }
}
