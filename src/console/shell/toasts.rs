//! Notes over a screen: what was done or refused, and what became of it a while later.

use std::time::Duration;

use super::state::{State, Toast};
use crate::console::message::Now;
use crate::text::clean_line;

const TOAST: Duration = Duration::from_secs(6);

/// Says something for a few seconds.
pub fn toast(state: &mut State, text: impl Into<String>, bad: bool, now: Now) {
    const MOST: usize = 3;
    let text = clean_line(&text.into(), 200);
    state.toasts.push(Toast {
        text,
        bad,
        until: now.at + TOAST,
    });
    if state.toasts.len() > MOST {
        state.toasts.remove(0);
    }
}

/// What became of commands whose time has come; notes whose time is over go.
pub fn look_again(state: &mut State, now: Now) {
    state.toasts.retain(|t| t.until > now.at);
    let (due, later) = std::mem::take(&mut state.follow_ups)
        .into_iter()
        .partition::<Vec<_>, _>(|f| f.at <= now.at);
    state.follow_ups = later;
    for follow_up in due {
        if let Some((text, bad)) = follow_up.summary(&state.context.live) {
            toast(state, text, bad, now);
        }
    }
}
