//! Argon2id on memory that is kept from one hash to the next.
//!
//! Memory taken anew for each hash is kept by the allocator all the same, once for every thread that ever hashed: with a
//! pool of blocking threads that is many times what the hashes of one moment need. Kept here it is as many pieces as there
//! were hashes at once, and none has to be mapped and cleared again.

use std::sync::{Mutex, MutexGuard, PoisonError};

use argon2::password_hash::phc::{Output, ParamsString, Salt};
use argon2::password_hash::{Error as PhcError, try_generate_salt};
use argon2::{Algorithm, Argon2, Block, Error as Argon2Error, Params, PasswordHash, Version};

/// Hashes with some parameters; verifies and spends with any.
pub(super) struct Argon2id {
    argon2: Argon2<'static>,
    /// Memory that nobody uses just now, each piece enough for one hash with the parameters above.
    idle: Mutex<Vec<Vec<Block>>>,
}

impl Argon2id {
    pub(super) fn new(argon2: Argon2<'static>) -> Self {
        Self { argon2, idle: Mutex::default() }
    }

    /// Hashes under a new random salt of 16 bytes.
    pub(super) fn hash(&self, password: &[u8]) -> Result<PasswordHash, PhcError> {
        let salt = Salt::new(&try_generate_salt()?)?;
        let output = self.output(&self.argon2, password, &salt, Params::DEFAULT_OUTPUT_LEN)?;
        Ok(PasswordHash {
            algorithm: Algorithm::Argon2id.ident(),
            version: Some(Version::default().into()),
            params: ParamsString::try_from(self.argon2.params())?,
            salt: Some(salt),
            hash: Some(output),
        })
    }

    /// Whether the password is the one behind `hash`, which brings its own parameters.
    pub(super) fn verify(&self, password: &[u8], hash: &PasswordHash) -> Result<bool, PhcError> {
        let (Some(salt), Some(expected)) = (&hash.salt, &hash.hash) else {
            return Err(PhcError::EncodingInvalid);
        };
        let version = hash.version.map(Version::try_from).transpose()?.unwrap_or_default();
        let argon2 = Argon2::new(Algorithm::Argon2id, version, Params::try_from(hash)?);
        // Compared in constant time: that is what `Output` is for.
        Ok(self.output(&argon2, password, salt, expected.len())? == *expected)
    }

    /// Spends the time of a hash with other parameters.
    pub(super) fn spend(&self, argon2: &Argon2<'_>, password: &[u8]) -> Result<Output, PhcError> {
        self.output(argon2, password, &[0; 16], Params::DEFAULT_OUTPUT_LEN)
    }

    fn output(
        &self,
        argon2: &Argon2<'_>,
        password: &[u8],
        salt: &[u8],
        length: usize,
    ) -> Result<Output, PhcError> {
        let mut buffer = [0; Output::MAX_LENGTH];
        let output = buffer.get_mut(..length).ok_or(PhcError::OutputSize)?;
        let mut memory = self.take(argon2.params().block_count())?;
        let hashed = argon2.hash_password_into_with_memory(password, salt, output, &mut memory);
        self.put_back(memory);
        hashed?;
        Ok(Output::new(output)?)
    }

    /// An idle piece if it is large enough; what is larger than the rest is made for the one time.
    fn take(&self, blocks: usize) -> Result<Vec<Block>, Argon2Error> {
        let usual = self.argon2.params().block_count();
        if blocks <= usual
            && let Some(memory) = self.idle().pop()
        {
            return Ok(memory);
        }
        let (blocks, mut memory) = (blocks.max(usual), Vec::new());
        memory.try_reserve_exact(blocks).map_err(|_| Argon2Error::OutOfMemory)?;
        memory.resize(blocks, Block::default());
        Ok(memory)
    }

    fn put_back(&self, memory: Vec<Block>) {
        if memory.len() == self.argon2.params().block_count() {
            self.idle().push(memory);
        }
    }

    /// Nothing happens under this lock that could leave the list half changed.
    fn idle(&self) -> MutexGuard<'_, Vec<Vec<Block>>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::thread;

    use argon2::{PasswordHasher as _, PasswordVerifier as _};

    use super::*;

    const PASSWORD: &[u8] = b"correct horse battery staple";

    fn argon2(memory_kib: u32) -> Argon2<'static> {
        Argon2::new(Algorithm::Argon2id, Version::default(), Params::new(memory_kib, 2, 1, None).unwrap())
    }

    fn pieces(argon2id: &Argon2id) -> Vec<usize> {
        argon2id.idle().iter().map(Vec::len).collect()
    }

    #[test]
    fn used_memory_gives_the_same_hashes_as_fresh_memory() {
        let (argon2id, plain) = (Argon2id::new(argon2(256)), argon2(256));
        for number in 0..4u8 {
            let password = [PASSWORD, &[number]].concat();
            let hash = argon2id.hash(&password).unwrap();
            plain.verify_password(&password, &hash).unwrap();
            let other = plain.hash_password(&password).unwrap();
            assert!(argon2id.verify(&password, &other).unwrap());
            assert!(!argon2id.verify(PASSWORD, &other).unwrap());
        }
    }

    #[test]
    fn one_hash_after_the_other_needs_the_memory_of_one() {
        let argon2id = Argon2id::new(argon2(256));
        let hash = argon2id.hash(PASSWORD).unwrap();
        for _ in 0..8 {
            thread::scope(|threads| {
                threads.spawn(|| assert!(argon2id.verify(PASSWORD, &hash).unwrap()));
            });
        }
        assert_eq!(pieces(&argon2id), [256]);
    }

    #[test]
    fn hashes_at_once_have_memory_of_their_own() {
        let (argon2id, both) = (Argon2id::new(argon2(16_384)), Barrier::new(2));
        thread::scope(|threads| {
            for password in [&b"one"[..], b"other"] {
                let (argon2id, both) = (&argon2id, &both);
                threads.spawn(move || {
                    both.wait();
                    for _ in 0..4 {
                        let hash = argon2id.hash(password).unwrap();
                        argon2(16_384).verify_password(password, &hash).unwrap();
                    }
                });
            }
        });
        assert!(matches!(pieces(&argon2id)[..], [16_384] | [16_384, 16_384]));
    }

    #[test]
    fn memory_for_dearer_hashes_is_not_kept_and_cheaper_ones_use_what_is_there() {
        let argon2id = Argon2id::new(argon2(256));
        for memory_kib in [64, 1_024] {
            let hash = argon2(memory_kib).hash_password(PASSWORD).unwrap();
            assert!(argon2id.verify(PASSWORD, &hash).unwrap());
        }
        assert_eq!(pieces(&argon2id), [256]);
    }
}
