//! Names and numbers in a diff's headers: quoted, cut by tabs, in any encoding.

use bsm_base::text::Untrusted;

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

/// The two names of a `diff --git` line, as they stand there.
fn git_line_names(line: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let rest = line.splitn(3, |b| *b == b' ').nth(2)?;
    if rest.first() == Some(&b'"') {
        let (first, taken) = unquote(rest);
        let second = rest.get(taken..)?.trim_ascii_start();
        return Some((first, file_name(second)));
    }
    // Both names are the same here, so the line is `a/X b/X` and splits in the middle.
    let middle = rest.len() / 2;
    (rest.get(middle) == Some(&b' '))
        .then(|| (rest[..middle].to_vec(), rest[middle + 1..].to_vec()))
}

/// The name in `diff --git a/NAME b/NAME`; `None` where the line has two different names.
pub(super) fn git_line_name(line: &[u8]) -> Option<Vec<u8>> {
    if line.starts_with(b"diff --cc ") || line.starts_with(b"diff --combined ") {
        let rest = line.splitn(3, |b| *b == b' ').nth(2)?;
        return Some(file_name(rest));
    }
    let (old, new) = git_line_names(line)?;
    let prefixes = Prefixes::of_pair(&old, &new);
    let (old, new) = (prefixes.strip_old(old), prefixes.strip_new(new));
    (old == new).then_some(new)
}

/// Whether names carry git's one-letter prefixes (`a/` and `b/`; `i/`, `w/`, `c/`, `o/` with
/// `diff.mnemonicPrefix`; `1/` and `2/` without a repository).
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Prefixes {
    old: bool,
    new: bool,
}

impl Prefixes {
    /// From what the head says of both names; one of them may be `/dev/null`.
    pub(super) fn of(git_line: Option<&[u8]>, old: Option<&[u8]>, new: Option<&[u8]>) -> Self {
        let real = |n: Option<&[u8]>| n.filter(|n| *n != b"/dev/null").map(<[u8]>::to_vec);
        let (old, new) = (real(old), real(new));
        if let (Some(old), Some(new)) = (&old, &new) {
            return Self::of_pair(old, new);
        }
        match git_line.and_then(git_line_names) {
            Some((old, new)) => Self::of_pair(&old, &new),
            None => Self {
                old: old.is_some_and(|n| n.starts_with(b"a/")),
                new: new.is_some_and(|n| n.starts_with(b"b/")),
            },
        }
    }

    fn of_pair(old: &[u8], new: &[u8]) -> Self {
        const PAIRS: [(u8, u8); 6] = [
            (b'a', b'b'),
            (b'i', b'w'),
            (b'c', b'i'),
            (b'c', b'w'),
            (b'o', b'w'),
            (b'1', b'2'),
        ];
        let letter = |name: &[u8]| match name {
            [letter, b'/', ..] => Some(*letter),
            _ => None,
        };
        let both = match (letter(old), letter(new)) {
            // `git diff -R` exchanges them.
            (Some(a), Some(b)) => PAIRS.contains(&(a, b)) || PAIRS.contains(&(b, a)),
            _ => false,
        };
        Self {
            old: both,
            new: both,
        }
    }

    pub(super) fn strip_old(self, name: Vec<u8>) -> Vec<u8> {
        stripped(name, self.old)
    }

    pub(super) fn strip_new(self, name: Vec<u8>) -> Vec<u8> {
        stripped(name, self.new)
    }
}

fn stripped(name: Vec<u8>, prefixed: bool) -> Vec<u8> {
    if prefixed && name != b"/dev/null" {
        name[2..].to_vec()
    } else {
        name
    }
}

/// `old/src/x` and `new/src/x`: what `diff -r OLD NEW` writes.
pub(super) fn same_but_for_first_folder(old: &[u8], new: &[u8]) -> bool {
    let rest = |name: &[u8]| {
        let at = name.iter().position(|b| *b == b'/')?;
        Some(name[at..].to_vec())
    };
    rest(old).is_some_and(|r| Some(r) == rest(new))
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
    /// Its lines have no numbers that could be counted.
    pub(super) fn overflows(self) -> bool {
        self.at.checked_add(self.left).is_none()
    }

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
