//! What a terminal sends, read as keys, mouse, pastes and focus: bytes in, events out.
//!
//! Why not crossterm's reader: it takes what a terminal answers (OSC, DA2, DCS) for keys, swallows every key after an
//! answer that it does not know, makes one key of Esc and another one that came with it, and keys of a sequence that
//! comes in two pieces. Here a sequence is read to its end whatever it is, and what is no key is dropped; Esc
//! and a key are two keys; and an Esc alone is a key once nothing more has come for [`PATIENCE`].

mod csi;

use std::time::Duration;

use crossterm::event::{Event, KeyCode, KeyEvent, KeyModifiers};

/// How long the rest of a sequence is waited for. Over a slow link it may come later; at a keyboard nobody sees it.
pub const PATIENCE: Duration = Duration::from_millis(40);
/// After so many times [`PATIENCE`] without a byte an answer does not end any more.
const MOST_SILENT: u8 = 25;
/// An answer of a terminal that is longer than this is none.
const LONGEST_ANSWER: usize = 1 << 16;
/// Bytes of a paste, at most; the rest is dropped.
const LONGEST_PASTE: usize = 16 << 20;
/// What ends a paste.
const PASTE_END: &[u8] = b"\x1b[201~";

/// Where the decoder stands.
#[derive(Debug, Default)]
enum At {
    /// Between keys.
    #[default]
    Ground,
    /// Within a character of several bytes.
    Character(Vec<u8>, usize),
    /// After Esc.
    Escape,
    /// After `ESC [`: parameters so far.
    Csi(Vec<u8>),
    /// Within the three bytes of an old mouse report.
    OldMouse(Vec<u8>),
    /// After `ESC O`.
    Ss3,
    /// Within an answer, which a string terminator ends: its kind, and how many bytes it has.
    Answer(u8, usize),
    /// After an Esc within an answer.
    AnswerEscape(u8, usize),
    /// Within a paste.
    Paste(Vec<u8>),
}

/// Makes events of bytes.
#[derive(Debug, Default)]
pub struct Decoder {
    at: At,
    /// How often [`PATIENCE`] has passed since the last byte.
    silent: u8,
}

fn key(code: KeyCode, modifiers: KeyModifiers) -> Event {
    Event::Key(KeyEvent::new(code, modifiers))
}

fn esc() -> Event {
    key(KeyCode::Esc, KeyModifiers::NONE)
}

/// The byte of a key that has no more than one.
fn one_byte(byte: u8) -> Event {
    let control = |c: u8| key(KeyCode::Char(char::from(c)), KeyModifiers::CONTROL);
    match byte {
        b'\r' => key(KeyCode::Enter, KeyModifiers::NONE),
        b'\t' => key(KeyCode::Tab, KeyModifiers::NONE),
        0x7f => key(KeyCode::Backspace, KeyModifiers::NONE),
        0 => control(b' '),
        0x01..=0x1a => control(byte - 1 + b'a'),
        0x1c..=0x1f => control(byte - 0x1c + b'4'),
        _ => character(char::from(byte)),
    }
}

fn character(c: char) -> Event {
    let modifiers = if c.is_uppercase() {
        KeyModifiers::SHIFT
    } else {
        KeyModifiers::NONE
    };
    key(KeyCode::Char(c), modifiers)
}

/// Bytes of the character that begins with this one; 0: none begins so.
fn length(first: u8) -> usize {
    match first {
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => 0,
    }
}

impl Decoder {
    /// Takes bytes; what they mean goes into `out`.
    pub fn feed(&mut self, bytes: &[u8], out: &mut Vec<Event>) {
        self.silent = 0;
        let mut bytes = bytes;
        while let Some((first, rest)) = bytes.split_first() {
            if let At::Paste(text) = &mut self.at {
                bytes = paste(text, bytes);
                self.end_paste(out);
                continue;
            }
            self.byte(*first, out);
            bytes = rest;
        }
    }

    /// Something has begun of which the rest may still come.
    pub fn waits(&self) -> bool {
        !matches!(self.at, At::Ground | At::Paste(_))
    }

