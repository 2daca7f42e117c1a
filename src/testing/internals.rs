//! The crate's inside as its own benchmarks need it: thin wrappers, each named after what it wraps.
//!
//! No part of the public interface. They change with what they wrap, in any release.

use std::sync::Arc;
use std::time::Duration;

use diesel::{PgConnection, QueryResult};
use jsonwebtoken::DecodingKey;
use jsonwebtoken::jwk::Jwk;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::or_panic;
use crate::auth::{self, Auth};
use crate::config::AuthConfig;
use crate::domain::access_token::AccessTokenRules;
use crate::domain::clock::{Clock, UnixSeconds};
use crate::domain::ids::{SessionId, UserId};
use crate::domain::issuing::{Subject, TokenIssuer};
use crate::domain::keys::{KeySet, SigningAlgorithm, SigningKey};
use crate::domain::password::NormalizedPassword;
use crate::domain::password::hash::{HashParams, Hasher, Verification};
use crate::domain::refresh_token::{Generation, Nonce, RefreshToken, RefreshTokenKeys, TokenDigest};
use crate::domain::rotation::Presented;
use crate::domain::secret::ServerSecret;
use crate::domain::session::Transport;
use crate::domain::verifier::Verifier;
use crate::http::gate::Place;
use crate::service::events::Events;
use crate::service::keyring::StartedKeys;
use crate::service::revocations::Announcer;
use crate::service::{Grant, Outcome, Service, SessionRequest};
use crate::store::{NewUser, Rotation, RotationTerms, Session, Store};

/// The `iss` of [`Tokens`].
pub const ISSUER: &str = "https://login.example.com";
/// The `aud` of [`Tokens`].
pub const AUDIENCE: &str = "https://api.example.com";

/// The master secret behind [`Tokens`] and [`RefreshTokens`].
pub const SECRET: &str = "kR3v9TqzW1mYc7JxPdL5uHsN0bEgA8fo";
const PREVIOUS_SECRET: &str = "Vd6pXy2ZrQ8nKj4tMw0hCb1sGfUeL9ai";
/// A benchmark may run for long; its tokens live for a day.
const LIFE: UnixSeconds = 24 * 60 * 60;

/// Access tokens of one algorithm.
pub struct Tokens {
    algorithm: SigningAlgorithm,
    key: SigningKey,
    issuer: TokenIssuer,
    verifier: Verifier,
    /// Remembers nothing.
    cold: Verifier,
    user: UserId,
    session: SessionId,
    now: UnixSeconds,
}

impl Tokens {
    /// With keys derived from a secret, as in an application.
    pub fn new(algorithm: SigningAlgorithm) -> Tokens {
        let key = or_panic("deriving a key", SigningKey::derive(&secret(SECRET), algorithm));
        let verifier = || {
            let keys = or_panic("a set of keys", KeySet::new([key.verifying().clone()]));
            let rules = AccessTokenRules::new(ISSUER, AUDIENCE);
            Verifier::new(keys, rules, Clock::System)
        };
        let (verifier, cold) = (verifier(), verifier());
        let issuer =
            TokenIssuer { issuer: ISSUER.into(), audience: AUDIENCE.into(), client_id: "application".into() };
        let (user, session, now) = (UserId::new(), SessionId::new(), Clock::System.now());
        Tokens { algorithm, key, issuer, verifier, cold, user, session, now }
    }

    /// Issues a token for a user with two roles.
    pub fn sign(&self) -> String {
        let subject = Subject {
            user: self.user,
            session: self.session,
            authenticated_at: self.now,
            roles: vec!["editor".into(), "reader".into()],
            scopes: Vec::new(),
            extra: serde_json::Map::new(),
        };
        or_panic("signing", self.issuer.issue(&self.key, subject, self.now, LIFE))
    }

    /// Verifies a token as if for the first time: what is verified for a refresh is not remembered.
    pub fn verify_cold(&self, token: &str) -> bool {
        self.cold.verify_even_if_expired(token).is_ok()
    }

    /// The verifier of a guard.
    pub fn verifier(&self) -> Verifier {
        self.verifier.clone()
    }

    /// The key as `jsonwebtoken` takes it, for decoding the same tokens without this crate.
    pub fn decoding_key(&self) -> DecodingKey {
        self.verifier.with_keys(|keys| match keys.public() {
            [published, ..] => {
                let json = or_panic("writing a key", serde_json::to_value(published));
                let jwk: Jwk = or_panic("reading a key", serde_json::from_value(json));
                or_panic("taking a key", DecodingKey::from_jwk(&jwk))
            }
            [] => DecodingKey::from_secret(&*secret(SECRET).derive("access token HS256", 0)),
        })
    }

