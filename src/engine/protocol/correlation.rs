//! The id that every request, run, step, call and log line about one cause carries.

/// `[A-Za-z0-9._-]{1,64}`
pub fn is_correlation(text: &str) -> bool {
    (1..=64).contains(&text.len())
        && text
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"._-".contains(&b))
}

/// Sixteen random hex digits.
pub fn new_correlation() -> String {
    format!("{:016x}", fastrand::u64(..))
}
