//! A hunk's lines as the program that consumes the file reads them: UTF-16 and UTF-32 decoded, and bytes
//! that hide a word from a rule taken out.
//!
//! Why: git splits every file at the byte 0x0A and hands on whatever lies between. A PowerShell script in
//! UTF-16, or a word with a NUL in it, runs all the same and matches no rule that looks at single bytes.

use super::diff::{Hunk, LINE_WINDOW, Line, Side};

/// Encodings with more than one byte for every character.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wide {
    Utf16Le,
    Utf16Be,
    Utf32Le,
    Utf32Be,
}

/// What can be read of a hunk.
#[derive(Debug)]
pub(super) enum Reading {
    /// Its bytes are its text.
    AsIs,
    /// Its lines, decoded into UTF-8.
    Decoded(Hunk),
    /// It looks like UTF-16 or UTF-32, and is neither.
    Undecodable,
}

/// Byte-order marks; the longer ones first, since one begins with another.
const MARKS: [(&[u8], Wide); 4] = [
    (&[0xFF, 0xFE, 0, 0], Wide::Utf32Le),
    (&[0, 0, 0xFE, 0xFF], Wide::Utf32Be),
    (&[0xFF, 0xFE], Wide::Utf16Le),
    (&[0xFE, 0xFF], Wide::Utf16Be),
];

impl Wide {
    fn unit(self) -> usize {
        match self {
            Self::Utf16Le | Self::Utf16Be => 2,
            Self::Utf32Le | Self::Utf32Be => 4,
        }
    }

    fn is_little(self) -> bool {
        matches!(self, Self::Utf16Le | Self::Utf32Le)
    }

    /// One line between two bytes 0x0A. The line break's own other bytes stand at the start of the next
    /// line (little-endian) or at the end of this one (big-endian).
    fn line(self, bytes: &[u8], may_have_mark: bool) -> Option<String> {
        let unit = self.unit();
        let mark = MARKS
            .iter()
            .find(|(mark, wide)| may_have_mark && *wide == self && bytes.starts_with(mark));
        let bytes = mark.map_or(bytes, |(mark, _)| &bytes[mark.len()..]);
        let rest = bytes.len() % unit;
        let bytes = match rest {
            0 => bytes,
            n if n == unit - 1 && self.is_little() && bytes[..n].iter().all(|b| *b == 0) => {
                &bytes[n..]
            }
            n if n == unit - 1 && !self.is_little() => {
                let (text, tail) = bytes.split_at(bytes.len() - n);
                tail.iter().all(|b| *b == 0).then_some(text)?
            }
            _ => return None,
        };
        let text = match self {
            Self::Utf16Le | Self::Utf16Be => {
                let units = bytes.chunks_exact(2).map(|pair| {
                    let pair = [pair[0], pair[1]];
                    if self.is_little() {
                        u16::from_le_bytes(pair)
                    } else {
                        u16::from_be_bytes(pair)
                    }
                });
                char::decode_utf16(units)
                    .collect::<Result<String, _>>()
                    .ok()?
            }
            Self::Utf32Le | Self::Utf32Be => bytes
                .chunks_exact(4)
                .map(|four| {
                    let four = [four[0], four[1], four[2], four[3]];
                    char::from_u32(if self.is_little() {
                        u32::from_le_bytes(four)
                    } else {
                        u32::from_be_bytes(four)
                    })
                })
                .collect::<Option<String>>()?,
        };
        let odd = |c: char| {
            c == '\0' || (c.is_control() && !matches!(c, '\t' | '\r' | '\u{c}' | '\u{1b}'))
        };
        if reads_as_ascii(bytes) {
            return None;
        }
        let text = text.strip_suffix('\r').unwrap_or(&text);
        (!text.chars().any(odd)).then(|| text.to_owned())
    }

