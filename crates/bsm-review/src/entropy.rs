//! How much disorder a value has: what machines make has more than what people write.

/// Shannon entropy, bits a byte.
pub(super) fn entropy(bytes: &[u8]) -> f64 {
    let mut counts = [0u32; 256];
    for byte in bytes {
        counts[usize::from(*byte)] += 1;
    }
    let length = bytes.len() as f64;
    counts
        .iter()
        .filter(|c| **c > 0)
        .map(|c| f64::from(*c) / length)
        .map(|p| -p * p.log2())
        .sum()
}
