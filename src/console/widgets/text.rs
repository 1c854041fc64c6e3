//! Lines of text in exactly the columns that there are: cut, padded and wrapped by width, never through a
//! character.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::Widget as _;
use unicode_width::UnicodeWidthStr as _;

use crate::console::theme::{Mark, Role, Theme};

/// One line of text; what does not fit is cut, and the cut is marked.
pub fn put(buffer: &mut Buffer, area: Rect, text: &str, style: Style) {
    if area.is_empty() {
        return;
    }
    let width = usize::from(area.width);
    // Blanks at an end are no loss.
    if text.trim_end().width() <= width {
        buffer.set_stringn(area.x, area.y, text, width, style);
    } else {
        let theme = Theme {
            ascii: text.is_ascii(),
            ..Theme::default()
        };
        buffer.set_stringn(area.x, area.y, fit(theme, text, width), width, style);
    }
}

/// The `n`-th line of an area.
pub fn row(area: Rect, n: u16) -> Rect {
    if n >= area.height {
        Rect {
            width: 0,
            height: 0,
            ..area
        }
    } else {
        Rect {
            y: area.y + n,
            height: 1,
            ..area
        }
    }
}

/// A line of spans; what does not fit is cut, and the cut is marked.
pub fn line(buffer: &mut Buffer, area: Rect, spans: Vec<Span<'_>>) {
    if !area.is_empty() {
        let spans = cut(spans, usize::from(area.width));
        Line::from(spans).render(Rect { height: 1, ..area }, buffer);
    }
}

/// Spans that fit into `width` columns, the last one cut with a mark where they did not.
pub fn cut(spans: Vec<Span<'_>>, width: usize) -> Vec<Span<'_>> {
    if spans.iter().map(Span::width).sum::<usize>() <= width {
        return spans;
    }
    let ascii = spans.iter().all(|s| s.content.is_ascii());
    let theme = Theme {
        ascii,
        ..Theme::default()
    };
    // Room for the mark is kept from the start: the next span may be one wide character.
    let mut room = width;
    let mut out = Vec::with_capacity(spans.len());
    for span in spans {
        let wide = span.width();
        if wide + theme.signs().2.width() <= room {
            room -= wide;
            out.push(span);
        } else {
            let text = fit(theme, &format!("{}  ", span.content), room);
            out.push(Span::styled(text, span.style));
            break;
        }
    }
    out
}

/// A line of facts, the most important first; one that does not fit is left out whole, and so are those
/// after it. Nothing is cut in half.
pub fn facts(buffer: &mut Buffer, area: Rect, parts: Vec<Span<'_>>) {
    let mut room = usize::from(area.width);
    let mut fitting = Vec::with_capacity(parts.len());
    for part in parts {
        let wide = part.width();
        // Blanks at an end take no room that anybody sees.
        let needed = part.content.trim_end().width();
        if needed > room {
            break;
        }
        room = room.saturating_sub(wide);
        fitting.push(part);
    }
    line(buffer, area, fitting);
}

/// A line with a left and a right part; the right one wins where both do not fit.
pub fn spans(buffer: &mut Buffer, area: Rect, left: Vec<Span<'_>>, right: Vec<Span<'_>>) {
    if area.is_empty() {
        return;
    }
    let width = right
        .iter()
        .map(|s| s.content.width())
        .sum::<usize>()
        .min(usize::from(area.width)) as u16;
    let room = Rect {
        width: area.width - width,
        height: 1,
        ..area
    };
    Line::from(cut(left, usize::from(room.width))).render(room, buffer);
    Line::from(right).render(
        Rect {
            x: area.x + room.width,
            width,
            height: 1,
            ..area
        },
        buffer,
    );
}

/// A mark as a span.
pub fn mark(theme: Theme, mark: Mark) -> Vec<Span<'static>> {
    let (glyph, role) = theme.mark(mark);
    vec![Span::styled(glyph, theme.style(role))]
}

