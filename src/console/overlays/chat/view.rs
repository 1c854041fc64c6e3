//! A conversation with an agent, the newest at the bottom, above the line one types in.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Widget as _};

use super::conversation::Chat;
use crate::console::context::Context;
use crate::console::theme::Role;
use crate::console::widgets::panel::window;
use crate::console::widgets::text::{put, row, wrap};
use crate::model;

pub fn draw(cx: &Context, talk: &Chat, area: Rect, buffer: &mut Buffer) {
    let theme = cx.theme;
    // In a small terminal all of it: nothing of what is behind says anything there.
    let size = if area.width < 100 {
        (area.width, area.height)
    } else {
        ((area.width - 4).min(120), area.height.saturating_sub(2))
    };
    let title = format!("Ask {}", who(talk));
    let inner = window(
        cx,
        &title,
        "Enter asks  Tab agent  Esc back",
        size,
        area,
        buffer,
    );
    if inner.height < 4 {
        return;
    }
    let place = Rect {
        height: inner.height - 2,
        ..inner
    };
    let lines = lines(cx, talk, usize::from(place.width));
    let total = u16::try_from(lines.len()).unwrap_or(u16::MAX);
    let most = total.saturating_sub(place.height);
    Paragraph::new(lines)
        .scroll((most.saturating_sub(talk.scroll), 0))
        .render(place, buffer);
    let search = if talk.search { "  and the web" } else { "" };
    let typed = crate::text::clean_line(talk.input.value(), 4_000);
    // The end of what is typed is what one looks at.
    let room = usize::from(inner.width).saturating_sub(6 + search.len());
    let skip = typed.chars().count().saturating_sub(room);
    let shown: String = typed.chars().skip(skip).collect();
    let last = row(inner, inner.height - 1);
    put(
        buffer,
        last,
        &format!("> {shown}{}{search}", cx.cursor()),
        theme.style(Role::Title),
    );
}

/// All that was said, in lines that fit.
fn lines(cx: &Context, talk: &Chat, width: usize) -> Vec<Line<'static>> {
    let theme = cx.theme;
    let mut out: Vec<Line<'static>> = Vec::new();
    let mut say = |text: &str, role: Role| {
        let styled = |l| Line::from(Span::styled(l, theme.style(role)));
        out.extend(wrap(text, width).into_iter().map(styled));
    };
    if talk.lines.is_empty() {
        say(
            "Ask about this workspace, a finding, a provider that is down.",
            Role::Dim,
        );
        say(
            "Tab chooses the agent, Ctrl-w asks the web too. Nothing is decided here.",
            Role::Dim,
        );
    }
    for said in &talk.lines {
        match said.role {
            model::Role::User => say(&format!("> {}", said.text.block(32_000)), Role::Title),
            model::Role::Assistant | model::Role::Tool => {
                say(&said.text.block(200_000), Role::Text);
                let role = if said.failed { Role::Bad } else { Role::Dim };
                say(&crate::text::clean_line(&said.note, 800), role);
                say("\n", Role::Text);
            }
        }
    }
    if talk.waiting.is_some() {
        say(&talk.so_far.block(200_000), Role::Text);
        say(&format!("{} answers", who(talk)), Role::Warn);
    }
    out
}

/// Who is talked with, in a word.
fn who(talk: &Chat) -> String {
    crate::text::clean_line(talk.agent.as_deref().unwrap_or("assistant"), 60)
}
