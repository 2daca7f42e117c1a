//! Form, tag and derivation of refresh tokens.

use std::collections::HashSet;

use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE};
use proptest::prelude::*;

use super::*;

const SECRET: &str = "Zm9vYmFyLWJhei1xdXV4LTEyMzQ1Njc4OTA";
const OTHER_SECRET: &str = "b3RoZXItc2VjcmV0LWZvci10ZXN0cy0xMjM0NQ";
const NONCE: Nonce = Nonce([9; 16]);

fn secret(text: &str) -> ServerSecret {
    ServerSecret::new(text).unwrap()
}

fn keys() -> RefreshTokenKeys {
    RefreshTokenKeys::new(&secret(SECRET), None)
}

fn session(number: u128) -> SessionId {
    SessionId(Uuid::from_u128(number))
}

/// A token whose secret is known, as nobody but a test has it.
fn token(session_number: u128, generation: Generation, secret_byte: u8) -> RefreshToken {
    keys().current.seal(session(session_number), generation, &[secret_byte; 32])
}

fn bytes_of(token: &RefreshToken) -> Vec<u8> {
    token.0.to_vec()
}

fn spelled(bytes: &[u8]) -> String {
    format!("rt_{}", URL_SAFE_NO_PAD.encode(bytes))
}

#[test]
fn a_token_is_read_back_with_its_session_and_generation() {
    for generation in [0, 1, 1 << 20, u32::MAX] {
        let token = token(7, generation, 3);
        let text = token.expose();
        assert!(text.starts_with("rt_") && text.len() == 95, "{} bytes", text.len());
        let read = keys().parse(text.as_bytes()).unwrap();
        assert_eq!((read.session(), read.generation()), (session(7), generation));
        assert_eq!(read.digest(), token.digest());
        assert_eq!(*read.expose(), *text);
    }
}

#[test]
fn the_first_token_is_of_generation_0_and_its_secret_random() {
    let (one, other) = (keys().first(session(7)), keys().first(session(7)));
    assert_eq!((one.session(), one.generation()), (session(7), 0));
    assert_ne!(bytes_of(&one)[SECRET_BYTES], bytes_of(&other)[SECRET_BYTES]);
    assert_ne!(one.digest(), other.digest());
}

const SECRET_BYTES: std::ops::Range<usize> = super::SECRET;

#[test]
fn one_flipped_bit_anywhere_is_a_forgery() {
    let keys = keys();
    let good = bytes_of(&token(7, 3, 5));
    assert!(keys.parse(spelled(&good).as_bytes()).is_some());
    for bit in 0..good.len() * 8 {
        let mut forged = good.clone();
        forged[bit / 8] ^= 1 << (bit % 8);
        assert!(keys.parse(spelled(&forged).as_bytes()).is_none(), "bit {bit}");
    }
}

#[test]
fn a_genuine_tag_does_not_make_another_version_ours() {
    let keys = keys();
    let mut bytes = bytes_of(&token(7, 3, 5));
    for version in [0, 2, 255] {
        bytes[0] = version;
        let tag = hmac::sign(&keys.current.tag, &bytes[..TAG.start]);
        bytes[TAG].copy_from_slice(&tag.as_ref()[..TAG.len()]);
        assert!(keys.parse(spelled(&bytes).as_bytes()).is_none(), "{version}");
    }
}

#[test]
fn only_the_one_spelling_is_read() {
    let keys = keys();
    let bytes = bytes_of(&token(7, 3, 0xff));
    let text = spelled(&bytes);
    let body = &text[3..];
    let mut hostile = vec![
        String::new(),
        "rt_".into(),
        body.into(),
        format!("RT_{body}"),
        format!("Rt_{body}"),
        format!("rt-{body}"),
        format!("rt_rt_{body}"),
        format!(" {text}"),
        format!("{text} "),
        format!("{text}\n"),
        format!("\"{text}\""),
        format!("{text}="),
        format!("{text}=="),
        format!("{text}A"),
        format!("{text}AAAA"),
        format!("{text}.{text}"),
        format!("rt_{}", STANDARD_NO_PAD.encode(&bytes)),
        format!("rt_{}", URL_SAFE.encode([&bytes[..], &[0]].concat())),
        spelled(&bytes[..68]),
        spelled(&[&bytes[..], &[0]].concat()),
        spelled(&[&[0], &bytes[..]].concat()),
        format!("rt_{}", bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>()),
        format!("rt_{}", "A".repeat(1 << 20)),
        "eyJhbGciOiJFZERTQSJ9.e30.AAAA".into(),
    ];
    assert_ne!(hostile[16], text, "the two alphabets differ on this token");
    hostile.extend((0..text.len()).map(|length| text[..length].to_owned()));
    for text in hostile {
        assert!(keys.parse(text.as_bytes()).is_none(), "{}", &text[..text.len().min(120)]);
    }
    for byte in [0, b'%', b'+', b'/', 0x80, 0xff] {
        let mut hostile = text.clone().into_bytes();
        hostile[50] = byte;
        assert!(keys.parse(&hostile).is_none(), "byte {byte}");
    }
}

#[test]
fn a_successor_is_a_function_of_parent_and_nonce() {
    let (parent, keys) = (token(7, 3, 5), keys());
    let successor = keys.successor(&parent, &NONCE);
    assert_eq!((successor.session(), successor.generation()), (session(7), 4));
    assert_eq!(bytes_of(&keys.successor(&parent, &NONCE)), bytes_of(&successor));
    assert!(keys.parse(successor.expose().as_bytes()).is_some());
    let known = keys.known_successor(&parent, &NONCE, &successor.digest()).unwrap();
    assert_eq!(*known.expose(), *successor.expose());
}

