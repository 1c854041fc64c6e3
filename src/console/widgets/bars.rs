//! Bars and small columns: how full something is, and how a figure went.

use crate::console::theme::Theme;

/// A bar of `width` cells, filled by `share` (0 to 1).
pub fn bar(theme: Theme, share: f64, width: usize) -> String {
    let (full, empty) = theme.bar();
    let filled = ((share.clamp(0.0, 1.0) * width as f64).round() as usize).min(width);
    full.repeat(filled) + &empty.repeat(width - filled)
}

/// Small columns, one a value, newest at the right; `None` is a gap. Scaled to the largest. Where there is
/// not room for all, the newest are shown.
pub fn columns(theme: Theme, values: &[Option<u64>], width: usize) -> String {
    let heights = theme.columns();
    let shown = &values[values.len().saturating_sub(width)..];
    let most = shown.iter().flatten().copied().max().unwrap_or(0).max(1);
    let mut out = " ".repeat(width.saturating_sub(shown.len()));
    for value in shown {
        match value {
            Some(value) => out.push_str(heights[((value * 7).div_ceil(most)).min(7) as usize]),
            None => out.push(' '),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_and_columns_have_their_width() {
        let theme = Theme::default();
        assert_eq!(bar(theme, 0.5, 4), "██░░");
        assert_eq!(columns(theme, &[Some(1), None, Some(7)], 5), "  ▂ █");
    }
}
