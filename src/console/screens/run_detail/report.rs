//! A run's report, its Markdown made readable: headings bright, list and table lines as they are.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::{Line, Span};
use ratatui::widgets::{Paragraph, Widget as _, Wrap};

use crate::console::action::Action;
use crate::console::component::{Component, Intent, Subject};
use crate::console::context::Context;
use crate::console::format::short_id;
use crate::console::theme::{Role, Theme};
use crate::console::widgets::list::scrolled;
use crate::console::widgets::panel::panel;
use crate::console::widgets::text::{put, row};
use crate::engine::protocol::query::{Answer, Query};

/// Characters of a report that are shown.
const LONGEST: usize = 200_000;

/// A report.
#[derive(Debug, Clone)]
pub struct Report {
    id: String,
    text: Option<String>,
    scroll: u16,
}

impl Report {
    /// Of a run; nothing of it is read yet.
    pub fn new(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            text: None,
            scroll: 0,
        }
    }
}

impl Component for Report {
    fn title(&self, _cx: &Context) -> String {
        "report".into()
    }

    fn on_show(&mut self, _cx: &Context) -> Vec<Intent> {
        vec![Intent::ask(Query::Report {
            id: self.id.clone(),
        })]
    }

    fn on_action(&mut self, action: Action, _cx: &Context) -> Option<Vec<Intent>> {
        // Nothing lies behind a report, and it is open already.
        if matches!(action, Action::Open | Action::Report) {
            return Some(Vec::new());
        }
        scrolled(action, &mut self.scroll).then(Vec::new)
    }

    fn on_answer(&mut self, query: &Query, answer: &Answer, _cx: &Context) -> Vec<Intent> {
        if let (Query::Report { id }, Answer::Report { text }) = (query, answer)
            && *id == self.id
        {
            self.text = Some(text.block(LONGEST));
        }
        Vec::new()
    }

    fn draw(&self, cx: &Context, area: Rect, buffer: &mut Buffer) {
        let theme = cx.theme;
        let inner = panel(
            theme,
            &format!("report of {}", short_id(&self.id)),
            "Esc back",
            area,
            buffer,
        );
        let Some(text) = &self.text else {
            put(
                buffer,
                row(inner, 0),
                "there is none yet",
                theme.style(Role::Dim),
            );
            return;
        };
        let lines: Vec<Line<'static>> = text.lines().map(|l| markdown_line(theme, l)).collect();
        let most = (lines.len() as u16).saturating_sub(inner.height);
        Paragraph::new(lines)
            .wrap(Wrap { trim: false })
            .scroll((self.scroll.min(most), 0))
            .render(inner, buffer);
    }

    fn hints(&self, _cx: &Context) -> Vec<Action> {
        vec![
            Action::RunLogs,
            Action::RunAgain,
            Action::Why,
            Action::Copy,
            Action::Back,
        ]
    }

    fn subject(&self, _cx: &Context) -> Subject {
        Subject::Run(self.id.clone())
    }

    fn copied(&self, _cx: &Context) -> Option<String> {
        self.text.clone()
    }
}

fn markdown_line(theme: Theme, text: &str) -> Line<'static> {
    if let Some(cells) = text.strip_prefix("| ") {
        // Cells are told apart before their own pipes are unescaped.
        let rule = if theme.ascii { "  |  " } else { "  │  " };
        let cells: Vec<String> = cells
            .trim_end_matches(" |")
            .split(" | ")
            .map(unescape)
            .collect();
        return Line::from(Span::raw(cells.join(rule)));
    }
    let plain = unescape(text);
    if let Some(heading) = plain
        .strip_prefix("## ")
        .or_else(|| plain.strip_prefix("# "))
    {
        return Line::from(Span::styled(heading.to_owned(), theme.style(Role::Title)));
    }
    if plain.starts_with("|---") {
        return Line::default();
    }
    // Bold parts alternate with plain ones.
    let parts = plain.split("**").enumerate().map(|(n, part)| {
        let role = if n % 2 == 1 { Role::Title } else { Role::Text };
        Span::styled(part.to_owned(), theme.style(role))
    });
    Line::from(parts.collect::<Vec<_>>())
}

/// Undoes the report's own escapes.
fn unescape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        if c == '\\' {
            out.extend(chars.next());
        } else {
            out.push(c);
        }
    }
    out.replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&#64;", "@")
        .replace("&amp;", "&")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_keeps_the_pipes_of_its_cells() {
        let theme = Theme {
            ascii: true,
            ..Theme::default()
        };
        let row = markdown_line(theme, r"| install.sh:3 | curl x \| sh | rule |");
        assert_eq!(row.to_string(), "install.sh:3  |  curl x | sh  |  rule");
    }
}
