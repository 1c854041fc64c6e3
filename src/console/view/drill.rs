//! A drill while it runs, and promise beside measurement when it has ended.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::style::Style;

use super::overlay::window;
use super::pieces::{fit, put, row};
use crate::console::state::{DrillView, State};
use crate::console::theme::{Mark, Role};
use crate::drill::measure::{Measure, Want};

pub fn draw(state: &State, drill: &DrillView, area: Rect, buffer: &mut Buffer) {
    let theme = state.theme;
    let ended = drill.ended.as_ref();
    let measures = ended.map_or(0, |e| e.as_ref().map_or(1, |d| d.measures.len()));
    let height = (drill.lines.len() + measures + 6) as u16;
    let title = format!("Drill {}", crate::text::clean_line(&drill.name, 40));
    let note = if ended.is_some() {
        "Esc closes"
    } else {
        "Esc leaves it running"
    };
    let inner = window(state, &title, note, (92, height), area, buffer);
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
        Some(Err(reason)) => return say(&format!("it failed: {reason}"), theme.style(Role::Bad)),
        Some(Ok(ended)) => ended,
    };
    say("", theme.style(Role::Text));
    for measure in &ended.measures {
        let (sign, role) = sign(state, measure);
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

/// A count that is not as promised is bad; a time may be the machine's.
fn sign(state: &State, measure: &Measure) -> (&'static str, Role) {
    let theme = state.theme;
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