    fn hunk(self, hunk: &Hunk) -> Option<Hunk> {
        let lines = hunk
            .lines
            .iter()
            .map(|line| {
                // A line that was cut into windows has lost its alignment.
                let whole = line.text.len() + 8 < LINE_WINDOW;
                let text = self.line(&line.text, line.number == 1).filter(|_| whole);
                match text {
                    Some(text) => Some(Line {
                        text: text.into_bytes(),
                        ..line.clone()
                    }),
                    // The old file may have been in another encoding.
                    None if line.side == Side::Removed => Some(line.clone()),
                    None => None,
                }
            })
            .collect::<Option<Vec<_>>>()?;
        Some(Hunk { lines, ..*hunk })
    }
}

/// A row of printable ASCII that is too long for chance: a program that heeds no byte-order mark reads it, and
/// the text that is decoded from it means nothing.
fn reads_as_ascii(bytes: &[u8]) -> bool {
    const TOO_LONG: usize = 6;
    let runs = bytes.split(|b| !matches!(b, b'\t' | b' '..=b'~'));
    runs.map(<[u8]>::len).max().unwrap_or(0) >= TOO_LONG
}

/// Reads a hunk; `known` is what an earlier hunk of the same file was written in.
pub(super) fn read(hunk: &Hunk, known: &mut Option<Wide>) -> Reading {
    let new = || hunk.lines.iter().filter(|l| l.side != Side::Removed);
    let marked = new().filter(|l| l.number == 1).find_map(|l| {
        let mut marks = MARKS.iter();
        marks
            .find(|(mark, _)| l.text.starts_with(mark))
            .map(|(_, wide)| *wide)
    });
    let bytes: usize = new().map(|l| l.text.len()).sum();
    let zeros: usize = new().map(|l| memchr::memchr_iter(0, &l.text).count()).sum();
    let candidates = match (marked, *known) {
        (Some(wide), _) | (None, Some(wide)) => vec![wide],
        (None, None) if zeros > 0 && zeros * 5 >= bytes => {
            vec![Wide::Utf32Le, Wide::Utf32Be, Wide::Utf16Le, Wide::Utf16Be]
        }
        (None, None) => return Reading::AsIs,
    };
    for wide in candidates {
        if let Some(decoded) = wide.hunk(hunk) {
            *known = Some(wide);
            return Reading::Decoded(decoded);
        }
    }
    Reading::Undecodable
}

/// Bytes in a text that are no part of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Odd {
    /// Index of the first added line with a NUL.
    pub(super) nul: Option<usize>,
    /// Index of the first added line with bytes that are not UTF-8.
    pub(super) invalid: Option<usize>,
}

