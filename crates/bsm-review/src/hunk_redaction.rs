//! Which lines of a hunk hold secrets, and the lines as they may be kept.
//!
//! A key may be whole among the added lines, in the new file or in the old one, or cut by the border of
//! two hunks so that no BEGIN is near: every view is searched, and bodies of keys are known by their look.

use super::budget::Budget;
use super::diff::{Hunk, Line};
use super::entropy::entropy;
use super::hunk_views::{Joined, PreparedViews, View};
use super::redact::Redactor;

/// Lines that look like the body of a key (or of another encoded secret): three or more in a row of long
/// base64 without words, and a shorter last one. A key may be cut by the border of two hunks, so that no
/// BEGIN is near.
pub(super) fn key_body(hunk: &Hunk, view: &Joined) -> Vec<usize> {
    const LONG: usize = 40;
    let is_base64 = |text: &[u8], least: usize| {
        let text = text.trim_ascii();
        let body = text.strip_suffix(b"=").unwrap_or(text);
        let body = body.strip_suffix(b"=").unwrap_or(body);
        body.len() >= least
            && body.len() <= 128
            && body
                .iter()
                .all(|b| b.is_ascii_alphanumeric() || *b == b'+' || *b == b'/')
    };
    let dense = |text: &[u8]| is_base64(text, LONG) && entropy(text.trim_ascii()) > 4.3;
    let mut found = Vec::new();
    let mut at = 0;
    while at < view.starts.len() {
        let run = view.starts[at..]
            .iter()
            .take_while(|(_, i)| dense(&hunk.lines[*i].text))
            .count();
        let public = run >= 3 && is_inside_public_block(hunk, &view.starts[..at]);
        if run >= 3 && !public {
            let tail = view
                .starts
                .get(at + run)
                .is_some_and(|(_, i)| is_base64(&hunk.lines[*i].text, 4));
            found.extend(
                view.starts[at..at + run + usize::from(tail)]
                    .iter()
                    .map(|(_, i)| *i),
            );
        }
        at += run.max(1);
    }
    found
}

/// A certificate, a public key or a message says so above its body, perhaps with lines of its head between.
fn is_inside_public_block(hunk: &Hunk, above: &[(usize, usize)]) -> bool {
    const FAR: usize = 400;
    for (_, index) in above.iter().rev().take(FAR) {
        let line = &hunk.lines[*index].text;
        let has = |word: &str| memchr::memmem::find(line, word.as_bytes()).is_some();
        if has("-----END ") {
            return false;
        }
        if has("-----BEGIN ") {
            return !has("PRIVATE");
        }
    }
    false
}

/// Every line of a hunk with its secrets replaced. Three views are searched, since a key may be
/// whole among the added lines, in the new file, or in the old one. `None` when the time is over: then
/// nothing of it may be kept.
pub(super) fn redact_lines(
    redactor: &Redactor,
    hunk: &Hunk,
    views: &PreparedViews,
    budget: &Budget,
) -> Option<Vec<String>> {
    // For each line, the byte ranges to hide and their mark (shown at the first of them).
    let mut hidden: Vec<Vec<(usize, usize, String)>> = vec![Vec::new(); hunk.lines.len()];
    for view in [View::Added, View::New, View::Old] {
        // Not the same text as one already searched, and not nothing.
        let Some((joined, prepared)) = views.distinct(view) else {
            continue;
        };
        let spans = redactor.spans_of(prepared, budget);
        if budget.look() {
            return None;
        }
        for index in key_body(hunk, joined) {
            let whole = hunk.lines[index].text.len();
            hidden[index].push((0, whole, "‹redacted secrets/key-body›".to_owned()));
        }
        for (start, end, mark) in spans {
            let mut mark = Some(mark);
            let first = joined.position(start);
            for position in first..joined.starts.len() {
                let (line_start, index) = joined.starts[position];
                if line_start >= end {
                    break;
                }
                let line_end = joined
                    .starts
                    .get(position + 1)
                    .map_or(joined.text.len(), |(at, _)| *at)
                    - 1;
                if start < line_end {
                    let range = (
                        start.max(line_start) - line_start,
                        end.min(line_end) - line_start,
                    );
                    let mark = mark.take().unwrap_or_else(|| "‹redacted›".to_owned());
                    hidden[index].push((range.0, range.1, mark));
                }
            }
        }
    }
    let lines = hunk.lines.iter().zip(hidden);
    Some(lines.map(|(line, ranges)| mask(line, ranges)).collect())
}

pub(super) fn mask(line: &Line, mut ranges: Vec<(usize, usize, String)>) -> String {
    ranges.sort();
    let mut out = Vec::with_capacity(line.text.len());
    let mut at = 0;
    for (start, end, mark) in ranges {
        if end <= at {
            continue;
        }
        if start >= at {
            out.extend_from_slice(&line.text[at..start]);
            out.extend_from_slice(mark.as_bytes());
        }
        at = end;
    }
    out.extend_from_slice(&line.text[at..]);
    String::from_utf8_lossy(&out).into_owned()
}
