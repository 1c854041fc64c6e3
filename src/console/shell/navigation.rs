//! Where the operator goes: from screen to screen, into what is selected, and back. Esc takes the topmost place
//! away; only a screen's own key leaves more than one.

use super::state::{Place, State};
use super::toasts::toast;
use crate::console::action::Screen;
use crate::console::component::Intent;
use crate::console::message::Now;
use crate::console::route::{Route, screen_name};
use crate::console::screens;

/// Shows a screen; what was open over the one before is closed. The screen is as it was left.
pub fn show(state: &mut State, screen: Screen) -> Vec<Intent> {
    let mut places = std::mem::take(&mut state.places).into_iter();
    if let Some(Place {
        route: Route::Screen(left),
        component,
    }) = places.next()
    {
        state.resting.insert(left, component);
    }
    let route = Route::Screen(screen);
    let rested = state.resting.remove(&screen);
    let component = rested.unwrap_or_else(|| {
        let mut component = screens::open(&route, &state.context);
        if let Some(habit) = state.context.lists.left.get(screen_name(screen)) {
            component.adopt(habit);
        }
        component
    });
    state.places = vec![Place { route, component }];
    shown(state)
}

/// Opens a place over the present one; a place that is open already is not opened twice.
pub fn open(state: &mut State, route: Route) -> Vec<Intent> {
    if let Route::Screen(screen) = route {
        return show(state, screen);
    }
    const DEEPEST: usize = 16;
    if let Some(at) = state.places.iter().position(|p| p.route == route) {
        state.places.truncate(at + 1);
        return shown(state);
    }
    if state.places.len() >= DEEPEST {
        state.places.remove(1);
    }
    let component = screens::open(&route, &state.context);
    state.places.push(Place { route, component });
    shown(state)
}

/// Esc: out of what is open; then the filter goes; then the picture held still.
pub fn back(state: &mut State) -> Vec<Intent> {
    let place = state.places.len() - 1;
    let filtered = state.top().filter().is_some_and(|f| !f.is_empty());
    if place > 0 {
        state.places.truncate(place);
        return shown(state);
    }
    if filtered {
        let top = &mut state.places[place].component;
        return top.set_filter(String::new(), true, &state.context);
    }
    let was_past = std::mem::take(&mut state.context.rewound);
    state.context.frozen = None;
    if was_past {
        let top = &mut state.places[place].component;
        return top.on_rewind(&state.context);
    }
    Vec::new()
}

/// Saves a filter of the topmost list for later, or forgets it.
pub fn save_filter(state: &mut State, text: &str, now: Now) {
    let top = state.places.len() - 1;
    let list = state.places[top].route.list();
    match state.context.lists.toggle(list, text) {
        Ok(done) => toast(state, done.to_owned(), false, now),
        Err(why) => toast(state, why, true, now),
    }
}

/// What the place that is now on top wants to read.
fn shown(state: &mut State) -> Vec<Intent> {
    let top = state.places.len() - 1;
    state.places[top].component.on_show(&state.context)
}