/// The hunk without NULs and without bytes that are not UTF-8; `None` where it has neither.
pub(super) fn without_odd_bytes(hunk: &Hunk) -> Option<(Hunk, Odd)> {
    let odd = |line: &Line| {
        memchr::memchr(0, &line.text).is_some() || std::str::from_utf8(&line.text).is_err()
    };
    if !hunk.lines.iter().any(odd) {
        return None;
    }
    let added = |has: fn(&[u8]) -> bool| {
        hunk.lines
            .iter()
            .position(|l| l.side == Side::Added && has(&l.text))
    };
    let found = Odd {
        nul: added(|text| memchr::memchr(0, text).is_some()),
        invalid: added(|text| std::str::from_utf8(text).is_err()),
    };
    let lines = hunk.lines.iter().map(|line| {
        let mut text = Vec::with_capacity(line.text.len());
        for chunk in line.text.utf8_chunks() {
            text.extend(chunk.valid().bytes().filter(|b| *b != 0));
        }
        Line {
            text,
            ..line.clone()
        }
    });
    let clean = Hunk {
        lines: lines.collect(),
        ..*hunk
    };
    Some((clean, found))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hunk(lines: &[&[u8]]) -> Hunk {
        Hunk {
            lines: lines
                .iter()
                .enumerate()
                .map(|(i, text)| Line {
                    side: Side::Added,
                    number: i as u32 + 1,
                    text: text.to_vec(),
                })
                .collect(),
            repeated: 0,
            held_back: 0,
        }
    }

    /// A text as git hands it on: encoded, then split at 0x0A.
    fn encoded(text: &str, wide: Wide, mark: bool) -> Hunk {
        let mut bytes = Vec::new();
        if mark {
            let mark = MARKS.iter().find(|(_, w)| *w == wide).unwrap().0;
            bytes.extend_from_slice(mark);
        }
        for c in text.chars() {
            let mut units = [0; 2];
            match wide {
                Wide::Utf16Le => bytes.extend(
                    c.encode_utf16(&mut units)
                        .iter()
                        .flat_map(|u| u.to_le_bytes()),
                ),
                Wide::Utf16Be => bytes.extend(
                    c.encode_utf16(&mut units)
                        .iter()
                        .flat_map(|u| u.to_be_bytes()),
                ),
                Wide::Utf32Le => bytes.extend((c as u32).to_le_bytes()),
                Wide::Utf32Be => bytes.extend((c as u32).to_be_bytes()),
            }
        }
        let lines: Vec<&[u8]> = bytes.split(|b| *b == b'\n').collect();
        hunk(&lines)
    }

    fn text(reading: Reading) -> Vec<String> {
        match reading {
            Reading::Decoded(hunk) => hunk
                .lines
                .into_iter()
                .map(|l| String::from_utf8(l.text).unwrap())
                .collect(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn wide_text_with_and_without_mark_is_decoded() {
        let script = "$t = \"token\"\r\nWrite-Host \"é – ✓ 🎉\"\r\n";
        for wide in [Wide::Utf16Le, Wide::Utf16Be, Wide::Utf32Le, Wide::Utf32Be] {
            for mark in [true, false] {
                let lines = text(read(&encoded(script, wide, mark), &mut None));
                assert_eq!(lines[0], "$t = \"token\"", "{wide:?} {mark}");
                assert_eq!(lines[1], "Write-Host \"é – ✓ 🎉\"", "{wide:?} {mark}");
            }
        }
        let chinese = text(read(
            &encoded("令牌 = 值\n", Wide::Utf16Le, true),
            &mut None,
        ));
        assert_eq!(chinese[0], "令牌 = 值");
        // A later hunk has no mark; the file's first one told.
        let mut known = None;
        read(&encoded("令牌\n", Wide::Utf16Be, true), &mut known);
        let mut later = encoded("值值\n", Wide::Utf16Be, false);
        later.lines[0].number = 40;
        assert_eq!(text(read(&later, &mut known))[0], "值值");
    }

    #[test]
    fn wide_text_that_is_broken_is_undecodable_and_plain_text_stays() {
        for broken in [
            &[b"\xFF\xFEa\0b".as_slice()][..],
            &[b"\xFF\xFE\x00\xD8a\0".as_slice()],
            &[b"a\0\0b\0c\0\0\0d".as_slice()],
            // Both readings are possible.
            &[b"\xFF\xFE".as_slice(), b"eval($x);;"],
            &[b"\xFF\xFEa\0", b"\0eval($x);;"],
        ] {
            assert!(
                matches!(read(&hunk(broken), &mut None), Reading::Undecodable),
                "{broken:?}"
            );
        }
        for plain in ["plain", "naïve café", "a\0b and a lot more text than zeros"] {
            assert!(
                matches!(read(&hunk(&[plain.as_bytes()]), &mut None), Reading::AsIs),
                "{plain}"
            );
        }
    }

    #[test]
    fn odd_bytes_are_taken_out_and_named() {
        let (clean, odd) = without_odd_bytes(&hunk(&[b"ok", b"c\0url", b"x \xFF y"])).unwrap();
        assert_eq!(clean.lines[1].text, b"curl");
        assert_eq!(clean.lines[2].text, b"x  y");
        assert_eq!((odd.nul, odd.invalid), (Some(1), Some(2)));
        assert!(without_odd_bytes(&hunk(&["naïve".as_bytes()])).is_none());
    }
}
