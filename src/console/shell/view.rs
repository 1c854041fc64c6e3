//! Drawing: a pure function of the state. The frame around a screen: header, tabs, hints, notes, dialogs.

use ratatui::buffer::Buffer;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Clear, Widget as _};
use unicode_width::UnicodeWidthStr as _;

use super::header;
use super::state::State;
use crate::console::action::{Action, Screen, row_of};
use crate::console::context::Context;
use crate::console::steady_cells;
use crate::console::theme::Role;
use crate::console::widgets::text::{key_hint, put, spans, wrap};

/// Below this a screen is one line.
const FLOOR: (u16, u16) = (40, 8);

/// Too small for a screen: one line is shown, and no key does what cannot be seen.
pub(super) fn is_too_small((width, height): (u16, u16)) -> bool {
    width < FLOOR.0 || height < FLOOR.1
}

/// All of the terminal.
pub(super) fn whole(cx: &Context) -> Rect {
    Rect::new(0, 0, cx.size.0, cx.size.1)
}

/// Header, tabs, body, hints.
fn rows(area: Rect) -> [Rect; 4] {
    Layout::vertical([
        Constraint::Length(1),
        Constraint::Length(1),
        Constraint::Min(0),
        Constraint::Length(1),
    ])
    .areas(area)
}

/// Draws everything into `area`.
pub fn draw(state: &State, area: Rect, buffer: &mut Buffer) {
    draw_screen(state, area, buffer);
    let area = area.intersection(buffer.area);
    if !area.is_empty() && !is_too_small((area.width, area.height)) {
        draw_toasts(state, rows(area)[2], buffer);
        for dialog in &state.dialogs {
            dialog.draw(&state.context, area, buffer);
        }
    }
    steady_cells::settle(buffer);
}

/// Draws the screen without what lies over it.
pub fn draw_screen(state: &State, area: Rect, buffer: &mut Buffer) {
    let area = area.intersection(buffer.area);
    if area.is_empty() {
        return;
    }
    if is_too_small((area.width, area.height)) {
        floor(state, area, buffer);
        return;
    }
    let [header, tabs, body, hints] = rows(area);
    let leads = is_overview(state);
    header::draw(&state.context, leads, header, buffer);
    draw_tabs(state, tabs, buffer);
    state.top().draw(&state.context, body, buffer);
    if state.context.live.disconnected.is_some() && state.context.frozen.is_none() {
        grey(state, body, buffer);
    }
    draw_hints(state, hints, buffer);
}

/// The Overview is on top; its first line says what the engine's state means for work.
fn is_overview(state: &State) -> bool {
    state.places.len() == 1 && state.screen() == Screen::Overview
}

/// Old data has no colour that says how things are.
fn grey(state: &State, body: Rect, buffer: &mut Buffer) {
    let dim = state.context.theme.style(Role::Dim);
    // The Overview's first line says what is known.
    let first = u16::from(is_overview(state));
    for y in body.y + first..body.bottom() {
        for x in body.x..body.right() {
            let cell = &mut buffer[(x, y)];
            let selected = cell.modifier.contains(Modifier::REVERSED);
            cell.set_style(Style::reset().patch(dim));
            if selected {
                cell.set_style(state.context.theme.style(Role::Selected));
            }
        }
    }
}

/// What lies under a place of the screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hit {
    /// A screen's title, or a key in the last line.
    Action(Action),
    /// The place that is shown, in this area.
    Body(Rect),
}

/// What a click at a place means, on the screen as it is drawn now.
pub(super) fn hit(state: &State, (x, y): (u16, u16)) -> Option<Hit> {
    let cx = &state.context;
    let area = whole(cx);
    if is_too_small(cx.size) || !area.contains((x, y).into()) {
        return None;
    }
    let [_, tabs, body, hints] = rows(area);
    let find = |places: &[(u16, u16, Action)]| {
        let under = places
            .iter()
            .find(|(from, to, _)| (*from..*to).contains(&x));
        under.map(|(.., action)| Hit::Action(*action))
    };
    if y == tabs.y {
        return find(&tab_places(tabs));
    }
    if y == hints.y {
        let places = hint_places(state, hints);
        let places: Vec<(u16, u16, Action)> =
            places.iter().map(|h| (h.from, h.to, h.action)).collect();
        return find(&places);
    }
    body.contains((x, y).into()).then_some(Hit::Body(body))
}

