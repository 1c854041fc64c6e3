//! What the engine's state means for work, as a face shows it: how a finding is drawn, and the worst one in short.

use ratatui::text::Span;
use unicode_width::UnicodeWidthStr as _;

use super::text::fit;
use crate::console::context::Context;
use crate::console::format::secs;
use crate::console::theme::Role;
use crate::engine::protocol::impact::ImpactKind;

/// How a kind is drawn. Only work that is done with full evidence is good.
pub fn role_of(kind: ImpactKind) -> Role {
    match kind {
        ImpactKind::Down => Role::Bad,
        ImpactKind::Slow | ImpactKind::Warn | ImpactKind::Drained => Role::Warn,
        ImpactKind::Offline | ImpactKind::Simulated | ImpactKind::Unknown => Role::Warn,
        ImpactKind::Idle => Role::Dim,
        ImpactKind::Ok => Role::Good,
    }
}

/// The bar before the sentence.
pub fn bar(cx: &Context) -> &'static str {
    if cx.theme.ascii { "|" } else { "▌" }
}

/// The worst finding: its kind, and of its sentence the first part in at most so many columns. An engine that does
/// not answer is unknown, whatever it last said.
pub fn in_short(cx: &Context, room: usize) -> Vec<Span<'static>> {
    let bar = bar(cx);
    if let Some(lost) = &cx.live.disconnected {
        let since = secs((cx.wall_ms - lost.since_ms) / 1_000 * 1_000);
        let words = format!("no answer since {since}");
        return said(cx, &format!("{bar}UNKNOWN"), &words, Role::Bad, room);
    }
    let Some(impact) = cx.snapshot().impact.first() else {
        let words = "this engine is older";
        return said(cx, &format!("{bar}UNKNOWN"), words, Role::Warn, room);
    };
    let now = cx.zone.at(cx.clock_ms());
    let first = impact.parts(&now).into_iter().next().unwrap_or_default();
    let first = if cx.theme.ascii {
        first.replace('·', "-")
    } else {
        first
    };
    let head = format!("{bar}{}", impact.kind.as_str());
    said(cx, &head, &first, role_of(impact.kind), room)
}

/// The words stay where there is room for at least a few of them.
fn said(cx: &Context, head: &str, words: &str, role: Role, room: usize) -> Vec<Span<'static>> {
    const LEAST: usize = 8;
    let style = cx.theme.style(role);
    let mut out = vec![Span::styled(format!("{head} "), style)];
    let room = room.saturating_sub(head.width() + 2);
    if room >= LEAST.min(words.width()) {
        let words = fit(cx.theme, words, words.width().min(room));
        let plain = if role == Role::Good { Role::Text } else { role };
        out.push(Span::styled(format!("{words} "), cx.theme.style(plain)));
    }
    out
}
