//! The console's state: what components may read, where the operator is, and what lies over the screen.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use super::follow_up::FollowUp;
use crate::console::action::Screen;
use crate::console::component::{Component, Dialog, DialogKind};
use crate::console::context::Context;
use crate::console::list_habits::ListHabits;
use crate::console::route::{Route, screen_name};
use crate::console::screens;
use crate::console::theme::Theme;
use crate::engine::protocol::snapshot::Snapshot;

/// A note at the bottom, for a few seconds.
#[derive(Debug, Clone)]
pub struct Toast {
    /// What it says; harmless.
    pub text: String,
    /// It is bad.
    pub bad: bool,
    /// When it goes.
    pub until: Instant,
}

/// A route and its component.
#[derive(Debug)]
pub(super) struct Place {
    pub route: Route,
    pub component: Box<dyn Component>,
}

/// Everything.
#[derive(Debug)]
pub struct State {
    /// What components may read.
    pub context: Context,
    /// Where the operator is: a screen, and what was opened from it.
    pub(super) places: Vec<Place>,
    /// Screens that are not shown keep their selection and filter.
    pub(super) resting: BTreeMap<Screen, Box<dyn Component>>,
    /// Over the screen, topmost last.
    pub(super) dialogs: Vec<Box<dyn Dialog>>,
    /// Dialogs that were closed and go on.
    pub(super) closed: Vec<Box<dyn Dialog>>,
    /// Notes, newest last.
    pub(super) toasts: Vec<Toast>,
    /// Commands whose consequence is looked at again.
    pub(super) follow_ups: Vec<FollowUp>,
}

impl State {
    /// The state at the start.
    pub fn new(live: Arc<Snapshot>, theme: Theme, read_only: bool, wall_ms: i64) -> Self {
        let context = Context::new(live, theme, read_only, wall_ms);
        let route = Route::Screen(Screen::Overview);
        let component = screens::open(&route, &context);
        Self {
            context,
            places: vec![Place { route, component }],
            resting: BTreeMap::new(),
            dialogs: Vec::new(),
            closed: Vec::new(),
            toasts: Vec::new(),
            follow_ups: Vec::new(),
        }
    }

    /// Lists as they were left the last time, and the filters that were saved.
    pub fn adopt(&mut self, lists: ListHabits) {
        for place in &mut self.places {
            if let Route::Screen(screen) = place.route
                && let Some(habit) = lists.left.get(screen_name(screen))
            {
                place.component.adopt(habit);
            }
        }
        self.context.lists = lists;
    }

    /// Lists as they are left now; those that were not looked at stay as they were.
    pub fn list_habits(&self) -> ListHabits {
        let mut lists = self.context.lists.clone();
        let resting = self.resting.iter().map(|(s, c)| (*s, c.as_ref()));
        let shown = self.places.first().map(|p| p.component.as_ref());
        for (screen, component) in resting.chain(shown.map(|c| (self.screen(), c))) {
            if let Some(habit) = component.list_habit() {
                lists.leave(screen_name(screen), Route::Screen(screen).list(), habit);
            }
        }
        lists
    }

    /// Where the operator is, the screen first.
    pub fn routes(&self) -> Vec<&Route> {
        self.places.iter().map(|p| &p.route).collect()
    }

    /// The screen at the bottom.
    pub fn screen(&self) -> Screen {
        match self.places.first().map(|p| &p.route) {
            Some(Route::Screen(screen)) => *screen,
            _ => Screen::Overview,
        }
    }

    /// The place that is shown.
    pub fn top(&self) -> &dyn Component {
        self.places[self.places.len() - 1].component.as_ref()
    }

    /// What lies over it, topmost last.
    pub fn dialogs(&self) -> Vec<DialogKind> {
        self.dialogs.iter().map(|d| d.kind()).collect()
    }

    /// The notes that are shown, oldest first.
    pub fn toasts(&self) -> &[Toast] {
        &self.toasts
    }

    /// Lays a dialog over the screen; one of the same kind that was closed is forgotten.
    pub(super) fn open(&mut self, dialog: Box<dyn Dialog>) {
        self.closed.retain(|d| d.kind() != dialog.kind());
        self.dialogs.push(dialog);
    }

    /// Closes a dialog that has done its work.
    pub(super) fn close(&mut self, kind: DialogKind) {
        self.dialogs.retain(|d| d.kind() != kind);
    }

    /// Keeps a dialog that goes on while it is closed.
    pub(super) fn keep(&mut self, dialog: Box<dyn Dialog>) {
        self.closed.retain(|d| d.kind() != dialog.kind());
        self.closed.push(dialog);
    }
}
