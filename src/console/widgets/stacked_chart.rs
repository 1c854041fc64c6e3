//! Columns of stacked parts over time: each part has a glyph of its own, so that it is told without colour.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;

use crate::console::theme::{Role, Theme};

/// A part of a column.
#[derive(Debug, Clone, Copy)]
pub struct Part {
    /// Its glyph, and its ASCII form.
    pub glyph: (&'static str, &'static str),
    /// How it is drawn.
    pub role: Role,
}

impl Part {
    /// Its glyph as the terminal can show it.
    pub fn sign(&self, theme: Theme) -> &'static str {
        if theme.ascii {
            self.glyph.1
        } else {
            self.glyph.0
        }
    }
}

/// Cells of each part in one column of `height` cells that stand for `most`. A part that is there has a cell,
/// the later ones first where there is not room for all: they are the worse ones.
fn cells<const N: usize>(values: [f64; N], most: f64, height: usize) -> [usize; N] {
    let mut out = [0; N];
    let total: f64 = values.iter().sum();
    if total <= 0.0 || most <= 0.0 || height == 0 {
        return out;
    }
    let there = values.iter().filter(|v| **v > 0.0).count();
    let all = ((total / most * height as f64).round() as usize).clamp(1, height);
    let all = all.max(there.min(height));
    let mut left = all;
    for (n, value) in values.iter().enumerate().rev() {
        if *value > 0.0 && left > 0 {
            out[n] = 1;
            left -= 1;
        }
    }
    // What is left goes where the share is furthest from being met.
    while left > 0 {
        let lack = |n: usize| values[n] / total * all as f64 - out[n] as f64;
        let n = (0..N)
            .filter(|n| values[*n] > 0.0)
            .max_by(|a, b| lack(*a).total_cmp(&lack(*b)));
        let Some(n) = n else { break };
        out[n] += 1;
        left -= 1;
    }
    out
}

/// The values that fall into column `x` of `width`, averaged.
fn averaged<const N: usize>(values: &[[f64; N]], x: usize, width: usize) -> [f64; N] {
    let from = x * values.len() / width;
    let to = ((x + 1) * values.len() / width).max(from + 1);
    let Some(part) = values.get(from..to.min(values.len())) else {
        return [0.0; N];
    };
    let mut out = [0.0; N];
    for value in part {
        for (sum, v) in out.iter_mut().zip(value) {
            *sum += v / part.len() as f64;
        }
    }
    out
}

/// The highest column as it is drawn in `width` columns.
pub fn highest<const N: usize>(values: &[[f64; N]], width: usize) -> f64 {
    (0..width)
        .map(|x| averaged(values, x, width).iter().sum())
        .fold(0.0, f64::max)
}

/// Draws `values`, oldest first, over the whole width of the area.
pub fn draw<const N: usize>(
    theme: Theme,
    parts: &[Part; N],
    values: &[[f64; N]],
    most: f64,
    area: Rect,
    buffer: &mut Buffer,
) {
    let (width, height) = (usize::from(area.width), usize::from(area.height));
    for x in 0..width {
        let column = cells(averaged(values, x, width), most, height);
        let mut y = area.bottom();
        for (part, count) in parts.iter().zip(column) {
            for _ in 0..count {
                y -= 1;
                buffer[(area.x + x as u16, y)]
                    .set_symbol(part.sign(theme))
                    .set_style(theme.style(part.role));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn part_that_is_there_has_a_cell_and_the_worst_wins_where_room_is_short() {
        assert_eq!(cells([9.0, 0.0, 0.1], 10.0, 10), [8, 0, 1]);
        assert_eq!(cells([9.0, 1.0, 1.0], 100.0, 2), [0, 1, 1]);
        assert_eq!(cells([0.0, 0.0, 0.0], 10.0, 5), [0, 0, 0]);
        assert_eq!(cells([30.0, 0.0, 0.0], 10.0, 5), [5, 0, 0]);
        for n in 0..200 {
            let values = [f64::from(n % 7), f64::from(n % 5), f64::from(n % 3)];
            let drawn = cells(values, 9.0, 8);
            assert!(drawn.iter().sum::<usize>() <= 8, "{values:?} {drawn:?}");
        }
    }

    #[test]
    fn columns_average_what_falls_into_them_and_stretch_where_there_is_room() {
        let values = [[1.0], [3.0], [5.0], [7.0]];
        assert_eq!(averaged(&values, 0, 2), [2.0]);
        assert_eq!(averaged(&values, 1, 2), [6.0]);
        assert_eq!(averaged(&values, 7, 8), [7.0]);
        assert_eq!(averaged::<1>(&[], 0, 8), [0.0]);
    }
}
