//! What a verifier offers to whoever keeps its keys in step with an issuer's.

use std::sync::{Arc, Weak};

use super::{Inner, Verifier};
use crate::domain::access_token::unverified_key_id;
use crate::domain::keys::KeySet;

/// Is told the `kid` of a token whose key is not known. Runs within `verify`, so it must not block.
pub(super) type UnknownKeyHook = Box<dyn Fn(&str) + Send + Sync>;

/// A handle that does not keep the verifier alive.
pub(crate) struct WeakVerifier(Weak<Inner>);

impl Verifier {
    /// Has `hook` called whenever a refused token names a key that is not known. The first hook stays.
    pub(crate) fn on_unknown_key(&self, hook: impl Fn(&str) + Send + Sync + 'static) {
        let _ = self.0.on_unknown_key.set(Box::new(hook));
    }

    /// Takes over a new set of keys. A verification that has begun ends with the old one.
    pub(crate) fn replace_keys(&self, keys: KeySet) {
        drop(self.set_keys(keys));
    }

    pub(crate) fn downgrade(&self) -> WeakVerifier {
        WeakVerifier(Arc::downgrade(&self.0))
    }

    pub(super) fn report_unknown_key(&self, token: &str) {
        let Some(hook) = self.0.on_unknown_key.get() else { return };
        let is_unknown = |kid: &String| self.with_keys(|keys| keys.find(kid).is_none());
        if let Some(kid) = unverified_key_id(token).filter(is_unknown) {
            hook(&kid);
        }
    }
}

impl WeakVerifier {
    pub(crate) fn upgrade(&self) -> Option<Verifier> {
        self.0.upgrade().map(Verifier)
    }
}
