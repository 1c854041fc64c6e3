//! Hashes as text.

use sha2::{Digest as _, Sha256};

/// The first 12 hex digits of SHA-256: enough to tell a user's workspaces apart.
pub fn short_hash(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes)[..6])
}

/// Lower-case hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}
