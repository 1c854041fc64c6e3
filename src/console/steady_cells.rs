//! Characters on whose width terminals disagree, drawn as something on which they agree.
//!
//! A flag, a family or a keycap is one column in one terminal and four in the next. What stands after it is then
//! drawn somewhere else than it is believed to be, and is left there when it changes. So of such a cluster
//! the first character is drawn, in the columns that were kept for it, and of a flag its letters.

use ratatui::buffer::Buffer;
use unicode_width::{UnicodeWidthChar as _, UnicodeWidthStr as _};

/// Drawn where nothing of the cluster fits into its columns.
const NEITHER: &str = "?";

/// Replaces such clusters in all cells.
pub fn settle(buffer: &mut Buffer) {
    let width = usize::from(buffer.area.width);
    for at in 0..buffer.content.len() {
        if buffer.content[at].symbol().len() <= 1 {
            continue;
        }
        let Some(pieces) = steady(buffer.content[at].symbol()) else {
            continue;
        };
        // A piece never leaves its row: the cluster had these columns already.
        let room = width - at % width;
        let mut column = 0;
        for piece in pieces {
            if column < room {
                buffer.content[at + column].set_symbol(&piece);
            }
            column += piece.width().max(1);
        }
    }
}

/// The letter of a regional indicator; two of them are a flag.
fn letter(c: char) -> Option<char> {
    let n = (c as u32).checked_sub(0x1_f1e6).filter(|n| *n < 26)?;
    char::from_u32(u32::from(b'A') + n)
}

/// What is drawn instead, a piece for each cell that begins something; `None`: all terminals draw it alike.
///
/// Why a cell each: a cell that is overwritten is known to be free again only in the column where it begins. What is
/// two narrow characters in one cell would leave the second one behind.
fn steady(cluster: &str) -> Option<Vec<String>> {
    let first = cluster.chars().next()?;
    let kept = cluster.width();
    if letter(first).is_some() {
        let letters = cluster.chars().filter_map(letter).take(kept);
        return Some(letters.map(String::from).collect());
    }
    if cluster.len() == first.len_utf8() {
        return None;
    }
    let mut pieces: Vec<String> = Vec::new();
    // A terminal that knows nothing of clusters adds the characters up.
    let mut added = 0;
    for c in cluster.chars() {
        let wide = c.width().unwrap_or(0);
        added += wide;
        match pieces.last_mut() {
            Some(last) if wide == 0 => last.push(c),
            _ => pieces.push(c.to_string()),
        }
    }
    let joined = cluster.contains(['\u{200d}', '\u{fe0e}', '\u{fe0f}', '\u{20e3}']);
    let apart = pieces.iter().all(|piece| piece.width() > 0);
    if added == kept && !joined && apart {
        return (pieces.len() > 1).then_some(pieces);
    }
    match first.width() {
        Some(wide) if (1..=kept).contains(&wide) => Some(vec![first.to_string()]),
        _ => Some(vec![NEITHER.to_owned()]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::layout::Rect;
    use ratatui::style::Style;

    /// Columns in a terminal that adds characters up.
    fn added(symbol: &str) -> usize {
        symbol.chars().map(|c| c.width().unwrap_or(0)).sum()
    }

    #[test]
    fn cluster_takes_the_columns_that_are_kept_for_it_in_every_terminal() {
        for text in [
            "🇩🇪x",
            "🇩x",
            "👩\u{200d}👩\u{200d}👧x",
            "❤\u{fe0f}x",
            "👍🏽x",
            "1\u{fe0f}\u{20e3}x",
            "⌚\u{fe0e}x",
            "ﾊﾟx",
            "ｶﾞx",
            "🏴\u{e0067}\u{e0062}\u{e007f}x",
            "e\u{301}x",
            "한x",
            "\u{1112}\u{1161}\u{11ab}x",
            "क्षx",
            "กำx",
            "中x",
        ] {
            let mut buffer = Buffer::empty(Rect::new(0, 0, 12, 1));
            buffer.set_string(0, 0, text, Style::default());
            let x = (0..12)
                .find(|x| buffer[(*x, 0)].symbol() == "x")
                .unwrap_or_default();
            settle(&mut buffer);
            // A writer that skips the cells which a wide symbol covers, as it believes.
            let (mut believed, mut really) = (0, 0);
            while believed < x {
                let symbol = buffer[(believed, 0)].symbol();
                believed += symbol.width().max(1) as u16;
                really += added(symbol);
            }
            assert_eq!(
                (believed, really),
                (x, usize::from(x)),
                "{text:?}: {buffer:?}"
            );
        }
    }

    /// A terminal that frees no other half of what is overwritten, and knows nothing of clusters.
    fn write(line: &mut [String], buffer: &Buffer, before: &Buffer) {
        for (x, _, cell) in before.diff(buffer) {
            let mut at = usize::from(x);
            for c in cell.symbol().chars() {
                let wide = c.width().unwrap_or(0);
                if wide > 0 && at < line.len() {
                    line[at] = c.to_string();
                    for half in line.iter_mut().skip(at + 1).take(wide - 1) {
                        half.clear();
                    }
                }
                at += wide;
            }
        }
    }

    #[test]
    fn nothing_is_left_behind_where_a_cluster_stood() {
        for text in [
            "🇩🇪",
            "ﾊﾟﾊﾟ",
            "❤\u{fe0f}",
            "1\u{fe0f}\u{20e3}",
            "👍🏽",
            "क्ष",
            "กำ",
        ] {
            let area = Rect::new(0, 0, 8, 1);
            let (blank, mut drawn) = (Buffer::empty(area), Buffer::empty(area));
            drawn.set_string(0, 0, text, Style::default());
            settle(&mut drawn);
            let mut line = vec![" ".to_owned(); 8];
            write(&mut line, &drawn, &blank);
            assert_ne!(line.concat().trim(), "", "{text:?}");
            write(&mut line, &blank, &drawn);
            let rest = line.concat();
            assert_eq!(rest.trim(), "", "{text:?} leaves {rest:?}");
        }
    }

    #[test]
    fn flag_is_drawn_as_its_letters_and_plain_text_as_it_is() {
        assert_eq!(steady("🇩🇪"), Some(vec!["D".to_owned(), "E".to_owned()]));
        assert_eq!(steady("❤\u{fe0f}"), Some(vec!["❤".to_owned()]));
        for plain in ["a", "é", "中", "e\u{301}", "─", "👩"] {
            assert_eq!(steady(plain), None, "{plain}");
        }
    }
}