    /// Nothing more has come for [`PATIENCE`]: what looked like the beginning of a sequence were keys.
    pub fn rest(&mut self, out: &mut Vec<Event>) {
        match std::mem::take(&mut self.at) {
            At::Escape => out.push(esc()),
            At::Csi(parameters) if parameters.is_empty() => {
                out.extend([esc(), character('[')]);
            }
            At::Ss3 => out.extend([esc(), character('O')]),
            At::Answer(kind, 0) => out.extend([esc(), character(char::from(kind))]),
            // An answer that has begun may go on over a slow link; one that does not is forgotten.
            answer @ (At::Answer(..) | At::AnswerEscape(..)) if self.silent < MOST_SILENT => {
                self.silent += 1;
                self.at = answer;
            }
            paste @ At::Paste(_) => self.at = paste,
            _ => {}
        }
    }

    fn byte(&mut self, byte: u8, out: &mut Vec<Event>) {
        self.at = match std::mem::take(&mut self.at) {
            At::Ground => ground(byte, out),
            At::Character(mut bytes, all) => {
                if byte & 0xc0 == 0x80 {
                    bytes.push(byte);
                    if bytes.len() < all {
                        At::Character(bytes, all)
                    } else {
                        let c = std::str::from_utf8(&bytes).ok();
                        out.extend(c.and_then(|c| c.chars().next()).map(character));
                        At::Ground
                    }
                } else {
                    // It was none; the byte begins something new.
                    ground(byte, out)
                }
            }
            At::Escape => escaped(byte, out),
            At::Csi(parameters) => csi(parameters, byte, out),
            At::OldMouse(mut bytes) => {
                bytes.push(byte);
                if bytes.len() < 3 {
                    At::OldMouse(bytes)
                } else {
                    out.extend(csi::old_mouse(&bytes));
                    At::Ground
                }
            }
            At::Ss3 => match csi::ss3(byte) {
                Some(event) => {
                    out.push(event);
                    At::Ground
                }
                None => {
                    out.extend([esc(), character('O')]);
                    ground(byte, out)
                }
            },
            At::Answer(kind, length) => answer(kind, length, byte, out),
            At::AnswerEscape(kind, length) => match byte {
                b'\\' => At::Ground,
                0x1b => At::AnswerEscape(kind, length),
                // The answer is broken off: that was a key.
                other => escaped(other, out),
            },
            paste @ At::Paste(_) => paste,
        };
    }

    /// Hands a paste on once it has ended.
    fn end_paste(&mut self, out: &mut Vec<Event>) {
        let At::Paste(text) = &mut self.at else {
            return;
        };
        if text.ends_with(PASTE_END) {
            text.truncate(text.len() - PASTE_END.len());
            text.truncate(LONGEST_PASTE);
            let text = String::from_utf8_lossy(text).into_owned();
            out.push(Event::Paste(text));
            self.at = At::Ground;
        }
    }
}

/// Takes the bytes of a paste up to its end; returns what comes after them.
fn paste<'a>(text: &mut Vec<u8>, bytes: &'a [u8]) -> &'a [u8] {
    // The end may lie across two reads, so the last bytes of the one before are looked at again.
    let before = text.len().min(PASTE_END.len() - 1);
    let mut seam = text[text.len() - before..].to_vec();
    seam.extend_from_slice(&bytes[..bytes.len().min(PASTE_END.len() - 1)]);
    let across = find(&seam).map(|at| at + PASTE_END.len() - before);
    let within = || find(bytes).map(|at| at + PASTE_END.len());
    let taken = across.or_else(within).unwrap_or(bytes.len());
    // Beyond the bound only the end is looked for.
    if text.len() > LONGEST_PASTE + 2 * PASTE_END.len() {
        let keep = text.split_off(text.len() - before);
        text.truncate(LONGEST_PASTE);
        text.extend(keep);
    }
    text.extend_from_slice(&bytes[..taken]);
    &bytes[taken..]
}

fn find(bytes: &[u8]) -> Option<usize> {
    bytes
        .windows(PASTE_END.len())
        .position(|window| window == PASTE_END)
}

fn ground(byte: u8, out: &mut Vec<Event>) -> At {
    match byte {
        0x1b => return At::Escape,
        0..=0x7f => out.push(one_byte(byte)),
        _ if length(byte) > 0 => return At::Character(vec![byte], length(byte)),
        _ => {} // no text begins so
    }
    At::Ground
}

