//! One breaker in a line: its window and its counts, for which the table of providers has no column.

use ratatui::buffer::Buffer;
use ratatui::layout::Rect;
use ratatui::text::Span;

use crate::console::context::Context;
use crate::console::format::{count, seconds};
use crate::console::theme::Role;
use crate::console::widgets::text::facts;
use crate::resilience::breaker::BreakerState;

/// What the table has no column for, of one breaker.
pub fn draw(cx: &Context, name: &str, place: Rect, buffer: &mut Buffer) {
    let Some(b) = cx.snapshot().breakers.iter().find(|b| b.name == name) else {
        return;
    };
    let dim = |text: String| Span::styled(text, cx.theme.style(Role::Dim));
    let mut parts = vec![
        Span::styled(
            format!("{}: ", crate::text::clean_line(name, 40)),
            cx.theme.style(Role::Text),
        ),
        dim(format!(
            "window {} calls, {} failed, {} slow  ",
            b.window_calls, b.window_failures, b.window_slow
        )),
        dim(format!("opened {} times  ", count(b.trips))),
        dim(format!("refused {}  ", count(b.rejections))),
    ];
    // What the provider's own breaker does not say: models of it that are refused.
    for own in &cx.snapshot().breakers {
        let model = own
            .name
            .strip_prefix(name)
            .and_then(|n| n.strip_prefix('/'));
        if let Some(model) = model.filter(|_| own.state != BreakerState::Closed) {
            let (model, state) = (crate::text::clean_line(model, 40), own.state.as_str());
            let error = own.last_error.as_deref().unwrap_or_default();
            let error = crate::text::clean_line(error, 40);
            parts.push(Span::styled(
                format!("model {model} {state} {error}  "),
                cx.theme.style(Role::Warn),
            ));
        }
    }
    if let Some(error) = &b.last_error {
        let error = crate::text::clean_line(error, 40);
        parts.push(dim(format!("last error {error}  ")));
    }
    if b.open_for_ms > 0 {
        parts.push(dim(format!("last opened for {}  ", seconds(b.open_for_ms))));
    }
    parts.push(dim(format!(
        "since start {} ok, {} failed, {} late",
        count(b.successes),
        count(b.failures),
        count(b.late)
    )));
    facts(buffer, place, parts);
}
