//! What an access token says: the claims of RFC 9068 §2.2, a session, and the host's own.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use crate::domain::clock::UnixSeconds;
use crate::domain::ids::{SessionId, UserId};

/// Times at or above this are refused: they are not exact in every JSON reader (RFC 8259 §6).
const MAX_TIME: u64 = 1 << 53;

/// The verified claims of an access token.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Claims {
    pub(crate) iss: String,
    pub(crate) aud: Audience,
    pub(crate) sub: UserId,
    pub(crate) client_id: String,
    pub(crate) sid: SessionId,
    pub(crate) jti: Uuid,
    #[serde(deserialize_with = "time")]
    pub(crate) iat: UnixSeconds,
    #[serde(deserialize_with = "time")]
    pub(crate) exp: UnixSeconds,
    #[serde(default, skip_serializing_if = "Option::is_none", deserialize_with = "present_time")]
    pub(crate) nbf: Option<UnixSeconds>,
    #[serde(deserialize_with = "time")]
    pub(crate) auth_time: UnixSeconds,
    #[serde(default)]
    pub(crate) roles: Vec<String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub(crate) scope: String,
    #[serde(flatten)]
    pub(crate) extra: Map<String, Value>,
}

impl Claims {
    /// The user (`sub`, RFC 7519 §4.1.2).
    pub fn user_id(&self) -> UserId {
        self.sub
    }

    /// The session (`sid`).
    pub fn session_id(&self) -> SessionId {
        self.sid
    }

    /// The identifier of this one token (`jti`, RFC 7519 §4.1.7).
    pub fn token_id(&self) -> Uuid {
        self.jti
    }

    /// The application the token was issued to (`client_id`, RFC 9068 §2.2).
    pub fn client_id(&self) -> &str {
        &self.client_id
    }

    /// When the token was issued (`iat`), in seconds since the Unix epoch.
    pub fn issued_at(&self) -> i64 {
        self.iat
    }

    /// When the token expires (`exp`), in seconds since the Unix epoch.
    pub fn expires_at(&self) -> i64 {
        self.exp
    }

    /// When the password was last given (`auth_time`, RFC 9068 §2.2.1), in seconds since the Unix epoch.
    pub fn authenticated_at(&self) -> i64 {
        self.auth_time
    }

    /// The user's roles when the token was issued (`roles`, RFC 9068 §2.2.3.1).
    pub fn roles(&self) -> &[String] {
        &self.roles
    }

    /// The granted scopes (`scope`, RFC 9068 §2.2.3).
    pub fn scopes(&self) -> impl Iterator<Item = &str> {
        self.scope.split(' ').filter(|scope| !scope.is_empty())
    }

    /// The host's own claims as a type: what the issuer's claims hook gave.
    ///
    /// # Errors
    ///
    /// If they do not have this type, as in a token that was issued before the hook was set.
    pub fn host_claims<T: DeserializeOwned>(&self) -> Result<T, serde_json::Error> {
        T::deserialize(Value::Object(self.extra.clone()))
    }

    /// A claim of the host's own.
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.extra.get(name)
    }
}

/// `aud`: one string or a list of them (RFC 7519 §4.1.3).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub(crate) enum Audience {
    One(String),
    Several(Vec<String>),
}

impl Audience {
    pub(crate) fn contains(&self, audience: &str) -> bool {
        match self {
            Self::One(one) => one == audience,
            Self::Several(several) => several.iter().any(|one| one == audience),
        }
    }
}

/// A NumericDate that is an integer. RFC 7519 §2 allows fractions; no token of ours has one.
fn time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<UnixSeconds, D::Error> {
    let seconds = u64::deserialize(deserializer)?;
    if seconds >= MAX_TIME {
        return Err(serde::de::Error::custom("time out of range"));
    }
    UnixSeconds::try_from(seconds).map_err(serde::de::Error::custom)
}

/// For a claim that may be absent. Present with a wrong type (null included) is a refusal, never "absent".
fn present_time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<UnixSeconds>, D::Error> {
    time(deserializer).map(Some)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn claims(more: Value) -> Value {
        let mut claims = json!({
            "iss": "issuer", "aud": "api", "sub": Uuid::from_u128(1), "client_id": "app", "sid": Uuid::from_u128(2),
            "jti": Uuid::from_u128(3), "iat": 10, "exp": 20, "auth_time": 5,
        });
        claims.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        claims
    }

    fn read(more: Value) -> Claims {
        serde_json::from_value(claims(more)).unwrap()
    }

    #[test]
    fn every_claim_can_be_asked_for() {
        let claims = read(json!({ "roles": ["editor", "author"], "scope": "read write", "tenant": 7 }));
        assert_eq!(claims.user_id().as_uuid(), &Uuid::from_u128(1));
        assert_eq!(claims.session_id().as_uuid(), &Uuid::from_u128(2));
        assert_eq!(claims.token_id(), Uuid::from_u128(3));
        assert_eq!(claims.client_id(), "app");
        assert_eq!((claims.issued_at(), claims.expires_at(), claims.authenticated_at()), (10, 20, 5));
        assert_eq!(claims.roles(), ["editor", "author"]);
        assert_eq!(claims.scopes().collect::<Vec<_>>(), ["read", "write"]);
        assert_eq!(claims.get("tenant"), Some(&json!(7)));
        assert_eq!(claims.get("sub"), None, "only the host's own");
    }

    #[test]
    fn scopes_are_words_and_none_is_empty() {
        for (scope, expected) in
            [("", &[][..]), (" ", &[]), ("a", &["a"]), (" a  b ", &["a", "b"]), ("a\tb", &["a\tb"])]
        {
            assert_eq!(read(json!({ "scope": scope })).scopes().collect::<Vec<_>>(), expected, "{scope:?}");
        }
        assert_eq!(read(json!({})).scopes().count(), 0);
    }

    #[test]
    fn what_is_read_is_written_back_alike() {
        for more in
            [json!({ "roles": [] }), json!({ "roles": ["a"], "scope": "b", "nbf": 9, "own": { "c": [1] } })]
        {
            assert_eq!(serde_json::to_value(read(more.clone())).unwrap(), claims(more));
        }
    }

    #[test]
    fn an_audience_is_one_string_or_several() {
        assert!(read(json!({})).aud.contains("api"));
        assert!(read(json!({ "aud": ["other", "api"] })).aud.contains("api"));
        for other in [json!("other"), json!([]), json!(["ap", "i"]), json!("API")] {
            assert!(!read(json!({ "aud": other })).aud.contains("api"), "{other}");
        }
    }
}
