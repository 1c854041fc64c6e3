//! Which keys mean something on the place that is shown: its own, those of its list and of its panels, and those
//! that act on what is selected.

use crate::console::action::{ACTIONS, Action, Scope};
use crate::console::component::Component;
use crate::console::context::Context;

/// Actions of the place, those that its hint bar names first.
pub fn keys_here(top: &dyn Component, cx: &Context) -> Vec<Action> {
    let mut out = top.hints(cx);
    let subject = top.subject(cx);
    let panels = top.panels(cx) > 1;
    let sorts = out.contains(&Action::SortNext) || top.list_habit().is_some();
    for row in ACTIONS {
        let holds = match (row.scope, row.action) {
            (Scope::Panels, _) => panels,
            (Scope::Run, Action::RunLogs) => subject.is_logged(),
            (Scope::Run, _) => subject.run().is_some(),
            (Scope::Everywhere, Action::Filter) => top.filter().is_some(),
            (Scope::Everywhere, Action::SortNext | Action::SortPrevious | Action::SortReverse) => {
                sorts
            }
            (Scope::Everywhere, Action::Why) => true,
            (scope, _) => scope.is_narrow() && scope == top.scope(),
        };
        if holds {
            out.push(row.action);
        }
    }
    let mut seen = Vec::with_capacity(out.len());
    out.retain(|action| {
        let one_panel = !panels && matches!(action, Action::Zoom | Action::FocusNext);
        let new = !seen.contains(action);
        seen.push(*action);
        new && !one_panel
    });
    out
}
