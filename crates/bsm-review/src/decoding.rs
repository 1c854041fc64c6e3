//! Encoded pieces of a text, decoded: base64, hex digits, percent signs, escapes of JSON and Unicode.
//!
//! Why here: a token in base64 is the token. Every rule for secrets looks into what is decoded, two levels deep.
//! A piece counts only when what comes out is text, so ordinary code and pictures cost one pass.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};

/// How deep encodings are followed.
pub(super) const DEEPEST: usize = 2;
/// Shortest run that is decoded, bytes: shorter ones hold no token.
const SHORTEST: usize = 20;
/// Longest run that is decoded, bytes.
const LONGEST: usize = 1 << 20;

/// An encoded piece: where it stands, and what it says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Piece {
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) text: Vec<u8>,
}

/// Calls `found` with every encoded piece of `text` until it says stop.
pub(super) fn pieces(text: &[u8], mut found: impl FnMut(Piece) -> bool) {
    let is_word = |at: usize| CLASS[usize::from(text[at])] & WORD != 0;
    let mut at = 0usize;
    // Looked at from its far end, text of short words costs a look a word.
    while let Some(far) = at.checked_add(SHORTEST - 1).filter(|far| *far < text.len()) {
        if let Some(border) = (at..=far).rev().find(|i| !is_word(*i)) {
            at = border + 1;
            continue;
        }
        // A word with what may stand inside an encoded one.
        let (mut end, mut all, mut escapes) = (at, 0u8, 0usize);
        while end < text.len() && is_word(end) {
            let class = CLASS[usize::from(text[end])];
            all |= class;
            escapes += usize::from(class & ESCAPE != 0);
            end += 1;
        }
        if end - at <= LONGEST
            && let Some(piece) = decoded(text, at, end, all, escapes)
            && !found(piece)
        {
            return;
        }
        at = end;
    }
}

/// Bits of what a byte may be part of.
const WORD: u8 = 1;
const ESCAPE: u8 = 2;
const NOT_BASE64: u8 = 4;
const NOT_HEX: u8 = 8;
const URL_SAFE: u8 = 16;

const CLASS: [u8; 256] = classes();

const fn classes() -> [u8; 256] {
    let mut of = [0u8; 256];
    let mut byte = 0usize;
    while byte < 256 {
        let b = byte as u8;
        of[byte] = match b {
            b'0'..=b'9' | b'a'..=b'f' | b'A'..=b'F' => WORD,
            b'g'..=b'z' | b'G'..=b'Z' | b'+' | b'/' => WORD | NOT_HEX,
            b'-' | b'_' => WORD | NOT_HEX | URL_SAFE,
            b'%' | b'\\' => WORD | NOT_HEX | NOT_BASE64 | ESCAPE,
            b'.' | b'~' | b'!' | b'*' | b'@' | b'$' => WORD | NOT_HEX | NOT_BASE64,
            _ => 0,
        };
        byte += 1;
    }
    of
}

/// What the word from `start` to `end` says, where it is encoded text.
fn decoded(text: &[u8], start: usize, end: usize, all: u8, escapes: usize) -> Option<Piece> {
    let word = &text[start..end];
    let piece = |text: Vec<u8>| is_text(&text).then_some(Piece { start, end, text });
    if escapes >= 3 {
        return unescaped(word).and_then(piece);
    }
    if all & NOT_BASE64 != 0 {
        // An address, say: its parts may be encoded.
        return word
            .split(|b| CLASS[usize::from(*b)] & NOT_BASE64 != 0)
            .filter(|part| part.len() >= SHORTEST)
            .find_map(|part| {
                let offset = part.as_ptr() as usize - word.as_ptr() as usize;
                let all = part.iter().fold(0, |all, b| all | CLASS[usize::from(*b)]);
                decoded(text, start + offset, start + offset + part.len(), all, 0)
            });
    }
    if all & NOT_HEX == 0
        && word.len().is_multiple_of(2)
        && let Some(found) = from_hex(word).and_then(piece)
    {
        return Some(found);
    }
    base64_text(word, all & URL_SAFE != 0).and_then(piece)
}