/// Each input alone decides about the successor, so none can be left out by who wants to compute it.
#[test]
fn every_input_changes_the_successor() {
    let parent = token(7, 3, 5);
    let secret_of = |token: RefreshToken| bytes_of(&token)[SECRET_BYTES].to_vec();
    let successors = [
        secret_of(keys().successor(&parent, &NONCE)),
        secret_of(keys().successor(&parent, &Nonce([8; 16]))),
        secret_of(keys().successor(&token(8, 3, 5), &NONCE)),
        secret_of(keys().successor(&token(7, 4, 5), &NONCE)),
        secret_of(keys().successor(&token(7, 3, 6), &NONCE)),
        secret_of(RefreshTokenKeys::new(&secret(OTHER_SECRET), None).successor(&parent, &NONCE)),
        bytes_of(&parent)[SECRET_BYTES].to_vec(),
    ];
    let distinct: HashSet<_> = successors.iter().collect();
    assert_eq!(distinct.len(), successors.len());
}

#[test]
fn a_successor_of_another_nonce_or_parent_is_not_the_known_one() {
    let (parent, keys) = (token(7, 3, 5), keys());
    let digest = keys.successor(&parent, &NONCE).digest();
    assert!(keys.known_successor(&parent, &Nonce([8; 16]), &digest).is_none());
    assert!(keys.known_successor(&token(7, 3, 6), &NONCE, &digest).is_none());
    assert!(keys.known_successor(&parent, &NONCE, &parent.digest()).is_none());
}

#[test]
fn the_last_generation_has_no_overflow() {
    assert_eq!(keys().successor(&token(7, u32::MAX, 5), &NONCE).generation(), u32::MAX);
}

/// Old and new nodes serve side by side while a secret is changed, in both orders of the roll-out.
#[test]
fn tokens_of_the_other_accepted_secret_are_genuine() {
    let (old, new) = (secret(SECRET), secret(OTHER_SECRET));
    let only_old = RefreshTokenKeys::new(&old, None);
    let only_new = RefreshTokenKeys::new(&new, None);
    let old_then_new = RefreshTokenKeys::new(&old, Some(&new));
    let new_then_old = RefreshTokenKeys::new(&new, Some(&old));
    for makes in [&only_old, &only_new] {
        let text = makes.first(session(7)).expose();
        for reads in [&old_then_new, &new_then_old] {
            assert!(reads.parse(text.as_bytes()).is_some());
        }
    }
    assert!(only_new.parse(only_old.first(session(7)).expose().as_bytes()).is_none());
    assert!(only_old.parse(only_new.first(session(7)).expose().as_bytes()).is_none());

    let parent = only_old.first(session(7));
    for (makes, reads) in [(&old_then_new, &new_then_old), (&new_then_old, &old_then_new)] {
        let made = makes.successor(&parent, &NONCE);
        let known = reads.known_successor(&parent, &NONCE, &made.digest()).unwrap();
        assert_eq!(*known.expose(), *made.expose(), "a retry at the other node gets the identical token");
    }
    let made = old_then_new.successor(&parent, &NONCE);
    assert!(only_new.known_successor(&parent, &NONCE, &made.digest()).is_none());
    assert!(only_old.known_successor(&parent, &NONCE, &made.digest()).is_some(), "the first of two makes");
}

#[test]
fn debug_shows_neither_secret_nor_digest() {
    let token = token(7, 3, 0xab);
    let text = token.expose();
    for shown in [format!("{token:?}"), format!("{token:#?}"), format!("{:?}", token.digest())] {
        assert!(shown.contains("[REDACTED]"), "{shown}");
        assert!(
            !shown.contains(&text[30..60]) && !shown.contains("abab") && !shown.contains("171, 171"),
            "{shown}"
        );
    }
}

#[test]
fn the_digest_is_of_the_whole_token() {
    let distinct: HashSet<_> = [token(7, 3, 5), token(8, 3, 5), token(7, 4, 5), token(7, 3, 6)]
        .map(|token| token.digest().0)
        .into_iter()
        .collect();
    assert_eq!(distinct.len(), 4);
    let token = token(7, 3, 5);
    assert_eq!(token.digest().0, digest::digest(&digest::SHA256, &bytes_of(&token)).as_ref());
}

#[test]
fn no_two_of_100_000_tokens_share_a_secret() {
    let keys = keys();
    let secrets: HashSet<_> =
        (0..100_000).map(|_| bytes_of(&keys.first(session(7)))[SECRET_BYTES].to_vec()).collect();
    assert_eq!(secrets.len(), 100_000);
    assert_ne!(Nonce::random(), Nonce::random());
}

proptest! {
    #[test]
    fn nothing_is_genuine_by_chance(bytes in prop::collection::vec(any::<u8>(), 0..120)) {
        prop_assert!(keys().parse(&bytes).is_none());
        prop_assert!(keys().parse(spelled(&bytes).as_bytes()).is_none());
    }

    #[test]
    fn every_token_survives_the_journey(id in any::<u128>(), generation in any::<u32>(), secret in any::<u8>()) {
        let token = token(id, generation, secret);
        let read = keys().parse(token.expose().as_bytes()).unwrap();
        prop_assert_eq!(bytes_of(&read), bytes_of(&token));
    }
}
