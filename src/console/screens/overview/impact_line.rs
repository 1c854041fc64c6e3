//! The sentence that leads the Overview: what the engine's state means for work, with the keys that explain and
//! help. Parts that do not fit are left out from the end, never cut in half.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Span;
use unicode_width::UnicodeWidthStr as _;

use crate::console::action::{ACTIONS, Action};
use crate::console::context::Context;
use crate::console::theme::Role;
use crate::console::widgets::impact::{self, role_of};
use crate::console::widgets::text::{cut, spans};
use crate::engine::protocol::impact::{Impact, ImpactKind};

/// The keys at the right: why, and what helps.
fn keys(cx: &Context, impact: Option<&Impact>, wide: bool) -> String {
    let mut all = format!("{} why", cx.key_word(Action::Why));
    let helps = impact.and_then(|i| ACTIONS.iter().find(|r| r.name == i.action));
    if let Some(row) = helps.filter(|r| wide && r.action != Action::Why) {
        all.push_str(&format!("   {} {}", cx.key_word(row.action), row.name));
    }
    all.push(' ');
    all
}

/// Draws the line.
pub(super) fn draw(cx: &Context, area: Rect, buffer: &mut Buffer) {
    let theme = cx.theme;
    let bar = impact::bar(cx);
    if let Some(lost) = cx.lost_words() {
        let role = theme.style(Role::Bad);
        let words = format!("{bar}UNKNOWN {lost}");
        let left = cut(vec![Span::styled(words, role)], usize::from(area.width));
        return spans(buffer, area, left, Vec::new());
    }
    let found = &cx.snapshot().impact;
    let first = found.first();
    let keys = keys(cx, first, area.width >= 120);
    let right = vec![Span::styled(keys.clone(), theme.style(Role::Dim))];
    let Some(impact) = first else {
        let words = format!("{bar}UNKNOWN this engine is older and does not say how it is");
        let left = vec![Span::styled(words, theme.style(Role::Warn))];
        return spans(buffer, area, left, right);
    };
    let dot = format!(" {} ", theme.signs().0);
    let now = cx.zone.at(cx.clock_ms());
    let mut room = usize::from(area.width).saturating_sub(keys.width() + 8);
    let more = found.len() - 1;
    let more = if more > 0 && impact.kind <= ImpactKind::Warn {
        format!(" +{more}")
    } else {
        String::new()
    };
    room = room.saturating_sub(more.width());
    let mut sentence = String::new();
    for part in impact.parts(&now) {
        let part = if theme.ascii {
            part.replace('·', "-")
        } else {
            part
        };
        let joined = if sentence.is_empty() {
            part
        } else {
            format!("{dot}{part}")
        };
        if sentence.width() + joined.width() > room && !sentence.is_empty() {
            break;
        }
        sentence.push_str(&joined);
    }
    let role = theme.style(role_of(impact.kind));
    let left = vec![
        Span::styled(format!("{bar}{:<5} ", impact.kind.as_str()), role),
        Span::styled(
            sentence,
            theme.style(match impact.kind {
                ImpactKind::Ok | ImpactKind::Idle => Role::Text,
                kind => role_of(kind),
            }),
        ),
        Span::styled(more, theme.style(Role::Dim)),
    ];
    spans(buffer, area, left, right);
}
