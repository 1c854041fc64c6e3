//! Lines over time, in braille, blocks or ASCII: as fine as the terminal allows.

use crate::console::theme::Theme;

/// A chart's marks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Marks {
    /// Two by four dots a cell.
    #[default]
    Braille,
    /// Columns of eight heights.
    Block,
    /// `*` where the value is.
    Ascii,
}

/// Braille's dots by row and column of a cell.
const DOTS: [[u32; 2]; 4] = [[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]];

/// `values` over the whole width, scaled to `most`; rows from the top. A gap stays a gap.
pub fn lines(
    theme: Theme,
    marks: Marks,
    values: &[Option<f64>],
    most: f64,
    (width, height): (usize, usize),
) -> Vec<String> {
    if width == 0 || height == 0 || most <= 0.0 {
        return vec![String::new(); height];
    }
    match marks {
        _ if theme.ascii => ascii(values, most, width, height),
        Marks::Braille => braille(values, most, width, height),
        Marks::Block => blocks(theme, values, most, width, height),
        Marks::Ascii => ascii(values, most, width, height),
    }
}

/// The highest value that falls into column `x` of `columns`.
fn at(values: &[Option<f64>], x: usize, columns: usize) -> Option<f64> {
    let from = x * values.len() / columns;
    let to = ((x + 1) * values.len()).div_ceil(columns).max(from + 1);
    values
        .get(from..to.min(values.len()))?
        .iter()
        .flatten()
        .copied()
        .reduce(f64::max)
}

fn level(value: f64, most: f64, levels: usize) -> usize {
    let share = (value / most).clamp(0.0, 1.0);
    ((share * (levels - 1) as f64).round() as usize).min(levels - 1)
}

fn braille(values: &[Option<f64>], most: f64, width: usize, height: usize) -> Vec<String> {
    let mut cells = vec![vec![0u32; width]; height];
    let mut before: Option<usize> = None;
    for x in 0..width * 2 {
        let Some(value) = at(values, x, width * 2) else {
            before = None;
            continue;
        };
        let here = level(value, most, height * 4);
        // A jump is drawn as a line, so that the eye can follow it.
        let from = before.unwrap_or(here);
        for y in from.min(here)..=from.max(here) {
            let row = height - 1 - y / 4;
            cells[row][x / 2] |= DOTS[3 - y % 4][x % 2];
        }
        before = Some(here);
    }
    cells
        .iter()
        .map(|row| {
            row.iter()
                .map(|c| char::from_u32(0x2800 + c).unwrap_or(' '))
                .collect()
        })
        .map(|line: String| line.replace('\u{2800}', " "))
        .collect()
}

fn blocks(
    theme: Theme,
    values: &[Option<f64>],
    most: f64,
    width: usize,
    height: usize,
) -> Vec<String> {
    let heights = theme.columns();
    (0..height)
        .map(|row| {
            (0..width)
                .map(|x| {
                    let Some(value) = at(values, x, width) else {
                        return " ";
                    };
                    let filled = level(value, most, height * 8) + 1;
                    let below = (height - 1 - row) * 8;
                    match filled.saturating_sub(below) {
                        0 => " ",
                        n => heights[n.min(8) - 1],
                    }
                })
                .collect()
        })
        .collect()
}

fn ascii(values: &[Option<f64>], most: f64, width: usize, height: usize) -> Vec<String> {
    (0..height)
        .map(|row| {
            (0..width)
                .map(|x| match at(values, x, width) {
                    Some(v) if level(v, most, height) == height - 1 - row => '*',
                    _ => ' ',
                })
                .collect()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use unicode_width::UnicodeWidthStr as _;

    #[test]
    fn each_kind_draws_the_same_shape_in_its_width() {
        let values: Vec<Option<f64>> = (0..8).map(|n| (n != 3).then(|| f64::from(n))).collect();
        let theme = Theme::default();
        let draw = |marks| lines(theme, marks, &values, 7.0, (8, 2));
        assert_eq!(draw(Marks::Ascii), ["    ****", "***     "]);
        assert_eq!(draw(Marks::Block), ["    ▂▄▆█", "▁▃▅ ████"]);
        for marks in [Marks::Braille, Marks::Block, Marks::Ascii] {
            for size in [(0, 0), (1, 1), (7, 3), (200, 9)] {
                for line in lines(theme, marks, &values, 7.0, size) {
                    assert!(line.width() <= size.0, "{line:?}");
                }
            }
        }
        assert!(
            lines(theme, Marks::Braille, &[], 1.0, (4, 2))
                .iter()
                .all(|l| l.trim().is_empty())
        );
    }
}
