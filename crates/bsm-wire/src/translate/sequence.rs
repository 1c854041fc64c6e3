//! Puts the pieces of several tools one tool after another: their wires have one open part at a time.
//!
//! Why: a provider of chat completions may send the arguments of two calls in turns. What comes for a tool
//! while another one is not complete waits until that one is.

use super::answer::Piece;

/// A tool whose pieces wait for their turn.
#[derive(Debug)]
struct Waiting {
    index: u64,
    pieces: Vec<Piece>,
    arguments: String,
}

/// The order of the tools.
#[derive(Debug, Default)]
pub(super) struct Sequence {
    /// The tool whose pieces pass, and its arguments so far.
    open: Option<(u64, String)>,
    waiting: Vec<Waiting>,
}

fn is_complete(arguments: &str) -> bool {
    serde_json::from_str::<serde::de::IgnoredAny>(arguments).is_ok()
}

impl Sequence {
    /// Takes a piece; those whose turn it is come out.
    pub(super) fn take(&mut self, piece: Piece) -> Vec<Piece> {
        match piece {
            Piece::Tool { index, .. } => {
                let is_free = match &self.open {
                    None => true,
                    Some((_, arguments)) => is_complete(arguments),
                };
                if is_free && self.waiting.is_empty() {
                    self.open = Some((index, String::new()));
                    return vec![piece];
                }
                self.waiting.push(Waiting {
                    index,
                    pieces: vec![piece],
                    arguments: String::new(),
                });
                Vec::new()
            }
            Piece::Arguments { index, ref text } => {
                if let Some((_, arguments)) = self.open.as_mut().filter(|(i, _)| *i == index) {
                    arguments.push_str(text);
                    // It can be complete only where an object or a list ends.
                    let may_end = text.trim_end().ends_with(['}', ']']);
                    let mut pieces = vec![piece];
                    if may_end && !self.waiting.is_empty() {
                        pieces.extend(self.advance());
                    }
                    return pieces;
                }
                let waits = self.waiting.iter_mut().find(|w| w.index == index);
                if let Some(waiting) = waits {
                    waiting.arguments.push_str(text);
                    waiting.pieces.push(piece);
                }
                Vec::new()
            }
            other => vec![other],
        }
    }

    /// Lets those that wait through, as far as the ones before them are complete.
    fn advance(&mut self) -> Vec<Piece> {
        let mut pieces = Vec::new();
        while !self.waiting.is_empty() && self.open.as_ref().is_none_or(|(_, a)| is_complete(a)) {
            let next = self.waiting.remove(0);
            pieces.extend(next.pieces);
            self.open = Some((next.index, next.arguments));
        }
        pieces
    }

    /// The answer is over: what waits still.
    pub(super) fn finish(&mut self) -> Vec<Piece> {
        let all = std::mem::take(&mut self.waiting);
        all.into_iter().flat_map(|w| w.pieces).collect()
    }
}