/// A screen's title for the width.
fn tab_title(screen: Screen, area: Rect) -> &'static str {
    let (whole, short) = screen.title();
    if area.width >= 100 { whole } else { short }
}

/// Where each title lies: its first column, the one after its last, what it does.
fn tab_places(area: Rect) -> Vec<(u16, u16, Action)> {
    let mut left = area.x + 1;
    let place = |screen: Screen| {
        let wide = tab_title(screen, area).width() as u16 + 3;
        let from = left;
        left += wide + 1;
        (from, from + wide, Action::Show(screen))
    };
    Screen::ALL.into_iter().map(place).collect()
}

fn draw_tabs(state: &State, area: Rect, buffer: &mut Buffer) {
    let cx = &state.context;
    let theme = cx.theme;
    let mut left = vec![Span::raw(" ")];
    for screen in Screen::ALL {
        let title = tab_title(screen, area);
        let role = if state.screen() == screen {
            Role::Selected
        } else {
            Role::Text
        };
        left.push(Span::styled(
            format!("{}", screen.digit()),
            theme.style(Role::Key),
        ));
        left.push(Span::styled(format!(" {title} "), theme.style(role)));
        left.push(Span::raw(" "));
    }
    // What was opened from the screen: the way back.
    let (separator, cut) = if theme.ascii {
        (">", "..")
    } else {
        ("›", "…")
    };
    let opened: Vec<String> = state.places[1..]
        .iter()
        .map(|p| format!("{separator} {} ", p.component.title(cx)))
        .collect();
    let crumbs = match opened.len() {
        0..=2 => opened.concat(),
        n => format!("{separator} {cut} {}", opened[n - 2..].concat()),
    };
    let missed = if cx.missed > 0 {
        format!("{} events missed  ", cx.missed)
    } else {
        String::new()
    };
    let rate = format!("{missed}{:.1} kB/s ", cx.link_bytes as f64 / 1_000.0);
    let right = if area.width < 100 && !crumbs.is_empty() {
        Vec::new()
    } else {
        vec![Span::styled(rate, theme.style(Role::Dim))]
    };
    left.push(Span::styled(crumbs, theme.style(Role::Title)));
    spans(buffer, area, left, right);
}

/// A hint and where it lies.
struct HintPlace {
    from: u16,
    to: u16,
    action: Action,
    spans: Vec<Span<'static>>,
}

/// The hints that fit, from the left; help and quit at the right.
fn hint_places(state: &State, area: Rect) -> Vec<HintPlace> {
    let cx = &state.context;
    let hint = |action: Action| -> Option<(Vec<Span<'static>>, u16)> {
        let row = row_of(action)?;
        let spans = key_hint(
            cx.theme,
            cx.key_word(action),
            short_title(action, row.title),
        );
        let width = spans.iter().map(Span::width).sum::<usize>() as u16;
        Some((spans, width))
    };
    let mut out = Vec::new();
    let mut right = area.right();
    for action in [Action::Quit, Action::Help] {
        if let Some((spans, width)) = hint(action) {
            let from = right.saturating_sub(width);
            out.push(HintPlace {
                from,
                to: right,
                action,
                spans,
            });
            right = from;
        }
    }
    let subject = state.top().subject(cx);
    let active = subject.run().is_some_and(|run| cx.is_active(run));
    let panels = state.top().panels(cx) > 1;
    let useful = |a: &Action| match a {
        Action::Cancel => active,
        Action::Zoom | Action::FocusNext | Action::FocusPrevious => panels,
        _ => true,
    };
    let wanted = state.top().hints(cx).into_iter().filter(useful);
    let mut left = area.x;
    for action in wanted.chain([Action::Palette]) {
        // A hint is shown whole or not at all.
        if let Some((spans, width)) = hint(action)
            && left + width + 2 <= right
        {
            out.push(HintPlace {
                from: left,
                to: left + width,
                action,
                spans,
            });
            left += width;
        }
    }
    out
}

