//! Prints what a streamed answer on standard input used and how it ended.
#![allow(clippy::print_stdout, reason = "an example's output")]

use std::io::Read as _;

use bsm_wire::Wire;
use bsm_wire::read::Reader;

fn main() -> std::io::Result<()> {
    let wire = match std::env::args().nth(1).as_deref() {
        Some("messages") => Wire::Messages,
        Some("responses") => Wire::Responses,
        Some("gemini") => Wire::Gemini,
        _ => Wire::Chat,
    };
    let mut reader = Reader::new(wire);
    let mut bytes = [0; 4_096];
    let mut input = std::io::stdin().lock();
    loop {
        match input.read(&mut bytes)? {
            0 => break,
            n => reader.push(&bytes[..n]),
        }
    }
    reader.finish();
    let seen = reader.seen;
    println!(
        "model {:?}, ended {:?}, complete {}",
        seen.model, seen.end, seen.is_complete
    );
    println!("{:?}", seen.usage);
    Ok(())
}