/// The byte after Esc.
fn escaped(byte: u8, out: &mut Vec<Event>) -> At {
    match byte {
        b'[' => At::Csi(Vec::new()),
        b'O' => At::Ss3,
        b']' | b'P' | b'_' | b'^' => At::Answer(byte, 0),
        0x1b => {
            out.push(esc());
            At::Escape
        }
        // Esc and a key that came with it are two keys.
        other => {
            out.push(esc());
            ground(other, out)
        }
    }
}

fn csi(mut parameters: Vec<u8>, byte: u8, out: &mut Vec<Event>) -> At {
    match byte {
        0x1b => At::Escape, // broken off
        b'M' if parameters.is_empty() => At::OldMouse(Vec::new()),
        // The console of Linux: ESC [ [ A is F1.
        b'[' if parameters.is_empty() => {
            parameters.push(byte);
            At::Csi(parameters)
        }
        0x20..=0x3f => {
            // No key has so many; of an answer it does not matter.
            if parameters.len() < 64 {
                parameters.push(byte);
            }
            At::Csi(parameters)
        }
        0x40..=0x7e if parameters == b"200" && byte == b'~' => At::Paste(Vec::new()),
        0x40..=0x7e => {
            out.extend(csi::event(&parameters, byte));
            At::Ground
        }
        // A control byte within a sequence breaks it off.
        0..=0x1f => ground(byte, out),
        _ => At::Ground,
    }
}