fn base64_text(word: &[u8], url_safe: bool) -> Option<Vec<u8>> {
    let engine = if url_safe {
        &URL_SAFE_NO_PAD
    } else {
        &STANDARD_NO_PAD
    };
    // The first bytes tell whether it is text at all.
    let first = engine
        .decode(&word[..SHORTEST.min(word.len()) / 4 * 4])
        .ok()?;
    if !is_text(&first) {
        return None;
    }
    // A rest that is no whole group is cut off.
    let whole = word.len() - usize::from(word.len() % 4 == 1);
    engine
        .decode(&word[..whole])
        .or_else(|_| engine.decode(&word[..word.len() / 4 * 4]))
        .ok()
}

fn from_hex(word: &[u8]) -> Option<Vec<u8>> {
    let digit = |b: u8| (b as char).to_digit(16).and_then(|d| u8::try_from(d).ok());
    word.chunks_exact(2)
        .map(|pair| Some(digit(pair[0])? << 4 | digit(pair[1])?))
        .collect()
}

/// `%41`, `\x41`, `\u0041`, `\u{41}`, `\n`, `\"` and `\/` made the characters that they stand for.
fn unescaped(word: &[u8]) -> Option<Vec<u8>> {
    let mut out = Vec::with_capacity(word.len());
    let mut changed = false;
    let mut rest = word;
    let code = |digits: &[u8]| {
        let text = std::str::from_utf8(digits).ok()?;
        u32::from_str_radix(text, 16).ok().and_then(char::from_u32)
    };
    while let Some(first) = rest.first() {
        let (character, length) = match rest {
            [b'%', a, b, ..] => (code(&[*a, *b]), 3),
            [b'\\', b'x', a, b, ..] => (code(&[*a, *b]), 4),
            [b'\\', b'u' | b'U', a, b, c, d, ..] => (code(&[*a, *b, *c, *d]), 6),
            [b'\\', b'n' | b'r', ..] => (Some('\n'), 2),
            [b'\\', b't', ..] => (Some('\t'), 2),
            [b'\\', other @ (b'"' | b'\'' | b'/' | b'\\'), ..] => (Some(char::from(*other)), 2),
            _ => (None, 1),
        };
        match character {
            Some(character) => {
                out.extend_from_slice(character.encode_utf8(&mut [0; 4]).as_bytes());
                changed = true;
                rest = &rest[length..];
            }
            None => {
                out.push(*first);
                rest = &rest[1..];
            }
        }
    }
    changed.then_some(out)
}

/// Nearly all of it are characters that people write.
fn is_text(bytes: &[u8]) -> bool {
    let odd = bytes
        .iter()
        .filter(|b| !matches!(b, b' '..=b'~' | b'\n' | b'\r' | b'\t'))
        .count();
    bytes.len() >= SHORTEST / 2 && odd * 20 <= bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::engine::general_purpose::STANDARD;

    fn all(text: &str) -> Vec<String> {
        let mut out = Vec::new();
        pieces(text.as_bytes(), |piece| {
            out.push(String::from_utf8_lossy(&piece.text).into_owned());
            true
        });
        out
    }

    const PLAIN: &str = "a token of some length: 17";

    #[test]
    fn piece_in_every_encoding_is_decoded() {
        let hex: String = PLAIN.bytes().map(|b| format!("{b:02x}")).collect();
        let percent: String = PLAIN.bytes().map(|b| format!("%{b:02X}")).collect();
        let unicode: String = PLAIN.bytes().map(|b| format!("\\u{b:04x}")).collect();
        let bytes: String = PLAIN.bytes().map(|b| format!("\\x{b:02x}")).collect();
        for encoded in [
            STANDARD.encode(PLAIN),
            URL_SAFE_NO_PAD.encode(PLAIN),
            hex,
            percent,
            unicode,
            bytes,
        ] {
            assert_eq!(all(&format!("x = \"{encoded}\";")), [PLAIN], "{encoded}");
        }
    }

    #[test]
    fn piece_that_is_no_text_is_left_alone() {
        let sum = bsm_base::hex(&[0xd7; 32]);
        for text in [
            "a_function_name_that_is_rather_long_for_its_kind()",
            "/usr/lib/python3/dist-packages/some/module",
            sum.as_str(),
            "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk",
        ] {
            assert_eq!(all(text), Vec::<String>::new(), "{text}");
        }
    }

    #[test]
    fn piece_inside_an_address_is_decoded() {
        let encoded = URL_SAFE_NO_PAD.encode(PLAIN);
        assert_eq!(
            all(&format!("https://x.example.org/?t={encoded}&b=1")),
            [PLAIN]
        );
    }
}
