//! Where the tables of the Resilience screen lie. The one that keys act on is whole; the others share what is left,
//! and one without room is a line that says how many rows it has.

use ratatui::layout::Rect;

/// The tables from the top.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Table {
    /// Providers with their breakers.
    Providers,
    /// Pools.
    Pools,
    /// Rate limits.
    Limits,
    /// The retry budget.
    Retries,
    /// How breakers changed.
    Transitions,
}

impl Table {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Providers,
        Self::Pools,
        Self::Limits,
        Self::Retries,
        Self::Transitions,
    ];

    /// Those with rows to select.
    pub const SELECTABLE: [Self; 3] = [Self::Providers, Self::Pools, Self::Limits];

    /// Its title.
    pub fn title(self) -> &'static str {
        match self {
            Self::Providers => "Circuit breakers",
            Self::Pools => "Pools",
            Self::Limits => "Rate limits, a minute",
            Self::Retries => "Retries",
            Self::Transitions => "Recent transitions",
        }
    }
}

/// Below so many lines there is room for one table alone.
const LEAST: u16 = 9;

/// Lines of each table; `needs`: lines with which it is whole, borders and head counted.
fn heights(needs: [u16; 5], focus: Table, alone: bool, lines: u16) -> [u16; 5] {
    let at = focus as usize;
    let mut out = [0; 5];
    if alone || lines < LEAST {
        out[at] = lines;
        return out;
    }
    out = [1; 5];
    let mut left = lines - 5;
    let first = needs[at].saturating_sub(1).min(left);
    out[at] += first;
    left -= first;
    for (n, need) in needs.iter().enumerate() {
        // A table of less than a head and a row within its border says nothing.
        if n != at && left >= 3 {
            let more = need.saturating_sub(1).min(left);
            out[n] += more;
            left -= more;
        }
    }
    // The last one has what nobody needs, so that the frame reaches the bottom.
    let last = (0..5).rev().find(|n| out[*n] > 1).unwrap_or(at);
    out[last] += left;
    out
}

/// Where each table lies; one line or none: it has no room.
pub fn places(needs: [u16; 5], focus: Table, alone: bool, area: Rect) -> [Rect; 5] {
    let mut y = area.y;
    heights(needs, focus, alone, area.height).map(|height| {
        let place = Rect { y, height, ..area };
        y += height;
        place
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn focused_table_is_whole_and_the_lines_are_shared_without_a_gap() {
        let needs = [11, 8, 9, 4, 7];
        for lines in 0..60 {
            for focus in Table::ALL {
                let all = heights(needs, focus, false, lines);
                assert_eq!(all.iter().sum::<u16>(), lines, "{lines} {focus:?}");
                let own = all[focus as usize];
                if lines >= 15 {
                    assert!(own >= needs[focus as usize], "{lines} {focus:?}: {all:?}");
                }
                assert!(
                    all.iter().all(|h| !matches!(h, 2 | 3)) || lines < 15,
                    "{all:?}"
                );
            }
        }
    }

    #[test]
    fn table_that_is_zoomed_has_all_lines() {
        assert_eq!(heights([9; 5], Table::Pools, true, 40), [0, 40, 0, 0, 0]);
    }
}
