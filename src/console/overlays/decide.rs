//! The form for a pending approval: granted or denied, why, and whose token says so.

use crossterm::event::{Event as TerminalEvent, KeyCode, KeyEvent};
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use tui_input::Input;
use tui_input::backend::crossterm::EventHandler as _;

use super::typing::paste_line;
use crate::console::action::Action;
use crate::console::component::{Dialog, DialogKind, Intent, Step};
use crate::console::context::Context;
use crate::console::theme::Role;
use crate::console::widgets::panel::window;
use crate::console::widgets::text::{put, row, wrap};
use crate::engine::protocol::command::Command;
use crate::engine::protocol::github::Secret;
use crate::text::clean_line;

/// A decision about an action that waits.
#[derive(Debug, Clone)]
pub struct Decide {
    approval: String,
    /// What happens once it is approved.
    what: String,
    /// Approved; else denied.
    grant: bool,
    reason: Input,
    /// Whose decision it is; never shown.
    token: Input,
    /// Where one types: 0 the decision, 1 the reason, 2 the token.
    field: usize,
    /// What is missing.
    error: Option<&'static str>,
}

impl Decide {
    /// The form for an approval; the token of an approver at this keyboard is filled in.
    pub fn new(approval: String, what: String, cx: &Context) -> Self {
        Self {
            approval,
            what,
            grant: true,
            reason: Input::default(),
            token: Input::from(cx.approver.clone().unwrap_or_default()),
            field: 1,
            error: None,
        }
    }

    fn submit(&mut self) -> Step {
        let empty = |input: &Input| input.value().trim().is_empty();
        let missing = [
            (1, empty(&self.reason), "say why"),
            (2, empty(&self.token), "an approver's token is needed"),
        ];
        if let Some((field, _, what)) = missing.into_iter().find(|(_, empty, _)| *empty) {
            (self.field, self.error) = (field, Some(what));
            return Step::stay();
        }
        Step::finish(vec![Intent::send(Command::Decide {
            approval: self.approval.clone(),
            grant: self.grant,
            reason: self.reason.value().to_owned(),
            token: Secret(self.token.value().trim().to_owned()),
        })])
    }
}

impl Dialog for Decide {
    fn kind(&self) -> DialogKind {
        DialogKind::Decide
    }

    fn on_key(&mut self, key: KeyEvent, _action: Option<Action>, _cx: &Context) -> Step {
        self.error = None;
        match key.code {
            KeyCode::Esc => return Step::close(),
            KeyCode::Tab | KeyCode::Down => self.field = (self.field + 1) % 3,
            KeyCode::BackTab | KeyCode::Up => self.field = (self.field + 2) % 3,
            KeyCode::Enter => return self.submit(),
            KeyCode::Left | KeyCode::Right | KeyCode::Char(_) if self.field == 0 => {
                self.grant = !self.grant;
            }
            _ => {
                let input = if self.field == 1 {
                    &mut self.reason
                } else {
                    &mut self.token
                };
                input.handle_event(&TerminalEvent::Key(key));
            }
        }
        Step::stay()
    }

    fn on_paste(&mut self, text: &str, _cx: &Context) -> Vec<Intent> {
        match self.field {
            1 => paste_line(&mut self.reason, text, 2_000),
            2 => paste_line(&mut self.token, text, 2_000),
            _ => {}
        }
        Vec::new()
    }

    fn draw(&self, cx: &Context, area: Rect, buffer: &mut Buffer) {
        let form = self;
        let theme = cx.theme;
        let inner = window(
            cx,
            "Decide",
            "Enter sends  Tab next  Esc back",
            (76, 11),
            area,
            buffer,
        );
        let width = usize::from(inner.width);
        let mut at = 0;
        for text in wrap(&clean_line(&form.what, 300), width).iter().take(2) {
            put(buffer, row(inner, at), text, theme.style(Role::Text));
            at += 1;
        }
        let word = if form.grant { "approve" } else { "deny" };
        // As long as it is, and no more than that.
        let hidden = "*".repeat(form.token.value().chars().count().min(40));
        let reason = clean_line(form.reason.value(), 400);
        let rows = [
            ("decision", format!("< {word} >")),
            ("reason", reason),
            ("token", hidden),
        ];
        for (n, (label, value)) in rows.into_iter().enumerate() {
            let here = form.field == n;
            let mark = if here && n > 0 { cx.cursor() } else { "" };
            let room = width.saturating_sub(13);
            let skip = value.chars().count().saturating_sub(room);
            let shown: String = value.chars().skip(skip).collect();
            let role = if here { Role::Title } else { Role::Dim };
            let text = format!("{label:>9}  {shown}{mark}");
            put(
                buffer,
                row(inner, at + 1 + n as u16),
                &text,
                theme.style(role),
            );
        }
        let last = form.error.unwrap_or(
        "The token says whose decision it is; BSM_APPROVER_TOKEN fills it in. It is kept with the reason.",
    );
        let role = if form.error.is_some() {
            Role::Bad
        } else {
            Role::Dim
        };
        for (n, text) in wrap(last, width).iter().enumerate() {
            put(
                buffer,
                row(inner, at + 5 + n as u16),
                text,
                theme.style(role),
            );
        }
    }
}
