//! Why is it so: the sentences, what helps with its key, the page to read.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Widget as _, Wrap};

use super::overlay::window;
use super::pieces::fit;
use crate::console::action::ACTIONS;
use crate::console::state::State;
use crate::console::theme::Role;
use crate::engine::protocol::why::Why;

pub fn draw(state: &State, why: Option<&Why>, scroll: u16, area: Rect, buffer: &mut Buffer) {
    let theme = state.theme;
    let title = why.map_or("Why", |w| w.title.as_str());
    let lines: Vec<Line<'_>> = match why {
        None => vec![Line::from("looking at the evidence")],
        Some(why) => text(state, why),
    };
    let width = 92.min(area.width);
    let wraps = |line: &Line<'_>| {
        (line.width() as u16)
            .div_ceil(width.saturating_sub(4).max(1))
            .max(1)
    };
    let height = lines.iter().map(wraps).sum::<u16>() + 2;
    let note = format!(
        "{} copies  Esc closes",
        state.keys.key_of(crate::console::action::Action::Copy)
    );
    let title = crate::text::clean_line(title, 60);
    let inner = window(state, &title, &note, (width, height.max(6)), area, buffer);
    Paragraph::new(lines)
        .wrap(Wrap { trim: true })
        .style(theme.style(Role::Text))
        .scroll((scroll, 0))
        .render(inner, buffer);
}

fn text<'a>(state: &State, why: &'a Why) -> Vec<Line<'a>> {
    let theme = state.theme;
    let mut lines: Vec<Line<'a>> = why
        .because
        .iter()
        .enumerate()
        .map(|(n, sentence)| {
            let role = if n == 0 { Role::Title } else { Role::Text };
            Line::from(Span::styled(sentence.as_str(), theme.style(role)))
        })
        .collect();
    lines.push(Line::default());
    for help in &why.helps {
        let row = ACTIONS.iter().find(|r| r.name == help.action);
        let key = row.map_or("", |r| state.keys.key_of(r.action)).to_owned();
        lines.push(Line::from(vec![
            Span::styled(fit(theme, &key, 7), theme.style(Role::Key)),
            Span::styled(fit(theme, &help.action, 17), theme.style(Role::Text)),
            Span::styled(help.why.as_str(), theme.style(Role::Dim)),
        ]));
    }
    if let Some(page) = &why.runbook {
        lines.push(Line::from(Span::styled(
            page.as_str(),
            theme.style(Role::Dim),
        )));
    }
    lines
}
