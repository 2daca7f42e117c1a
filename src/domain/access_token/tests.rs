//! Hostile tokens against the verification, and what a token of ours looks like.

mod claims;
mod headers;
mod mutations;
mod times;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};
use uuid::Uuid;

use super::*;
use crate::domain::ids::{SessionId, UserId};
use crate::domain::issuing::{Subject, TokenIssuer};
use crate::domain::keys::{SigningAlgorithm, SigningKey};
use crate::domain::secret::ServerSecret;

const SECRET: &str = "Zm9vYmFyLWJhei1xdXV4LTEyMzQ1Njc4OTA";
const NOW: UnixSeconds = 1_800_000_000;
const ALL: [SigningAlgorithm; 3] =
    [SigningAlgorithm::EdDsa, SigningAlgorithm::Es256, SigningAlgorithm::Hs256];

/// A service that verifies tokens, and the key of its issuer, which here signs whatever it is given.
struct World {
    key: SigningKey,
    keys: KeySet,
    rules: AccessTokenRules,
}

impl World {
    fn new(algorithm: SigningAlgorithm) -> Self {
        let key = SigningKey::derive(&ServerSecret::new(SECRET).unwrap(), algorithm).unwrap();
        let keys = KeySet::new([key.verifying().clone()]).unwrap();
        let rules = AccessTokenRules::new("issuer", "api");
        Self { key, keys, rules }
    }

    fn verify(&self, token: &str, time: TimeCheck) -> Result<Claims, TokenRefused> {
        self.rules.verify(&self.keys, token, time)
    }

    fn at(&self, now: UnixSeconds, token: &str) -> Result<Claims, TokenRefused> {
        self.verify(token, TimeCheck::At(now))
    }

    /// Invalid while it is fresh, when it has expired, and where the time does not matter.
    #[track_caller]
    fn assert_invalid(&self, token: &str, what: &str) {
        for time in [TimeCheck::At(NOW), TimeCheck::At(NOW + 100_000), TimeCheck::Skipped] {
            assert_eq!(self.verify(token, time).map(drop), Err(TokenRefused::Invalid), "{what}, {time:?}");
        }
    }

    fn header(&self) -> Value {
        json!({ "alg": self.key.algorithm().as_str(), "typ": "at+jwt", "kid": self.key.verifying().kid() })
    }

    /// A token of this header and these claims, under a genuine signature.
    fn token(&self, header: &str, claims: &str) -> String {
        self.token_of_bytes(header.as_bytes(), claims.as_bytes())
    }

    fn token_of_bytes(&self, header: &[u8], claims: &[u8]) -> String {
        let signed = encoded(header, claims);
        format!("{signed}.{}", self.key.sign_bytes(signed.as_bytes()))
    }

    fn with_header(&self, header: &Value) -> String {
        self.token(&header.to_string(), &claims().to_string())
    }

    fn with_claims(&self, claims: &Value) -> String {
        self.token(&self.header().to_string(), &claims.to_string())
    }

    fn good(&self) -> String {
        self.with_claims(&claims())
    }
}

fn claims() -> Value {
    json!({
        "iss": "issuer", "aud": "api", "client_id": "app", "jti": Uuid::from_u128(1), "sub": Uuid::from_u128(2),
        "sid": Uuid::from_u128(3), "iat": NOW, "exp": NOW + 1800, "auth_time": NOW, "roles": ["editor"],
    })
}

fn without(object: &Value, member: &str) -> Value {
    let mut object = object.clone();
    object.as_object_mut().unwrap().remove(member).unwrap();
    object
}

fn with(object: &Value, member: &str, value: Value) -> Value {
    let mut object = object.clone();
    object[member] = value;
    object
}

fn encoded(header: &[u8], claims: &[u8]) -> String {
    format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims))
}

#[test]
fn a_genuine_token_is_accepted_whatever_its_algorithm() {
    for algorithm in ALL {
        let world = World::new(algorithm);
        let claims = world.at(NOW, &world.good()).unwrap();
        assert_eq!(claims.session_id(), SessionId(Uuid::from_u128(3)));
        assert_eq!(claims.roles(), ["editor"]);
        assert_eq!(world.verify(&world.good(), TimeCheck::Skipped), Ok(claims));
    }
}

#[test]
fn a_token_of_another_key_is_refused() {
    for (ours, theirs) in ALL.into_iter().flat_map(|one| ALL.map(|other| (one, other))) {
        let world = World::new(ours);
        let other = ServerSecret::new(SECRET.replace('F', "G")).unwrap();
        let foreign = SigningKey::derive(&other, theirs).unwrap();
        let header = with(&world.header(), "alg", theirs.as_str().into());
        let signed = encoded(header.to_string().as_bytes(), claims().to_string().as_bytes());
        let token = format!("{signed}.{}", foreign.sign_bytes(signed.as_bytes()));
        world.assert_invalid(&token, "a foreign key under our key id");
    }
}

#[test]
fn a_token_that_is_issued_here_is_small_and_says_nothing_private() {
    for algorithm in ALL {
        let world = World::new(algorithm);
        let key = SigningKey::derive(&ServerSecret::new(SECRET).unwrap(), algorithm).unwrap();
        let names = ["issuer", "api", "app"].map(str::to_owned);
        let [issuer, audience, client_id] = names;
        let token_issuer = TokenIssuer { issuer, audience, client_id };
        let subject = Subject {
            user: UserId::new(),
            session: SessionId::new(),
            authenticated_at: NOW,
            roles: vec!["editor".into(), "administrator".into()],
            scopes: vec!["orders:read".into(), "orders:write".into()],
            extra: serde_json::Map::new(),
        };
        let token = token_issuer.issue(&key, subject, NOW, 1800).unwrap();
        assert!(token.len() < 1024, "{} bytes", token.len());
        assert!(world.at(NOW, &token).is_ok());
        let parts: Vec<Value> = token
            .split('.')
            .take(2)
            .map(|part| serde_json::from_slice(&URL_SAFE_NO_PAD.decode(part).unwrap()).unwrap())
            .collect();
        let members = |part: &Value| {
            let mut names: Vec<_> = part.as_object().unwrap().keys().cloned().collect();
            names.sort_unstable();
            names.join(" ")
        };
        assert_eq!(members(&parts[0]), "alg kid typ");
        assert_eq!(members(&parts[1]), "aud auth_time client_id exp iat iss jti roles scope sid sub");
        assert!(!parts[1].to_string().contains('@'));
    }
}
