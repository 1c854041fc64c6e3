//! A table: heads, columns that grow with the terminal, the least important left out where there is no room,
//! one selected row, marked rows. Only the rows on the screen are built.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Span;
use unicode_width::UnicodeWidthStr as _;

use super::list::{ListState, Sort, first_visible, row_at};
use super::text::{fit, line, row};
use crate::console::context::Context;
use crate::console::list_habits::ListHabit;
use crate::console::theme::Role;

/// A column.
#[derive(Debug, Clone, Copy)]
pub struct Column {
    /// Its head, with its unit where it has one.
    pub head: &'static str,
    /// Columns of the terminal that it needs.
    pub width: u16,
    /// How much of the room that is left it takes, against the others; 0: none.
    pub grows: u16,
    /// Figures stand at the right.
    pub right: bool,
    /// The higher, the sooner it is left out where there is no room; 0: never.
    pub leaves: u8,
    /// The operator does not want it.
    pub hidden: bool,
}

impl Column {
    /// A column of words.
    pub const fn text(head: &'static str, width: u16, grows: u16, leaves: u8) -> Self {
        Self {
            head,
            width,
            grows,
            right: false,
            leaves,
            hidden: false,
        }
    }

    /// A column of figures.
    pub const fn figure(head: &'static str, width: u16, leaves: u8) -> Self {
        Self {
            head,
            width,
            grows: 0,
            right: true,
            leaves,
            hidden: false,
        }
    }
}

/// What a cell shows.
#[derive(Debug, Clone)]
pub struct Cell {
    /// Harmless text.
    pub text: String,
    /// How it is drawn.
    pub role: Role,
}

impl Cell {
    /// A cell.
    pub fn new(text: impl Into<String>, role: Role) -> Self {
        Self {
            text: text.into(),
            role,
        }
    }

    /// Ordinary text.
    pub fn plain(text: impl Into<String>) -> Self {
        Self::new(text, Role::Text)
    }

    /// Text that is not worth a look.
    pub fn dim(text: impl Into<String>) -> Self {
        Self::new(text, Role::Dim)
    }
}

/// The columns that fit into `width`, with their widths; by index.
pub fn layout(columns: &[Column], width: u16) -> Vec<(usize, u16)> {
    let mut shown: Vec<usize> = (0..columns.len()).filter(|i| !columns[*i].hidden).collect();
    let needed = |shown: &[usize]| -> u16 {
        let widths: u16 = shown.iter().map(|i| columns[*i].width).sum();
        widths + (shown.len() as u16).saturating_sub(1)
    };
    while needed(&shown) > width {
        // The one that leaves first; of equals the one at the right.
        let leaving = shown
            .iter()
            .enumerate()
            .filter(|(_, i)| columns[**i].leaves > 0)
            .max_by_key(|(at, i)| (columns[**i].leaves, *at))
            .map(|(at, _)| at);
        let Some(at) = leaving else { break };
        shown.remove(at);
    }
    let spare = width.saturating_sub(needed(&shown));
    let growing: u16 = shown.iter().map(|i| columns[*i].grows).sum();
    let mut given = 0;
    let mut left = growing;
    shown
        .into_iter()
        .map(|i| {
            let column = columns[i];
            let mut wide = column.width;
            if column.grows > 0 {
                left -= column.grows;
                let share = if left == 0 {
                    spare - given
                } else {
                    spare * column.grows / growing
                };
                given += share;
                wide += share;
            }
            (i, wide)
        })
        .collect()
}

/// One cell in its column.
fn fitted(cx: &Context, text: &str, wide: u16, right: bool) -> String {
    let wide = usize::from(wide);
    if right && text.width() < wide {
        return format!(
            "{text:>pad$}",
            pad = wide - (text.width() - text.chars().count())
        );
    }
    fit(cx.theme, text, wide)
}

