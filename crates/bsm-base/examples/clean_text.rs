//! Text from outside, made harmless for a terminal.
#![allow(clippy::allow_attributes, clippy::print_stdout, reason = "an example")]

use bsm_base::text::Untrusted;

fn main() {
    let outside = Untrusted::from("a title\u{1b}[2J that clears\u{202e} the screen");
    println!("{}", outside.line(80));
}