    /// The algorithm.
    pub fn algorithm(&self) -> SigningAlgorithm {
        self.algorithm
    }
}

/// What makes and recognises refresh tokens.
pub struct RefreshTokens(RefreshTokenKeys);

/// A genuine refresh token.
pub struct Token(RefreshToken);

impl RefreshTokens {
    /// With one accepted secret.
    pub fn new() -> RefreshTokens {
        RefreshTokens(RefreshTokenKeys::new(&secret(SECRET), None))
    }

    /// With a second accepted secret, as while the secret is being changed. Also gives a token made under that second one.
    pub fn with_previous_secret() -> (RefreshTokens, Token) {
        let (current, previous) = (secret(SECRET), secret(PREVIOUS_SECRET));
        let token = RefreshTokenKeys::new(&previous, None).first(SessionId::new());
        (RefreshTokens(RefreshTokenKeys::new(&current, Some(&previous))), Token(token))
    }

    /// The first token of a new session.
    pub fn first(&self) -> Token {
        self.first_of(SessionId::new().into())
    }

    /// The first token of this session.
    pub fn first_of(&self, session: Uuid) -> Token {
        Token(self.0.first(session.into()))
    }

    /// Reads a token and verifies its tag.
    pub fn parse(&self, text: &[u8]) -> Option<Token> {
        self.0.parse(text).map(Token)
    }

    /// Derives the successor of `parent` for a nonce that is drawn here.
    pub fn successor(&self, parent: &Token) -> Token {
        Token(self.0.successor(&parent.0, &Nonce::random()))
    }
}

impl Default for RefreshTokens {
    fn default() -> RefreshTokens {
        RefreshTokens::new()
    }
}

impl Token {
    /// The place in its chain.
    pub fn generation(&self) -> Generation {
        self.0.generation()
    }

    /// What is stored of it.
    pub fn digest(&self) -> [u8; 32] {
        self.0.digest().0
    }

    /// What the client keeps.
    pub fn text(&self) -> Zeroizing<String> {
        self.0.expose()
    }
}

/// The hashing of passwords at the default cost.
pub struct Passwords(Hasher);

impl Passwords {
    /// With the default parameters, one at a time.
    pub fn new() -> Passwords {
        let params = HashParams::default();
        Passwords(or_panic("a hasher", Hasher::new(params, params.memory_bytes())))
    }

    /// Hashes under a new salt.
    pub fn hash(&self, password: &str) -> String {
        or_panic("hashing", self.0.hash(&normalized(password)))
    }

    /// Whether the password is the one behind `stored`; `None` stands for a user who is not known.
    pub fn verify(&self, password: &str, stored: Option<&str>) -> bool {
        matches!(self.0.verify(&normalized(password), stored), Verification::Correct { .. })
    }
}

impl Default for Passwords {
    fn default() -> Passwords {
        Passwords::new()
    }
}

fn normalized(password: &str) -> NormalizedPassword {
    NormalizedPassword::for_verification(&password.into()).unwrap_or_else(|| panic!("a malformed password"))
}

/// One session that is refreshed over and over, with a window of 0: every refresh rotates.
pub struct Refreshes {
    service: Service,
    user: UserId,
    token: RefreshToken,
}

impl Refreshes {
    /// In a migrated database, over a pool of one connection.
    pub fn start(database_url: &str) -> Refreshes {
        let config =
            AuthConfig::new(database_url, secret(SECRET)).refresh_grace(Duration::ZERO).database_pool(1);
        let service = or_panic("building the service", service(&config));
        let new = NewUser {
            id: UserId::new(),
            email: None,
            external_id: None,
            password_hash: None,
            roles: vec!["editor".into(), "reader".into()],
            scopes: Vec::new(),
        };
        let user = or_panic("making a user", service.create_user(&new).result).id;
        let token = start_session(&service, user);
        Refreshes { service, user, token }
    }

    /// The operation behind `POST /refresh`, of one request alone: derives the successor, stores it in one statement, signs an
    /// access token.
    /// Answers with the generation that the client has now.
    pub fn refresh(&mut self) -> Generation {
        let token = self.token.clone();
        let request = Arc::new(self.service.refresh_request(token, Transport::Cookie, Some(self.user)));
        let rotated = self.service.rotate_together(&[Arc::clone(&request)]).pop().flatten();
        let rotated = rotated.unwrap_or_else(|| panic!("a refresh that did not rotate"));
        let grant = or_panic("signing", self.service.grant_rotated(rotated, &request));
        self.token = refresh_token(&self.service, &grant);
        self.token.generation()
    }