/// A byte of an answer; of an answer that cannot be one it was keys.
fn answer(kind: u8, length: usize, byte: u8, out: &mut Vec<Event>) -> At {
    match byte {
        0x07 | 0x18 | 0x1a if length > 0 => At::Ground,
        0x1b => At::AnswerEscape(kind, length),
        // No person types the first character of an answer within [`PATIENCE`].
        0x20.. if length < LONGEST_ANSWER => At::Answer(kind, length + 1),
        _ if length == 0 => {
            out.extend([esc(), character(char::from(kind))]);
            ground(byte, out)
        }
        _ => At::Ground,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn events(pieces: &[&[u8]]) -> Vec<Event> {
        let mut decoder = Decoder::default();
        let mut out = Vec::new();
        for piece in pieces {
            decoder.feed(piece, &mut out);
        }
        decoder.rest(&mut out);
        out
    }

    fn keys(pieces: &[&[u8]]) -> String {
        let name = |event: &Event| match event {
            Event::Key(key) => match key.code {
                KeyCode::Char(c) if key.modifiers == KeyModifiers::CONTROL => format!("^{c}"),
                KeyCode::Char(c) => c.to_string(),
                other => format!("<{other:?}>"),
            },
            other => format!("<{other:?}>"),
        };
        events(pieces).iter().map(name).collect()
    }

    #[test]
    fn esc_and_a_key_that_comes_with_it_are_two_keys() {
        assert_eq!(keys(&[b"\x1bq"]), "<Esc>q");
        assert_eq!(keys(&[b"\x1b", b"q"]), "<Esc>q");
        assert_eq!(keys(&[b"\x1b\x1b"]), "<Esc><Esc>");
        assert_eq!(keys(&[b"\x1b\r"]), "<Esc><Enter>");
        assert_eq!(keys(&["\x1bé".as_bytes()]), "<Esc>é");
        assert_eq!(keys(&[b"\x1b["]), "<Esc>[");
        assert_eq!(keys(&[b"\x1b]"]), "<Esc>]");
        assert_eq!(keys(&[b"\x1bP"]), "<Esc>P");
        assert_eq!(keys(&[b"\x1bO"]), "<Esc>O");
        assert_eq!(keys(&[b"\x1bOx"]), "<Esc>Ox");
    }

    #[test]
    fn answers_of_a_terminal_are_never_keys_and_swallow_none() {
        for reply in [
            "\x1b]11;rgb:1e1e/1e1e/2e2e\x1b\\",
            "\x1b]4;1;rgb:cccc/0000/0000\x07",
            "\x1b]52;c;cXVpdA==\x07",
            "\x1b[?64;1;2;6;9;15;18;21;22c",
            "\x1b[>41;354;0c",
            "\x1b[=0c",
            "\x1bP!|00000000\x1b\\",
            "\x1bP>|XTerm(354)\x1b\\",
            "\x1bP1$r0m\x1b\\",
            "\x1b_Gi=1;OK\x1b\\",
            "\x1b[12;40R",
            "\x1b[?12;40R",
            "\x1b[0n",
            "\x1b[?2026;2$y",
            "\x1b[8;40;120t",
            "\x1b[?0u",
            "\x1b]l title q\x1b\\",
        ] {
            let bytes = format!("a{reply}b");
            let whole = keys(&[bytes.as_bytes()]);
            assert_eq!(whole, "ab", "{reply:?}");
            for at in 2..bytes.len() {
                let (one, two) = bytes.as_bytes().split_at(at);
                assert_eq!(keys(&[one, two]), "ab", "{reply:?} at {at}");
            }
        }
    }

    #[test]
    fn answer_that_comes_slowly_is_still_none_of_keys() {
        let mut decoder = Decoder::default();
        let mut out = Vec::new();
        for piece in [
            &b"\x1b]11;rg"[..],
            b"b:1e1e/1e",
            b"1e/2e2e\x1b",
            b"\\",
            b"q",
        ] {
            decoder.feed(piece, &mut out);
            decoder.rest(&mut out);
        }
        assert_eq!(out, [character('q')]);
    }

    #[test]
    fn answer_that_never_ends_takes_no_key_for_longer_than_a_second() {
        let mut decoder = Decoder::default();
        let mut out = Vec::new();
        decoder.feed(b"\x1b]1", &mut out);
        for _ in 0..=MOST_SILENT {
            assert!(decoder.waits());
            decoder.rest(&mut out);
        }
        assert!(!decoder.waits());
        decoder.feed(b"q", &mut out);
        assert_eq!(out, [character('q')]);
    }

    #[test]
    fn keys_of_several_bytes_are_read_whole_or_in_pieces() {
        for (bytes, wanted) in [
            (&b"\x1b[A"[..], "<Up>"),
            (b"\x1bOB", "<Down>"),
            (b"\x1b[1;5C", "<Right>"),
            (b"\x1b[5~", "<PageUp>"),
            (b"\x1b[6;2~", "<PageDown>"),
            (b"\x1b[Z", "<BackTab>"),
            (b"\x1b[1~", "<Home>"),
            (b"\x1b[8~", "<End>"),
            (b"\x1b[3~", "<Delete>"),
            (b"\x1b[15~", "<F(5)>"),
            (b"\x1b[[A", "<F(1)>"),
            (b"\x1b[I", "<FocusGained>"),
            ("中".as_bytes(), "中"),
            ("👩".as_bytes(), "👩"),
            (b"\x01", "^a"),
            (b"\x1f", "^7"),
        ] {
            assert_eq!(keys(&[bytes]), wanted, "{bytes:?}");
            for at in 1..bytes.len() {
                let (one, two) = bytes.split_at(at);
                assert_eq!(keys(&[one, two]), wanted, "{bytes:?} at {at}");
            }
        }
        assert_eq!(
            keys(&[b"\xff\xc3q\x80r"]),
            "qr",
            "what is no text is dropped"
        );
    }

    #[test]
    fn paste_ends_where_its_mark_is_even_across_reads() {
        let bytes = b"\x1b[200~one\x1b[2two\r\x1b[201~q";
        let wanted = [Event::Paste("one\x1b[2two\r".into()), character('q')];
        for at in 0..bytes.len() {
            let (one, two) = bytes.split_at(at);
            if at != 1 && at != 2 {
                assert_eq!(events(&[one, two]), wanted, "at {at}");
            }
        }
        let mut decoder = Decoder::default();
        let mut out = Vec::new();
        let began = std::time::Instant::now();
        let large = [&b"\x1b[200~"[..], &vec![b'x'; 1 << 20], b"\x1b[201~"].concat();
        for piece in large.chunks(1_024) {
            decoder.feed(piece, &mut out);
        }
        assert_eq!(out, [Event::Paste("x".repeat(1 << 20))]);
        assert!(began.elapsed().as_millis() < 1_000, "{:?}", began.elapsed());
    }

    proptest! {
        #[test]
        fn bytes_in_any_pieces_mean_the_same(bytes in proptest::collection::vec(any::<u8>(), 0..80), at in 0usize..80) {
            let (one, two) = bytes.split_at(at.min(bytes.len()));
            let mut whole = (Decoder::default(), Vec::new());
            whole.0.feed(&bytes, &mut whole.1);
            let mut pieces = (Decoder::default(), Vec::new());
            pieces.0.feed(one, &mut pieces.1);
            pieces.0.feed(two, &mut pieces.1);
            prop_assert_eq!(whole.1, pieces.1);
        }
    }
}
