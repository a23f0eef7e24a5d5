//! New keys and generators from the operating system's randomness.

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng as _;
use ssh_key::PrivateKey;
use ssh_key::private::{Ed25519Keypair, KeypairData};
use zeroize::Zeroizing;

/// Why there is nothing new.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FreshError {
    /// The operating system gives no randomness.
    #[error("no randomness: {0}")]
    Randomness(#[from] getrandom::Error),
    /// The key cannot be put together.
    #[error("a key cannot be made: {0}")]
    Key(#[from] ssh_key::Error),
}

/// 32 secret bytes.
///
/// # Errors
/// When the operating system gives none.
pub fn seed() -> Result<Zeroizing<[u8; 32]>, FreshError> {
    let mut seed = Zeroizing::new([0; 32]);
    getrandom::fill(seed.as_mut_slice())?;
    Ok(seed)
}

/// A generator with a seed of its own.
///
/// # Errors
/// As [`seed`].
pub fn rng() -> Result<ChaCha20Rng, FreshError> {
    Ok(ChaCha20Rng::from_seed(*seed()?))
}

/// An Ed25519 key.
///
/// # Errors
/// As [`seed`].
pub fn ed25519(comment: &str) -> Result<PrivateKey, FreshError> {
    let pair = Ed25519Keypair::from_seed(&*seed()?);
    Ok(PrivateKey::new(KeypairData::from(pair), comment)?)
}