    /// The connection that the refreshes are made on.
    pub fn connection(&self) -> Pooled {
        Pooled(self.service.store.clone())
    }

    /// Another session of the same user, to be rotated by the bare statement on the same connection.
    pub fn statements(&self) -> Statements {
        let token = start_session(&self.service, self.user);
        let presented = Presented {
            generation: token.generation(),
            digest: token.digest(),
            transport: Transport::Cookie,
            own_nonce: Nonce::random(),
        };
        Statements {
            connection: self.connection(),
            rotation: Rotation {
                session: token.session(),
                user: Some(self.user),
                presented,
                successor: TokenDigest([0; 32]),
            },
            terms: RotationTerms {
                grace: self.service.lifetimes.grace,
                refresh_life: self.service.lifetimes.refresh,
                signed_by: self.service.keyring.signing_key().kid().to_owned(),
            },
        }
    }
}

/// The one connection of a pool. Lent for each piece of work, as the operations have it.
#[derive(Clone)]
pub struct Pooled(Store);

impl Pooled {
    /// Does `work` on it.
    pub fn lend<T>(&self, mut work: impl FnMut(&mut PgConnection) -> QueryResult<T>) -> T {
        or_panic("a query", self.0.run(|session| Ok(work(session.connection())?)))
    }
}

/// The statement of a rotation by itself. Nothing is derived, nothing signed: the digests are counted up.
pub struct Statements {
    connection: Pooled,
    rotation: Rotation,
    terms: RotationTerms,
}

impl Statements {
    /// Adds the next generation and answers with it.
    pub fn rotate(&mut self) -> Generation {
        let next = self.rotation.presented.generation + 1;
        self.rotation.successor.0[..4].copy_from_slice(&next.to_be_bytes());
        let rotate = |session: &mut Session<'_>| session.rotate_together(&[&self.rotation], &self.terms);
        let rotated = or_panic("rotating", self.connection.0.run(rotate));
        assert!(rotated.iter().all(Option::is_some), "generation {next} was not added");
        self.rotation.presented.generation = next;
        self.rotation.presented.digest = self.rotation.successor;
        next
    }
}

/// Another distance between two polls for revocations.
pub fn poll_every(config: AuthConfig, interval: Duration) -> AuthConfig {
    AuthConfig { poll_interval: interval, ..config }
}

/// Another limit for the transactions that end sessions.
pub fn limit_transactions(config: AuthConfig, limit: Duration) -> AuthConfig {
    AuthConfig { transaction_limit: limit, ..config }
}

/// Another patience of passwords that wait for their turn to be hashed.
pub fn wait_for_hashing(config: AuthConfig, patience: Duration) -> AuthConfig {
    AuthConfig { hashing_patience: patience, ..config }
}

/// The queue for hashing when it is full: whoever wants a place finds none, until this is dropped.
pub struct FullQueue {
    _places: Vec<Place>,
}

impl FullQueue {
    /// Takes every place that is left.
    pub fn of(auth: &Auth) -> FullQueue {
        FullQueue { _places: std::iter::from_fn(|| auth.state.queue_for_hashing().ok()).collect() }
    }
}

fn service(config: &AuthConfig) -> Result<Service, auth::Error> {
    let store = Store::open(auth::store_options(config))?;
    let keys = StartedKeys::start(config.keys()?, &store)?;
    let rules = AccessTokenRules::new(ISSUER, AUDIENCE);
    let verifier = Verifier::new(keys.key_set()?, rules, Clock::System);
    let events = Arc::new(Events::new(Arc::clone(verifier.clock()), None, None));
    let keyring = Arc::new(keys.into_keyring(store.clone(), Announcer::new(verifier), Arc::clone(&events)));
    let issuer =
        TokenIssuer { issuer: ISSUER.into(), audience: AUDIENCE.into(), client_id: "application".into() };
    auth::service(config, store, issuer, keyring, events)
}

fn start_session(service: &Service, user: UserId) -> RefreshToken {
    refresh_token(service, &granted(service.start_session(user, &SessionRequest::default())))
}

/// Reads the refresh token of an answer, as the next request would.
fn refresh_token(service: &Service, grant: &Grant) -> RefreshToken {
    let token = service.recognise(grant.transport, grant.refresh_token.as_bytes());
    token.unwrap_or_else(|| panic!("an answer without a refresh token"))
}

fn granted(outcome: Outcome<Grant>) -> Grant {
    or_panic("asking for tokens", outcome.result)
}

fn secret(text: &str) -> ServerSecret {
    or_panic("a secret", ServerSecret::new(text))
}