/// The line of heads; the column that sorts is marked.
pub fn draw_head(
    cx: &Context,
    columns: &[Column],
    list: &ListState,
    area: Rect,
    buffer: &mut Buffer,
) {
    let mut spans = Vec::new();
    for (n, (i, wide)) in layout(columns, area.width).into_iter().enumerate() {
        if n > 0 {
            spans.push(Span::raw(" "));
        }
        let column = columns[i];
        let sorted = list.sort.filter(|s| s.column == i);
        let mark = match sorted {
            Some(s) if s.descending => {
                if cx.theme.ascii {
                    "v"
                } else {
                    "▾"
                }
            }
            Some(_) => {
                if cx.theme.ascii {
                    "^"
                } else {
                    "▴"
                }
            }
            None => "",
        };
        let role = if sorted.is_some() {
            Role::Title
        } else {
            Role::Dim
        };
        let text = fitted(cx, &format!("{}{mark}", column.head), wide, column.right);
        spans.push(Span::styled(text, cx.theme.style(role)));
    }
    line(buffer, row(area, 0), spans);
}

/// The line of one row.
pub fn draw_row(cx: &Context, columns: &[Column], cells: &[Cell], area: Rect, buffer: &mut Buffer) {
    draw_laid_out(
        cx,
        columns,
        &layout(columns, area.width),
        cells,
        area,
        buffer,
    );
}

/// The line of one row of a table whose columns are laid out already.
fn draw_laid_out(
    cx: &Context,
    columns: &[Column],
    laid_out: &[(usize, u16)],
    cells: &[Cell],
    area: Rect,
    buffer: &mut Buffer,
) {
    let mut spans = Vec::new();
    for (n, (i, wide)) in laid_out.iter().enumerate() {
        if n > 0 {
            spans.push(Span::raw(" "));
        }
        if let Some(cell) = cells.get(*i) {
            let text = fitted(cx, &cell.text, *wide, columns[*i].right);
            spans.push(Span::styled(text, cx.theme.style(cell.role)));
        }
    }
    line(buffer, area, spans);
}

/// Rows that the table of this area shows at once.
pub fn height(area: Rect) -> usize {
    usize::from(area.height.saturating_sub(1))
}

/// The column at `x` of a table this wide.
pub fn column_at(columns: &[Column], width: u16, x: u16) -> Option<usize> {
    let mut from = 0;
    for (i, wide) in layout(columns, width) {
        if (from..from + wide).contains(&x) {
            return Some(i);
        }
        from += wide + 1;
    }
    None
}

/// What a row is sorted by in one column: a figure, and a text where figures are equal.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SortKey {
    figure: f64,
    text: String,
}

impl SortKey {
    /// A figure; an unknown one is smaller than all others.
    pub fn figure(figure: Option<f64>) -> Self {
        let figure = figure.unwrap_or(f64::NEG_INFINITY);
        let text = String::new();
        Self { figure, text }
    }

    /// A count.
    pub fn count(count: u64) -> Self {
        Self::figure(Some(count as f64))
    }

    /// A text as it is.
    pub fn literal(text: String) -> Self {
        Self { figure: 0.0, text }
    }

    /// A text, whatever its case.
    pub fn text(text: &str) -> Self {
        let text = text.to_lowercase();
        Self { figure: 0.0, text }
    }
}

/// Sorts rows as the operator chose; rows that are equal keep their order.
pub fn sort_rows<T>(rows: &mut [T], sort: Option<Sort>, key: impl Fn(&T, usize) -> SortKey) {
    let Some(Sort { column, descending }) = sort else {
        return;
    };
    rows.sort_by(|a, b| {
        let (a, b) = (key(a, column), key(b, column));
        let order = a
            .figure
            .total_cmp(&b.figure)
            .then_with(|| a.text.cmp(&b.text));
        if descending { order.reverse() } else { order }
    });
}

/// What a click in a table met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hit {
    /// The head of a column.
    Head(usize),
    /// A row.
    Row(usize),
}

/// What lies at a place of the table that was drawn in `area`.
pub fn hit(
    columns: &[Column],
    (x, y): (u16, u16),
    selected: Option<usize>,
    total: usize,
    area: Rect,
) -> Option<Hit> {
    if !area.contains((x, y).into()) {
        return None;
    }
    if y == area.y {
        return column_at(columns, area.width, x - area.x).map(Hit::Head);
    }
    let line = y - area.y - 1;
    row_at(line, selected.unwrap_or(0), height(area), total).map(Hit::Row)
}

/// How many rows a table in this area has no room for, for a panel's lower border; empty: none.
pub fn left_out(total: usize, area: Rect) -> String {
    match total.saturating_sub(height(area)) {
        0 => String::new(),
        more => format!("+{more}"),
    }
}

