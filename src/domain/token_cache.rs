//! Access tokens that were verified lately, so that a repeated one costs a look-up and not a signature check.

use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;

use arc_swap::ArcSwapOption;

use crate::domain::claims::Claims;
use crate::domain::clock::UnixSeconds;

/// How many tokens are kept at most. A token and its claims take about 2 KB.
const CAPACITY: usize = 16 * 1024;
/// How many places there are for one token.
const WAYS: usize = 4;

/// A bounded map from token to claims, without locks: a token has four places, found by a keyed hash of its signature; a
/// newcomer takes an empty one or that of the token that expires first.
///
/// The whole token is compared, so that a collision never lends one token another's claims. Whether it has expired or its
/// session has ended is asked on every call by whoever uses this.
pub(crate) struct TokenCache {
    hasher: RandomState,
    places: Box<[ArcSwapOption<Entry>]>,
}

struct Entry {
    token: Box<str>,
    claims: Arc<Claims>,
}

impl TokenCache {
    pub(crate) fn new() -> Self {
        Self { hasher: RandomState::new(), places: (0..CAPACITY).map(|_| ArcSwapOption::empty()).collect() }
    }

    pub(crate) fn get(&self, token: &str) -> Option<Arc<Claims>> {
        self.places_of(token).iter().find_map(|place| {
            let entry = place.load();
            entry.as_ref().filter(|entry| *entry.token == *token).map(|entry| Arc::clone(&entry.claims))
        })
    }

    /// Keeps a verified token. Two threads that take one place at once leave one of the two in it, which costs the other a
    /// signature check later.
    pub(crate) fn insert(&self, token: &str, claims: &Arc<Claims>) {
        let expiry = |place: &&ArcSwapOption<Entry>| {
            place.load().as_ref().map_or(UnixSeconds::MIN, |entry| entry.claims.expires_at())
        };
        if let Some(place) = self.places_of(token).iter().min_by_key(expiry) {
            place.store(Some(Arc::new(Entry { token: token.into(), claims: Arc::clone(claims) })));
        }
    }

    /// The places of a token. The signature alone decides: it differs between any two valid tokens, and the key of the hash
    /// is unknown outside.
    fn places_of(&self, token: &str) -> &[ArcSwapOption<Entry>] {
        let signature = token.rsplit('.').next().unwrap_or(token);
        let sets = (CAPACITY / WAYS) as u64;
        let set = usize::try_from(self.hasher.hash_one(signature) % sets).unwrap_or(0);
        &self.places[set * WAYS..(set + 1) * WAYS]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn claims(expires_at: UnixSeconds) -> Arc<Claims> {
        let claims = serde_json::json!({
            "iss": "i", "aud": "a", "sub": uuid::Uuid::nil(), "client_id": "c", "sid": uuid::Uuid::nil(),
            "jti": uuid::Uuid::nil(), "iat": 1, "exp": expires_at, "auth_time": 1
        });
        Arc::new(serde_json::from_value(claims).unwrap())
    }

    #[test]
    fn only_the_very_token_is_found() {
        let cache = TokenCache::new();
        cache.insert("header.payload.signature", &claims(10));
        assert_eq!(cache.get("header.payload.signature").unwrap().expires_at(), 10);
        for other in
            ["other.payload.signature", "header.other.signature", "header.payload.other", "signature"]
        {
            assert!(cache.get(other).is_none(), "{other}");
        }
    }

    #[test]
    fn a_full_set_gives_up_what_expires_first() {
        let cache = TokenCache::new();
        // One signature, so one set of places.
        for expiry in [30, 10, 20, 40, 50] {
            cache.insert(&format!("{expiry}.signature"), &claims(expiry));
        }
        assert!(cache.get("10.signature").is_none());
        assert!([20, 30, 40, 50].iter().all(|expiry| cache.get(&format!("{expiry}.signature")).is_some()));
    }

    #[test]
    fn a_million_distinct_tokens_take_no_more_than_the_capacity() {
        let cache = TokenCache::new();
        let claims = claims(10);
        for number in 0..1_000_000 {
            cache.insert(&number.to_string(), &claims);
        }
        let kept = cache.places.iter().filter(|place| place.load().is_some()).count();
        assert_eq!(kept, CAPACITY);
        assert_eq!(Arc::strong_count(&claims), CAPACITY + 1);
    }
}
