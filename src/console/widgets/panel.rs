//! The box around a panel, and the window that a dialog is drawn in.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::symbols::border;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Clear, Widget as _};
use unicode_width::UnicodeWidthStr as _;

use crate::console::context::Context;
use crate::console::theme::{Role, Theme};

const ASCII_BORDER: border::Set<'static> = border::Set {
    top_left: "+",
    top_right: "+",
    bottom_left: "+",
    bottom_right: "+",
    vertical_left: "|",
    vertical_right: "|",
    horizontal_top: "-",
    horizontal_bottom: "-",
};

/// A box with a title and, at its right, the key that acts in it. Returns its inside, one blank column
/// at each side.
pub fn panel(theme: Theme, title: &str, note: &str, area: Rect, buffer: &mut Buffer) -> Rect {
    panel_with_foot(theme, title, note, "", area, buffer)
}

/// The same with words in the lower border: how much of a list is not shown.
pub fn panel_with_foot(
    theme: Theme,
    title: &str,
    note: &str,
    foot: &str,
    area: Rect,
    buffer: &mut Buffer,
) -> Rect {
    if area.width < 4 || area.height < 2 {
        return Rect {
            width: 0,
            height: 0,
            ..area
        };
    }
    let set = if theme.ascii {
        ASCII_BORDER
    } else {
        border::PLAIN
    };
    let mut block = Block::bordered()
        .border_set(set)
        .border_style(theme.style(Role::Border));
    block = block.title(Line::from(Span::styled(
        format!(" {title} "),
        theme.style(Role::Title),
    )));
    let room = usize::from(area.width).saturating_sub(title.width() + 6);
    if !note.is_empty() && note.width() + 2 <= room {
        block = block.title(
            Line::from(Span::styled(format!(" {note} "), theme.style(Role::Dim))).right_aligned(),
        );
    }
    if !foot.is_empty() {
        let foot = Span::styled(format!(" {foot} "), theme.style(Role::Dim));
        block = block.title_bottom(Line::from(foot));
    }
    let inner = block.inner(area);
    block.render(area, buffer);
    Rect {
        x: inner.x + 1,
        width: inner.width.saturating_sub(2),
        ..inner
    }
}

/// The inside of a panel that was drawn in this area.
pub fn inside(area: Rect) -> Rect {
    Rect {
        x: area.x + 2.min(area.width),
        y: area.y + 1.min(area.height),
        width: area.width.saturating_sub(4),
        height: area.height.saturating_sub(2),
    }
}

/// Where a window of a size lies over an area: in the middle, a little above.
pub fn window_place((width, height): (u16, u16), area: Rect) -> Rect {
    let (width, height) = (width.min(area.width), height.min(area.height));
    Rect {
        x: area.x + (area.width - width) / 2,
        y: area.y + (area.height - height) / 3,
        width,
        height,
    }
}

/// A box in the middle, as large as wanted and possible, with nothing shining through.
pub fn window(
    cx: &Context,
    title: &str,
    note: &str,
    size: (u16, u16),
    area: Rect,
    buffer: &mut Buffer,
) -> Rect {
    let place = window_place(size, area);
    Clear.render(place, buffer);
    panel(cx.theme, title, note, place, buffer)
}