/// Where the rows come from. Only those on the screen are built.
pub struct Source<'a> {
    /// How many there are.
    pub total: usize,
    /// What tells a row from all others.
    pub id: &'a dyn Fn(usize) -> &'a str,
    /// Its cells, one a column.
    pub cells: &'a dyn Fn(usize) -> Vec<Cell>,
}

/// Draws heads and the rows around the selected one; `selected`: none where the table is only looked at.
pub fn draw(
    cx: &Context,
    columns: &[Column],
    list: &ListState,
    selected: Option<usize>,
    source: &Source<'_>,
    area: Rect,
    buffer: &mut Buffer,
) {
    draw_head(cx, columns, list, area, buffer);
    let laid_out = layout(columns, area.width);
    let height = height(area);
    let first = first_visible(selected.unwrap_or(0), height, source.total);
    for n in first..source.total.min(first + height) {
        let place = row(area, (n - first) as u16 + 1);
        let marked = list.marked.contains((source.id)(n));
        draw_laid_out(cx, columns, &laid_out, &(source.cells)(n), place, buffer);
        if marked {
            draw_mark(cx, area, place.y, buffer);
        }
        if selected == Some(n) {
            buffer.set_style(place, cx.theme.style(Role::Selected));
        }
    }
}

/// A marked row has a sign before it, in the panel's blank column, and its text is bright.
fn draw_mark(cx: &Context, area: Rect, y: u16, buffer: &mut Buffer) {
    let place = Rect {
        y,
        height: 1,
        ..area
    };
    buffer.set_style(place, cx.theme.style(Role::Key));
    if let Some(x) = area.x.checked_sub(1).filter(|x| *x >= buffer.area.x) {
        let sign = if cx.theme.ascii { "*" } else { "▪" };
        buffer[(x, y)]
            .set_symbol(sign)
            .set_style(cx.theme.style(Role::Key));
    }
}

/// How a table's list stands, for the next start.
pub fn habit(columns: &[Column], list: &ListState) -> ListHabit {
    let sorted = list.sort.and_then(|s| columns.get(s.column));
    ListHabit {
        sort: sorted.map(|column| column.head.to_owned()),
        descending: list.sort.is_some_and(|s| s.descending),
        filter: list.filter.clone(),
        ..ListHabit::default()
    }
}

/// A table's list as it was left the last time; a column that there is no more sorts nothing.
pub fn adopt(columns: &[Column], list: &mut ListState, habit: &ListHabit) {
    let column = habit
        .sort
        .as_ref()
        .and_then(|head| columns.iter().position(|c| c.head == head.as_str()));
    list.sort = column.map(|column| Sort {
        column,
        descending: habit.descending,
    });
    list.filter.clone_from(&habit.filter);
}

/// A table: its head, then a row for each of the list.
pub fn with_head(head: &[&str], rows: impl Iterator<Item = Vec<String>>) -> Vec<Vec<String>> {
    let head = head.iter().map(|name| (*name).to_owned()).collect();
    std::iter::once(head).chain(rows).collect()
}

/// A row of a table as one harmless line: what is pasted into a shell must be one.
pub fn one_line(row: &[String]) -> Option<String> {
    let cells = row.iter().map(|cell| crate::text::clean_line(cell, 2_000));
    Some(cells.collect::<Vec<_>>().join("  "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMNS: [Column; 3] = [
        Column::text("NAME", 6, 2, 0),
        Column::figure("N", 3, 0),
        Column::text("NOTE", 8, 1, 1),
    ];

    #[test]
    fn column_that_has_no_room_is_left_out_and_the_others_grow() {
        assert_eq!(layout(&COLUMNS, 19), [(0, 6), (1, 3), (2, 8)]);
        assert_eq!(layout(&COLUMNS, 18), [(0, 14), (1, 3)]);
        assert_eq!(layout(&COLUMNS, 49), [(0, 26), (1, 3), (2, 18)]);
        for width in 10..200 {
            let used: u16 = layout(&COLUMNS, width).iter().map(|(_, w)| w + 1).sum();
            assert_eq!(used - 1, width);
        }
    }
}
