//! JSON read strictly: one object, no member named twice at any depth, no NUL in a string.
//!
//! `serde_json` keeps the last of two equal members and takes an array where a struct is wanted. Both let two readers
//! of one document disagree about it (RFC 8725 §3.7), so a document is checked here before it is read into a type.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt;

use serde::de::{self, DeserializeOwned, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};

/// The document is not JSON, not an object, or not strict. Says nothing of its content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a strict JSON object")]
pub(crate) struct NotStrict;

/// Reads `bytes`, which must hold exactly one strict JSON object, into `T`.
pub(crate) fn from_slice<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, NotStrict> {
    check(bytes)?;
    serde_json::from_slice(bytes).map_err(|_| NotStrict)
}

fn check(bytes: &[u8]) -> Result<(), NotStrict> {
    let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
    if first != Some(&b'{') {
        return Err(NotStrict);
    }
    let mut document = serde_json::Deserializer::from_slice(bytes);
    Strict.deserialize(&mut document).map_err(|_| NotStrict)?;
    document.end().map_err(|_| NotStrict)
}

/// Visits a whole document and keeps nothing of it.
#[derive(Clone, Copy)]
struct Strict;

impl<'de> DeserializeSeed<'de> for Strict {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Strict {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("strict JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<(), E> {
        if text.contains('\0') { Err(E::custom("NUL")) } else { Ok(()) }
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<(), A::Error> {
        while items.next_element_seed(Strict)?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<(), A::Error> {
        let mut seen = HashSet::new();
        while let Some(name) = members.next_key::<Cow<'de, str>>()? {
            self.visit_str(&name)?;
            if !seen.insert(name) {
                return Err(de::Error::custom("duplicate member"));
            }
            members.next_value_seed(Strict)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn a_plain_object_is_read() {
        let value: Value = from_slice(br#" {"a": [1, -2, 2.5, null, true, {"b": "c"}]} "#).unwrap();
        assert_eq!(value["a"][5]["b"], "c");
    }

    #[test]
    fn what_two_readers_could_disagree_about_is_refused() {
        for hostile in [
            r#"{"a":1,"a":2}"#,
            r#"{"a":1,"\u0061":2}"#,
            r#"{"a":{"b":1,"b":2}}"#,
            r#"{"a":[{"b":1,"b":2}]}"#,
            r#"{"a":"x\u0000y"}"#,
            r#"{"a\u0000":1}"#,
            r#"{"a":1}{"a":2}"#,
            r#"{"a":1} trailing"#,
            r#"["a"]"#,
            r#""a""#,
            "1",
            "null",
            "",
            "{",
            "\u{feff}{}",
        ] {
            assert_eq!(from_slice::<Value>(hostile.as_bytes()), Err(NotStrict), "{hostile}");
        }
        assert_eq!(from_slice::<Value>(b"{\"a\":\"\xff\"}"), Err(NotStrict));
    }

    #[test]
    fn deep_nesting_is_refused_and_not_a_stack_overflow() {
        let deep = format!("{{\"a\":{}1{}}}", "[".repeat(5_000), "]".repeat(5_000));
        assert_eq!(from_slice::<Value>(deep.as_bytes()), Err(NotStrict));
    }
}
