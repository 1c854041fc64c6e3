//! What an action is for, in a few groups: help lists keys by them.

use super::action::{Action, Danger, row_of};

/// A group of actions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// Opens, explains, copies.
    Read,
    /// Changes the engine.
    Change,
    /// Filters, sorts, marks, searches.
    List,
    /// Moves the selection, the focus, the cursor.
    Move,
    /// Goes through what was recorded.
    Time,
    /// Goes to a screen.
    Go,
    /// The console itself.
    Console,
}

impl Group {
    /// All of them in the order of the help.
    pub const ALL: [Self; 7] = [
        Self::Read,
        Self::Change,
        Self::List,
        Self::Move,
        Self::Time,
        Self::Go,
        Self::Console,
    ];

    /// Its title.
    pub fn title(self) -> &'static str {
        match self {
            Self::Read => "Open and read",
            Self::Change => "Change",
            Self::List => "Lists and lines",
            Self::Move => "Move",
            Self::Time => "Time",
            Self::Go => "Screens",
            Self::Console => "Console",
        }
    }
}

/// The group of an action.
pub fn group_of(action: Action) -> Group {
    match action {
        Action::Filter
        | Action::Mark
        | Action::MarkAll
        | Action::SortNext
        | Action::SortPrevious
        | Action::SortReverse
        | Action::Columns
        | Action::Wide
        | Action::Follow
        | Action::Wrap
        | Action::Search
        | Action::FindNext
        | Action::FindPrevious => Group::List,
        Action::Down
        | Action::Up
        | Action::Top
        | Action::Bottom
        | Action::PageDown
        | Action::PageUp
        | Action::Zoom
        | Action::FocusNext
        | Action::FocusPrevious
        | Action::Back => Group::Move,
        Action::Rewind
        | Action::Forward
        | Action::RewindFar
        | Action::ForwardFar
        | Action::Freeze
        | Action::ZoomIn
        | Action::ZoomOut
        | Action::CursorBack
        | Action::CursorOn
        | Action::PreviousAlert
        | Action::NextAlert => Group::Time,
        Action::Show(_)
        | Action::NextScreen
        | Action::PreviousScreen
        | Action::Trends
        | Action::Alerts
        | Action::Storage => Group::Go,
        Action::Quit
        | Action::Detach
        | Action::Help
        | Action::Palette
        | Action::Mouse
        | Action::Utc
        | Action::Theme
        | Action::Suspend
        | Action::Redraw => Group::Console,
        other => match row_of(other).map(|row| row.danger) {
            None | Some(Danger::None) => Group::Read,
            Some(_) => Group::Change,
        },
    }
}

/// Actions by their groups, those of a group in their order; a group without any is left out.
pub fn grouped(actions: &[Action]) -> Vec<(Group, Vec<Action>)> {
    let of = |group| {
        let own = actions.iter().copied().filter(|a| group_of(*a) == group);
        (group, own.collect::<Vec<_>>())
    };
    let all = Group::ALL.into_iter().map(of);
    all.filter(|(_, own)| !own.is_empty()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::console::action::ACTIONS;

    #[test]
    fn every_action_is_in_one_group_and_what_changes_the_engine_is_told_apart() {
        let all: Vec<Action> = ACTIONS.iter().map(|row| row.action).collect();
        let grouped = grouped(&all);
        let count: usize = grouped.iter().map(|(_, own)| own.len()).sum();
        assert_eq!((count, grouped.len()), (all.len(), Group::ALL.len()));
        for row in ACTIONS {
            let changes = group_of(row.action) == Group::Change;
            assert_eq!(changes, row.danger != Danger::None, "{}", row.name);
        }
    }
}
