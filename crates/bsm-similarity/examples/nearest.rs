//! Which of three texts is most like a question.
#![allow(clippy::allow_attributes, clippy::print_stdout, reason = "an example")]

use bsm_similarity::Memory;

fn main() {
    let texts = [
        "the parser reads a file line by line",
        "a breaker opens after five failures",
        "the parser reads a stream in pieces",
    ];
    let memory = Memory::new(false);
    for (key, text) in (0..).zip(texts) {
        memory.insert(key, 0, text);
    }
    for hit in memory.nearest("how the parser reads a stream", 2, 0.0) {
        println!(
            "{} of {} words: {}",
            hit.overlap, hit.union, texts[hit.key as usize]
        );
    }
}
