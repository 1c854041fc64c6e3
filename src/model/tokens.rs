//! Tokens that were counted, and an estimate of those that were not.

use serde::Deserialize;
use serde::Serialize;

/// Tokens of one call.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tokens {
    /// Read.
    pub prompt: u64,
    /// Written.
    pub completion: u64,
}

impl Tokens {
    /// Both.
    pub fn sum(self) -> u64 {
        self.prompt.saturating_add(self.completion)
    }
}

/// Tokens of a text, estimated on the safe side: three and a half ASCII characters each (prose has
/// four, code three), one and a half of any other script. No model's own table is at hand, and no two agree.
pub fn estimate_tokens(text: &str) -> u32 {
    let ascii = text.bytes().filter(u8::is_ascii).count();
    let other = if ascii == text.len() {
        0
    } else {
        text.chars().filter(|c| !c.is_ascii()).count()
    };
    u32::try_from((ascii * 2).div_ceil(7) + (other * 2).div_ceil(3)).unwrap_or(u32::MAX)
}