fn draw_hints(state: &State, area: Rect, buffer: &mut Buffer) {
    for hint in hint_places(state, area) {
        let place = Rect {
            x: hint.from,
            width: hint.to - hint.from,
            ..area
        };
        Line::from(hint.spans).render(place, buffer);
    }
}

fn short_title(action: Action, title: &'static str) -> &'static str {
    match action {
        Action::Trigger => "run",
        Action::Open => "open",
        Action::Report => "report",
        Action::RunLogs => "logs",
        Action::RunAgain => "again",
        Action::Json => "JSON",
        Action::Cancel => "cancel",
        Action::ClearCache => "clear cache",
        Action::ResetBreaker => "reset breaker",
        Action::IsolateBreaker => "isolate",
        Action::Filter => "filter",
        Action::Why => "why",
        Action::Copy => "copy",
        Action::ResizePool => "resize",
        Action::ZoomIn => "closer",
        Action::ZoomOut => "wider",
        Action::Zoom => "zoom",
        Action::FocusNext => "next panel",
        Action::Describe => "describe",
        Action::Columns => "columns",
        Action::Wide => "wide",
        Action::SortNext => "sort",
        Action::SortReverse => "other way",
        Action::Storage => "measure",
        Action::Rewind => "earlier",
        Action::Forward => "later",
        Action::Trends => "trends",
        Action::Reload => "reload",
        Action::Ask => "ask",
        Action::Decide => "decide",
        Action::Follow => "follow",
        Action::Wrap => "wrap",
        Action::Search => "search",
        Action::FindNext => "next",
        Action::FindPrevious => "before",
        Action::Acknowledge => "acknowledge",
        Action::CursorBack => "back",
        Action::CursorOn => "on",
        Action::PreviousAlert => "alert before",
        Action::NextAlert => "next alert",
        Action::Palette => "commands",
        _ => title,
    }
}

/// The newest notes, above the hint bar.
fn draw_toasts(state: &State, area: Rect, buffer: &mut Buffer) {
    let mut bottom = area.y + area.height;
    for toast in state.toasts.iter().rev() {
        let role = if toast.bad { Role::Bad } else { Role::Selected };
        // Whole, for what it names (a path, a reason) is nowhere else.
        let rows = wrap(&toast.text, usize::from(area.width.saturating_sub(2)));
        let widest = rows.iter().map(|r| r.trim_end().width()).max().unwrap_or(0);
        let width = (widest as u16 + 2).min(area.width);
        let height = rows.len() as u16;
        let used = area.y + area.height - bottom;
        // The newest has its room; older ones leave half of the screen to be seen.
        let room = if used == 0 {
            area.height
        } else {
            area.height / 2
        };
        if used + height > room {
            return;
        }
        bottom -= height;
        for (n, text) in rows.iter().enumerate() {
            let place = Rect {
                x: area.x + area.width - width,
                y: bottom + n as u16,
                width,
                height: 1,
            };
            Clear.render(place, buffer);
            let text = format!(" {:<1$} ", text.trim_end(), widest);
            put(buffer, place, &text, state.context.theme.style(role));
        }
    }
}

/// One line for a terminal that is too small for anything else.
fn floor(state: &State, area: Rect, buffer: &mut Buffer) {
    let (health, words) = header::health_mark(&state.context);
    let (glyph, role) = state.context.theme.mark(health);
    let counts = state.context.snapshot().counts;
    let line = Line::from(vec![
        Span::styled(format!("{glyph} "), state.context.theme.style(role)),
        Span::raw(format!("{}r {}q {words}", counts.running, counts.queued)),
    ]);
    line.render(Rect { height: 1, ..area }, buffer);
    if area.height > 1 {
        put(
            buffer,
            Rect {
                y: area.y + 1,
                height: 1,
                ..area
            },
            &if state.dialogs.is_empty() {
                state.context.keys_of(&[(Action::Quit, "quit; too small")])
            } else {
                "Esc: too small".to_owned()
            },
            state.context.theme.style(Role::Dim),
        );
    }
}
