//! Deflates bodies of records with compressors that are used again.
//!
//! Why: a new compressor costs more than packing a usual body (its tables are hundreds of kilobytes of fresh pages),
//! and a body of a few bytes gains nothing.

use std::sync::Mutex;

use flate2::{Compress, Compression, FlushCompress, Status};

use crate::resilience::clock::lock;

/// Shorter texts are stored as they are, in deflate's own form for that: packing them takes longer than writing what
/// it would save.
const SHORTEST: usize = 4_096;
/// Bytes of one stored block at most.
const BLOCK: usize = 0xffff;
/// Compressors that wait for the next body.
const KEPT: usize = 4;

static COMPRESSORS: Mutex<Vec<Compress>> = Mutex::new(Vec::new());

/// Appends a whole deflate stream of `bytes` to `out`.
pub(super) fn append(bytes: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    if bytes.len() >= SHORTEST && !pack(bytes, out) {
        out.truncate(start);
    }
    if out.len() == start {
        store(bytes, out);
    }
}

/// False: the compressor gave up, and what it has written is not whole.
fn pack(bytes: &[u8], out: &mut Vec<u8>) -> bool {
    let kept = lock(&COMPRESSORS).pop();
    let mut compressor = kept.unwrap_or_else(|| Compress::new(Compression::fast(), false));
    let whole = loop {
        out.reserve(bytes.len() / 4 + 64);
        let done = usize::try_from(compressor.total_in()).unwrap_or(bytes.len());
        let before = compressor.total_out();
        match compressor.compress_vec(&bytes[done..], out, FlushCompress::Finish) {
            Ok(Status::StreamEnd) => break true,
            Ok(Status::Ok) => {}
            Ok(Status::BufError) if compressor.total_out() > before => {}
            Ok(Status::BufError) | Err(_) => break false,
        }
    };
    compressor.reset();
    let mut waiting = lock(&COMPRESSORS);
    if waiting.len() < KEPT {
        waiting.push(compressor);
    }
    whole
}

/// Stored blocks: a byte that says whether it is the last one, the length, its complement, the bytes.
fn store(bytes: &[u8], out: &mut Vec<u8>) {
    let mut blocks = bytes.chunks(BLOCK).peekable();
    if blocks.peek().is_none() {
        out.extend_from_slice(&[1, 0, 0, 0xff, 0xff]);
    }
    while let Some(block) = blocks.next() {
        let length = block.len() as u16;
        out.push(u8::from(blocks.peek().is_none()));
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(&(!length).to_le_bytes());
        out.extend_from_slice(block);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use flate2::read::DeflateDecoder;

    use super::*;

    fn unpacked(packed: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        DeflateDecoder::new(packed).read_to_end(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn bytes_of_any_length_are_read_back_by_the_usual_decoder() {
        let mut rng = fastrand::Rng::with_seed(7);
        for length in [0, 1, SHORTEST - 1, SHORTEST, 5_000, 65_535, 65_536, 200_001] {
            let text: Vec<u8> = (0..length).map(|n| b"a run, "[n % 7]).collect();
            // What cannot be packed is the other extreme.
            let noise: Vec<u8> = (0..length).map(|_| rng.u8(..)).collect();
            for bytes in [text, noise] {
                let mut out = b"before".to_vec();
                append(&bytes, &mut out);
                assert_eq!(&out[..6], b"before");
                assert!(unpacked(&out[6..]) == bytes, "{length}");
                let mut stored = Vec::new();
                store(&bytes, &mut stored);
                assert!(unpacked(&stored) == bytes, "{length}, stored");
            }
        }
    }

    #[test]
    fn compressor_used_again_gives_the_same_bytes() {
        let text = "the same text, more than once ".repeat(300);
        let pack_once = || {
            let mut out = Vec::new();
            append(text.as_bytes(), &mut out);
            out
        };
        let first = pack_once();
        assert!(first.len() < text.len() / 10);
        append(&vec![0; 100_000], &mut Vec::new());
        assert_eq!(pack_once(), first);
    }
}
