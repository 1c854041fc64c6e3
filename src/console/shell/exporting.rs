//! What an export holds: the picture, the list or the screen, as they are shown now.

use ratatui::buffer::Buffer;

use super::state::State;
use super::view;
use crate::console::export::{Form, csv, text};

/// An export's text.
pub fn render(state: &State, form: Form) -> String {
    let cx = &state.context;
    match form {
        Form::Json => crate::text::json_pretty(cx.snapshot()).unwrap_or_default(),
        Form::Csv => csv(&state.top().table(cx)),
        Form::Text => {
            let area = view::whole(cx);
            let mut buffer = Buffer::empty(area);
            view::draw_screen(state, area, &mut buffer);
            text(&buffer)
        }
    }
}