/// `text` in exactly `width` columns, cut or padded. Wide and right-to-left text keeps its column.
pub fn fit(theme: Theme, text: &str, width: usize) -> String {
    use unicode_segmentation::UnicodeSegmentation as _;
    let ellipsis = theme.signs().2;
    if text.width() <= width {
        return format!("{text}{}", " ".repeat(width - text.width()));
    }
    let room = width.saturating_sub(ellipsis.width());
    let mut out = String::new();
    let mut used = 0;
    for cluster in text.graphemes(true) {
        if used + cluster.width() > room {
            break;
        }
        used += cluster.width();
        out.push_str(cluster);
    }
    if width >= ellipsis.width() {
        out.push_str(ellipsis);
        used += ellipsis.width();
    }
    out + &" ".repeat(width.saturating_sub(used))
}

/// `text` in lines of at most `width` columns, cut between words where that is possible.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    use unicode_segmentation::UnicodeSegmentation as _;
    let mut out = Vec::new();
    for line in text.lines() {
        let mut row = String::new();
        for word in line.split_inclusive(' ') {
            if row.width() + word.trim_end().width() > width && !row.is_empty() {
                out.push(std::mem::take(&mut row));
            }
            if word.trim_end().width() <= width {
                row.push_str(word);
                continue;
            }
            for cluster in word.graphemes(true) {
                if row.width() + cluster.width() > width && !row.is_empty() {
                    out.push(std::mem::take(&mut row));
                }
                row.push_str(cluster);
            }
        }
        out.push(row);
    }
    out
}

/// A passed or an over mark for a figure against its target; nothing below enough samples.
pub fn judged(theme: Theme, value: Option<f64>, target: f64, below: bool) -> Vec<Span<'static>> {
    match value {
        None => Vec::new(),
        Some(v) if (v <= target) == below => mark(theme, Mark::Passed),
        Some(_) => mark(theme, Mark::Over),
    }
}

/// `key title `, the key bright.
pub fn key_hint(theme: Theme, key: &str, title: &'static str) -> Vec<Span<'static>> {
    vec![
        Span::styled(format!(" {key}"), theme.style(Role::Key)),
        Span::styled(format!(" {title} "), theme.style(Role::Dim)),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: Theme = Theme {
        color: true,
        ascii: false,
        palette: crate::console::theme::Palette::Terminal,
    };

    #[test]
    fn text_fits_its_column_in_every_script() {
        for text in [
            "plain",
            "a much longer text than fits",
            "مراجعة الحوكمة",
            "中文字符很宽很宽很宽",
            "e\u{301}\u{301}x",
            "👩‍👩‍👧 family",
        ] {
            for width in 0..20 {
                assert_eq!(fit(T, text, width).width(), width, "{text} in {width}");
            }
        }
    }

    #[test]
    fn text_is_wrapped_between_words_and_long_words_within() {
        assert_eq!(wrap("one two three", 7), ["one two ", "three"]);
        assert_eq!(wrap("a\n\nb", 5), ["a", "", "b"]);
        assert_eq!(wrap("abcdefgh ij", 3), ["abc", "def", "gh ", "ij"]);
        for text in ["中文字符很宽很宽很宽", "👩‍👩‍👧 family and more", "x"] {
            for width in 2..12 {
                let lines = wrap(text, width);
                assert!(
                    lines.iter().all(|l| l.trim_end().width() <= width),
                    "{lines:?}"
                );
                assert_eq!(lines.concat(), text);
            }
        }
    }

    #[test]
    fn spans_are_cut_with_a_mark() {
        let spans = || vec![Span::raw("abcdef"), Span::raw("ghi")];
        let text = |width| {
            cut(spans(), width)
                .iter()
                .map(|s| s.content.to_string())
                .collect::<String>()
        };
        assert_eq!(
            (text(9), text(8), text(5)),
            ("abcdefghi".into(), "abcdef..".into(), "abc..".into())
        );
        for width in 0..12 {
            assert!(text(width).width() <= width, "{width}: {}", text(width));
        }
    }
}
