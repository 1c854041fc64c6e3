//! A drill while it runs, and promise beside measurement when it has ended. It goes on when its window is closed.

use crossterm::event::KeyEvent;
use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::typing::closes;
use crate::console::action::Action;
use crate::console::component::{Dialog, DialogKind, Step};
use crate::console::context::Context;
use crate::console::theme::{Mark, Role};
use crate::console::widgets::panel::window;
use crate::console::widgets::text::{fit, put, row};
use crate::drill::Drilled;
use crate::drill::measure::{Measure, Want};
use crate::engine::protocol::event::Event;
use crate::text::clean_line;

/// A drill, as far as it has come.
#[derive(Debug, Clone)]
pub struct DrillWindow {
    name: String,
    lines: Vec<String>,
    /// What was measured, or why it could not be carried out. `None`: it runs.
    ended: Option<Result<Box<Drilled>, String>>,
}

impl DrillWindow {
    /// It begins.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            lines: Vec::new(),
            ended: None,
        }
    }
}

impl Dialog for DrillWindow {
    fn kind(&self) -> DialogKind {
        DialogKind::Drill
    }

    fn on_key(&mut self, key: KeyEvent, _action: Option<Action>, _cx: &Context) -> Step {
        if closes(key) {
            Step::close()
        } else {
            Step::stay()
        }
    }

    fn on_event(&mut self, event: &Event) {
        match event {
            Event::Drill { name, line } if *name == self.name => {
                self.lines.push(clean_line(line, 200));
            }
            Event::Drilled { drilled } if drilled.name == self.name => {
                self.ended = Some(Ok(drilled.clone()));
            }
            Event::DrillFailed { name, reason } if *name == self.name => {
                self.ended = Some(Err(clean_line(reason, 300)));
            }
            _ => {}
        }
    }

    fn ends_when_closed(&self) -> bool {
        self.ended.is_some()
    }

    fn draw(&self, cx: &Context, area: Rect, buffer: &mut Buffer) {
        let drill = self;
        let theme = cx.theme;
        let ended = drill.ended.as_ref();
        let measures = ended.map_or(0, |e| e.as_ref().map_or(1, |d| d.measures.len()));
        let height = (drill.lines.len() + measures + 6) as u16;
        let title = format!("Drill {}", crate::text::clean_line(&drill.name, 40));
        let note = if ended.is_some() {
            "Esc closes"
        } else {
            "Esc leaves it running"
        };
        let inner = window(cx, &title, note, (92, height), area, buffer);
        let mut n = 0;
        let mut say = |text: &str, style: Style| {
            put(buffer, row(inner, n), text, style);
            n += 1;
        };
        let promise = crate::drill::of(&drill.name).map_or("", |d| d.promise);
        say(promise, theme.style(Role::Title));
        // Where there is little room the measured is what counts.
        let room = usize::from(inner.height).saturating_sub(measures + 4);
        let skip = drill.lines.len().saturating_sub(room);
        for line in drill.lines.iter().skip(skip) {
            let (dot, ..) = theme.signs();
            say(
                &format!("{dot} {}", crate::text::clean_line(line, 120)),
                theme.style(Role::Dim),
            );
        }
        let ended = match ended {
            None => return say("running", theme.style(Role::Warn)),
            Some(Err(reason)) => {
                return say(&format!("it failed: {reason}"), theme.style(Role::Bad));
            }
            Some(Ok(ended)) => ended,
        };
        say("", theme.style(Role::Text));
        for measure in &ended.measures {
            let (sign, role) = sign(cx, measure);
            let text = format!(
                "{sign} {} {:>9} {:>12}",
                fit(
                    theme,
                    &measure.name,
                    usize::from(inner.width).saturating_sub(26)
                ),
                measure.promised(theme.ascii),
                measure.measured()
            );
            say(&text, theme.style(role));
        }
        let took = format!("in {:.1} s", ended.took_ms as f64 / 1e3);
        say(&took, theme.style(Role::Dim));
    }
}

/// A count that is not as promised is bad; a time may be the machine's.
fn sign(cx: &Context, measure: &Measure) -> (&'static str, Role) {
    let theme = cx.theme;
    if measure.want == Want::Nothing {
        return (" ", Role::Dim);
    }
    let mark = match (measure.kept(), measure.decides(false)) {
        (true, _) => Mark::Passed,
        (false, true) => Mark::Failed,
        (false, false) => Mark::Person,
    };
    theme.mark(mark)
}
