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
    for cell in &mut buffer.content {
        if cell.symbol().len() > 1
            && let Some(steady) = steady(cell.symbol())
        {
            cell.set_symbol(&steady);
        }
    }
}

/// The letter of a regional indicator; two of them are a flag.
fn letter(c: char) -> Option<char> {
    let n = (c as u32).checked_sub(0x1_f1e6).filter(|n| *n < 26)?;
    char::from_u32(u32::from(b'A') + n)
}

/// What is drawn instead; `None`: all terminals draw it alike.
fn steady(cluster: &str) -> Option<String> {
    let first = cluster.chars().next()?;
    let kept = cluster.width();
    if letter(first).is_some() {
        let letters: String = cluster.chars().filter_map(letter).take(kept).collect();
        return Some(letters);
    }
    if cluster.len() == first.len_utf8() {
        return None;
    }
    // A terminal that knows nothing of clusters adds the characters up.
    let added: usize = cluster
        .chars()
        .filter_map(unicode_width::UnicodeWidthChar::width)
        .sum();
    let joined = cluster.contains(['\u{200d}', '\u{fe0e}', '\u{fe0f}', '\u{20e3}']);
    if added == kept && !joined {
        return None;
    }
    match first.width() {
        Some(wide) if (1..=kept).contains(&wide) => Some(first.to_string()),
        _ => Some(NEITHER.repeat(kept.min(1))),
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

    #[test]
    fn flag_is_drawn_as_its_letters_and_plain_text_as_it_is() {
        assert_eq!(steady("🇩🇪").as_deref(), Some("DE"));
        assert_eq!(steady("❤\u{fe0f}").as_deref(), Some("❤"));
        for plain in ["a", "é", "中", "e\u{301}", "─", "👩"] {
            assert_eq!(steady(plain), None, "{plain}");
        }
    }
}
