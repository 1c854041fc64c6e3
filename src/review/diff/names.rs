//! Names and numbers in a diff's headers: quoted, cut by tabs, in any encoding.

use crate::text::Untrusted;

/// Path bytes as text. Bytes that are not UTF-8 stay visible as `\xNN`.
pub(super) fn lossy(bytes: &[u8]) -> Untrusted {
    let mut out = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        out.push_str(chunk.valid());
        for byte in chunk.invalid() {
            out.push_str(&format!("\\x{byte:02X}"));
        }
    }
    Untrusted::new(out)
}

/// A name as it stands in a header: C-quoted, or plain up to a tab.
pub(super) fn file_name(raw: &[u8]) -> Vec<u8> {
    if raw.first() == Some(&b'"') {
        return unquote(raw).0;
    }
    let end = raw.iter().position(|b| *b == b'\t').unwrap_or(raw.len());
    raw[..end].to_vec()
}

/// Undoes git's C quoting; also returns how many bytes of the input it took.
pub(super) fn unquote(raw: &[u8]) -> (Vec<u8>, usize) {
    let mut out = Vec::with_capacity(raw.len());
    let mut at = 1;
    while let Some(&byte) = raw.get(at) {
        at += 1;
        match byte {
            b'"' => break,
            b'\\' => {
                let Some(&next) = raw.get(at) else { break };
                at += 1;
                match next {
                    b'0'..=b'7' => {
                        let mut value = u32::from(next - b'0');
                        while let Some(digit @ b'0'..=b'7') = raw.get(at) {
                            value = value * 8 + u32::from(digit - b'0');
                            at += 1;
                            if value > 31 {
                                break;
                            }
                        }
                        out.push(value as u8);
                    }
                    b'n' => out.push(b'\n'),
                    b't' => out.push(b'\t'),
                    b'r' => out.push(b'\r'),
                    b'a' => out.push(7),
                    b'b' => out.push(8),
                    b'v' => out.push(11),
                    b'f' => out.push(12),
                    other => out.push(other),
                }
            }
            other => out.push(other),
        }
    }
    (out, at)
}

/// The name in `diff --git a/NAME b/NAME` when nothing else in the head names the file.
pub(super) fn git_line_name(line: &[u8]) -> Option<Vec<u8>> {
    let rest = line.splitn(3, |b| *b == b' ').nth(2)?;
    if rest.first() == Some(&b'"') {
        let (_, taken) = unquote(rest);
        let second = rest.get(taken..)?.trim_ascii_start();
        let name = file_name(second);
        return Some(name.strip_prefix(b"b/").map(<[u8]>::to_vec).unwrap_or(name));
    }
    if line.starts_with(b"diff --cc ") || line.starts_with(b"diff --combined ") {
        return Some(rest.to_vec());
    }
    // Both names are the same here, so the line is `a/X b/X` and splits in the middle.
    let middle = rest.len() / 2;
    (rest.get(middle) == Some(&b' ')).then(|| {
        let name = &rest[middle + 1..];
        name.strip_prefix(b"b/").unwrap_or(name).to_vec()
    })
}

pub(super) fn octal(text: &[u8]) -> Option<u32> {
    u32::from_str_radix(std::str::from_utf8(text).ok()?.trim(), 8).ok()
}

/// How far a hunk has been read on one side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Count {
    /// Number of the next line, from 1.
    pub(super) at: u32,
    /// Lines still to come.
    pub(super) left: u32,
}

impl Count {
    /// Saturating: a header may lie about its counts.
    pub(super) fn step(&mut self) {
        self.at = self.at.saturating_add(1);
        self.left = self.left.saturating_sub(1);
    }
}

/// What a hunk's header says of its sides: a parent or several, and the new file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Range {
    pub(super) old: Vec<Count>,
    pub(super) new: Count,
}

/// Most parents of a merge.
const MOST_PARENTS: usize = 64;

/// Reads `@@ -a,b +c,d @@`, or with one more `@` and one more `-a,b` for each further parent. What follows (a
/// function's heading, in any encoding) is not read.
pub(super) fn hunk_range(line: &[u8]) -> Option<Range> {
    let ats = line.iter().take_while(|b| **b == b'@').count();
    let parents = ats
        .checked_sub(1)
        .filter(|n| (1..=MOST_PARENTS).contains(n))?;
    let rest = line[ats..].strip_prefix(b" ")?;
    let close = [&b" "[..], &line[..ats]].concat();
    let end = memchr::memmem::find(rest, &close)?;
    let text = std::str::from_utf8(&rest[..end]).ok()?;
    let mut parts = text.split(' ');
    let mut side = |sign: char| -> Option<Count> {
        let part = parts.next()?.strip_prefix(sign)?;
        let (at, left) = part.split_once(',').unwrap_or((part, "1"));
        Some(Count {
            at: at.parse().ok()?,
            left: left.parse().ok()?,
        })
    };
    let old = (0..parents)
        .map(|_| side('-'))
        .collect::<Option<Vec<_>>>()?;
    let new = side('+')?;
    Some(Range { old, new })
}
