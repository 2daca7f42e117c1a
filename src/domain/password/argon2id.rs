//! Argon2id, in memory that is kept from one hash to the next.

use argon2::password_hash::phc::{Output, ParamsString, Salt};
use argon2::password_hash::{Error as PhcError, try_generate_salt};
use argon2::{Algorithm, Argon2, Block, Params, PasswordHash, Version};

use super::memory::Memory;

/// Hashes with some parameters; verifies and spends with any.
pub(super) struct Argon2id {
    argon2: Argon2<'static>,
    memory: Memory,
}

impl Argon2id {
    /// `budget` is what all hashes that run at once may take, in bytes.
    pub(super) fn new(argon2: Argon2<'static>, budget: u64) -> Self {
        let blocks = usize::try_from(budget).unwrap_or(usize::MAX) / Block::SIZE;
        let memory = Memory::new(argon2.params().block_count(), blocks);
        Self { argon2, memory }
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
        let mut memory = self.memory.take(argon2.params().block_count())?;
        argon2.hash_password_into_with_memory(password, salt, output, &mut *memory)?;
        Ok(Output::new(output)?)
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

    fn argon2id(memory_kib: u32) -> Argon2id {
        Argon2id::new(argon2(memory_kib), 64 << 20)
    }

    #[test]
    fn used_memory_gives_the_same_hashes_as_fresh_memory() {
        let (argon2id, plain) = (argon2id(256), argon2(256));
        for number in 0..4u8 {
            let password = [PASSWORD, &[number]].concat();
            let hash = argon2id.hash(&password).unwrap();
            plain.verify_password(&password, &hash).unwrap();
            let other = plain.hash_password(&password).unwrap();
            assert!(argon2id.verify(&password, &other).unwrap());
            assert!(!argon2id.verify(PASSWORD, &other).unwrap());
            let dearer = argon2(1_024).hash_password(&password).unwrap();
            assert!(argon2id.verify(&password, &dearer).unwrap());
        }
    }

    #[test]
    fn hashes_at_once_have_memory_of_their_own() {
        let (argon2id, both) = (argon2id(16_384), Barrier::new(2));
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
    }
}
