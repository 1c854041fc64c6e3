//! The simulator's chances: the same seed and the same questions give the same throws.

use sha2::{Digest as _, Sha256};

use super::state::{Inner, REMEMBERED, Shared};
use crate::resilience::clock::lock;

/// One throw of the dice for each question and its repetition.
pub(super) struct Dice(Sha256, u64);

impl Dice {
    /// Evenly from 0 to 1.
    pub(super) fn throw(&mut self) -> f64 {
        self.1 += 1;
        let digest = self.0.clone().chain_update(self.1.to_le_bytes()).finalize();
        let bits = u64::from_le_bytes(digest[..8].try_into().unwrap_or_default());
        (bits >> 11) as f64 / (1_u64 << 53) as f64
    }
}

/// The dice of a question; a repetition of the same question has others.
pub(super) fn dice(shared: &Shared, provider: &str, body: &[u8]) -> Dice {
    let hash = Sha256::new()
        .chain_update(shared.seed.to_le_bytes())
        .chain_update(provider)
        .chain_update([0])
        .chain_update(body);
    let digest = hash.clone().finalize();
    let question = u64::from_le_bytes(digest[..8].try_into().unwrap_or_default());
    let mut guard = lock(&shared.inner);
    let Inner { seen, .. } = &mut *guard;
    if seen.len() >= REMEMBERED {
        seen.clear();
    }
    let times = seen.entry(question).or_default();
    *times += 1;
    Dice(hash.chain_update(times.to_le_bytes()), 0)
}
