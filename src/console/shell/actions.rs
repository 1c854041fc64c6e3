//! What each action does where no component takes it: it moves between places, opens a dialog, or asks the engine.

use super::confirmations;
use super::keys_here::keys_here;
use super::navigation;
use super::state::State;
use crate::console::action::{Action, Danger, Row, Scope, Screen, row_of};
use crate::console::component::{Dialog, DialogKind, Intent, Subject};
use crate::console::context::Context;
use crate::console::export::Form;
use crate::console::format::Zone;
use crate::console::message::Effect;
use crate::console::overlays::chat::Chat;
use crate::console::overlays::choice::Choice;
use crate::console::overlays::costs::{CostTable, DAYS};
use crate::console::overlays::filter::Filter;
use crate::console::overlays::help::Help;
use crate::console::overlays::palette::Palette;
use crate::console::overlays::quit::Quit;
use crate::console::overlays::run_form::RunForm;
use crate::console::overlays::search::Search;
use crate::console::overlays::why::WhyWindow;
use crate::console::route::Route;
use crate::console::theme;
use crate::engine::protocol::command::Command;
use crate::engine::protocol::query::Query;

/// What is said of an action that is about now.
const PAST: &str = "this is the past; space returns to now";
/// A far step through what was recorded, milliseconds.
const FAR_MS: i64 = 600_000;

/// Does what the action asks for, or says why it cannot be done here.
pub fn act(state: &mut State, action: Action) -> Vec<Intent> {
    let Some(row) = row_of(action) else {
        return Vec::new();
    };
    if let Some(refusal) = refusal(state, row) {
        return vec![Intent::warn(format!("{}: {refusal}", row.title))];
    }
    let top = state.places.len() - 1;
    let component = &mut state.places[top].component;
    if let Some(intents) = component.on_action(action, &state.context) {
        return intents;
    }
    match action {
        Action::NextScreen => show_neighbour(state, 1),
        Action::PreviousScreen => show_neighbour(state, Screen::ALL.len() - 1),
        Action::Show(screen) => navigation::show(state, screen),
        Action::Back => navigation::back(state),
        Action::Freeze => {
            let was_past = state.context.rewound;
            toggle_freeze(&mut state.context);
            if was_past {
                let component = &mut state.places[top].component;
                return component.on_rewind(&state.context);
            }
            Vec::new()
        }
        Action::Mouse => toggle_mouse(&mut state.context),
        Action::Utc => toggle_zone(&mut state.context),
        Action::Theme => select_next_theme(&mut state.context),
        Action::Ask | Action::Drill => tool(state, action),
        _ => {
            let subject = state.top().subject(&state.context);
            of_subject(state, action, &subject)
        }
    }
}

/// Actions that read the state and change nothing in it.
fn of_subject(state: &State, action: Action, subject: &Subject) -> Vec<Intent> {
    let (cx, top) = (&state.context, state.top());
    let run = || subject.run().map(str::to_owned);
    let go = |route: Option<Route>| route.map(Intent::Navigate).into_iter().collect();
    match action {
        Action::Quit => quit(cx),
        Action::Help => open(Help::new(&top.title(cx), &keys_here(top, cx))),
        Action::Palette => open(Palette::default()),
        Action::Filter => match top.filter() {
            Some(text) => {
                let list = state.places[state.places.len() - 1].route.list();
                open(Filter::new(text, top.longest_paste()).of_list(list))
            }
            None => vec![Intent::warn("filter: there is no list here")],
        },
        Action::Trigger => {
            let mut intents = open(RunForm::new(&cx.workspace.events));
            intents.push(Intent::ask(Query::Workspace));
            intents
        }
        Action::Cancel => confirmations::cancel(cx, subject),
        Action::RunAgain => {
            let send = run().map(|run| Intent::send(Command::RunAgain { run }));
            send.into_iter().collect()
        }
        Action::Report => go(run().map(|id| Route::Report { id })),
        Action::Json => go(run().map(|id| Route::Json { id })),
        Action::Describe => go(run().map(|id| Route::Describe { id })),
        Action::RunLogs => go(logs_of(subject)),
        Action::ClearCache => confirmations::clear_cache(cx, subject),
        Action::ResetBreaker => confirmations::reset_breaker(cx, subject),
        Action::IsolateBreaker => confirmations::isolate_breaker(cx, subject),
        Action::CloseBreaker => confirmations::close_breaker(cx, subject),
        Action::ResizePool => confirmations::resize_pool(cx, subject),
        Action::SwitchFlag => confirmations::switch_flag(cx),
        Action::LogLevel => confirmations::log_level(),
        Action::Trends => go(Some(Route::Trends)),
        Action::Storage => go(Some(Route::Storage)),
        Action::Rewind => rewind(cx, -1),
        Action::Forward => rewind(cx, 1),
        Action::RewindFar => rewind(cx, -FAR_MS),
        Action::ForwardFar => rewind(cx, FAR_MS),
        Action::Why => {
            let about = top.about(cx);
            match cx.frozen {
                Some(_) => WhyWindow::at(about, cx.frozen_ms).open(),
                None => WhyWindow::new(about).open(),
            }
        }
        Action::Copy => {
            let copy = top.copied(cx).map(|text| Intent::Do(Effect::Copy(text)));
            copy.into_iter().collect()
        }
        Action::Export => choose_export(),
        Action::Alerts => go(Some(Route::Alerts)),
        Action::Search => open(Search::default()),
        Action::Detach => detach(cx),
        Action::Costs => {
            let mut intents = open(CostTable::default());
            intents.push(Intent::ask(Query::Costs { days: DAYS }));
            intents
        }
        Action::Faults => confirmations::faults(cx, subject),
        Action::Drain => confirmations::drain(cx),
        Action::Reload => vec![Intent::send(Command::Reload)],
        Action::Suspend => confirmations::suspend(cx),
        Action::Redraw => vec![Intent::Do(Effect::Redraw)],
        // Means something on some screens only.
        _ => Vec::new(),
    }
}

/// The log lines about something.
fn logs_of(subject: &Subject) -> Option<Route> {
    match subject {
        Subject::Provider(name) | Subject::Pool(name) | Subject::Cache(name) => {
            Some(Route::logs_naming(name))
        }
        other => other.run().map(|id| Route::logs_of_run(id.to_owned())),
    }
}

fn open(dialog: impl Dialog + 'static) -> Vec<Intent> {
    vec![Intent::Open(Box::new(dialog))]
}

/// Why the action cannot be done now; `None` where it can.
fn refusal(state: &State, row: &Row) -> Option<&'static str> {
    let (cx, action) = (&state.context, row.action);
    let subject = state.top().subject(cx);
    match row.scope {
        Scope::Run if action == Action::RunLogs && subject.is_logged() => {}
        Scope::Run if subject.run().is_none() => return Some("select a run first"),
        Scope::Panels if state.top().panels(cx) > 1 => {}
        scope if scope.is_narrow() && scope != state.top().scope() => {
            return Some(match scope {
                Scope::Resilience => "select a provider on the Resilience screen first",
                Scope::Inbox => "select a pending approval in the inbox first",
                Scope::Logs => "only where log lines are",
                Scope::Alerts => "select an alert first; a shows them",
                Scope::Panels => "there is only one panel here",
                _ => "only in a list of runs",
            });
        }
        _ => {}
    }
    let of_now = action == Action::Storage
        || action == Action::Open && matches!(subject, Subject::Provider(_) | Subject::Pool(_));
    if cx.rewound && of_now {
        return Some(PAST);
    }
    refused_now(cx, row)
}

/// Why an action that changes something cannot be done now, whatever it is about.
pub(super) fn refused_now(cx: &Context, row: &Row) -> Option<&'static str> {
    match row.danger {
        Danger::None => None,
        _ if cx.rewound => Some(PAST),
        _ => cx.read_only.then_some("read-only"),
    }
}

/// Leaves, or asks first where runs are active.
fn quit(cx: &Context) -> Vec<Intent> {
    let active = cx.live.counts.running + cx.live.counts.queued;
    // An engine in another process goes on.
    if active == 0 || cx.attached.is_some() {
        return vec![Intent::Do(Effect::Quit)];
    }
    open(Quit::new(active))
}

/// Shows the screen that many places after this one; after the last comes the first.
fn show_neighbour(state: &mut State, by: usize) -> Vec<Intent> {
    let at = Screen::ALL.iter().position(|s| *s == state.screen());
    let to = (at.unwrap_or(0) + by) % Screen::ALL.len();
    navigation::show(state, Screen::ALL[to])
}

/// A dialog that goes on when it is closed comes back as it is.
fn tool(state: &mut State, action: Action) -> Vec<Intent> {
    let kind = match action {
        Action::Ask => DialogKind::Chat,
        _ => DialogKind::Drill,
    };
    let kept = state.closed.iter().position(|d| d.kind() == kind);
    let kept = kept.map(|at| state.closed.remove(at));
    match (kept, action) {
        (Some(dialog), Action::Ask) => vec![Intent::Open(dialog), Intent::ask(Query::Workspace)],
        (None, Action::Ask) => {
            let mut intents = open(Chat::default());
            intents.push(Intent::ask(Query::Workspace));
            intents
        }
        (Some(dialog), _) if !dialog.ends_when_closed() => vec![Intent::Open(dialog)],
        _ => confirmations::drill(),
    }
}

/// Holds the newest picture still, or returns to it.
fn toggle_freeze(cx: &mut Context) {
    cx.rewound = false;
    cx.frozen = match cx.frozen.take() {
        Some(_) => None,
        None => {
            cx.frozen_ms = cx.wall_ms;
            Some(std::sync::Arc::clone(&cx.live))
        }
    };
}

/// To the recorded picture before (`by` below zero) or after the one that is shown.
fn rewind(cx: &Context, by: i64) -> Vec<Intent> {
    if by > 0 && !cx.rewound {
        return Vec::new(); // after now there is nothing
    }
    let from = if cx.rewound { cx.frozen_ms } else { cx.wall_ms };
    vec![Intent::ask(Query::Moment {
        at_ms: from + by,
        after: by > 0,
    })]
}

fn choose_export() -> Vec<Intent> {
    let items = Form::ALL
        .map(|(form, words)| (words.to_owned(), Effect::Export(form)))
        .to_vec();
    let body = "Into a file that only you can read; its path is shown.".to_owned();
    open(Choice::new("Export", body, items))
}

/// Leaves an engine in another process; the own one ends with the console.
fn detach(cx: &Context) -> Vec<Intent> {
    if cx.attached.is_some() {
        return vec![Intent::Do(Effect::Quit)];
    }
    let text = "detach: this console runs its engine itself; over `bsm serve` it can leave";
    vec![Intent::warn(text)]
}

fn toggle_mouse(cx: &mut Context) -> Vec<Intent> {
    cx.mouse = !cx.mouse;
    let word = if cx.mouse {
        "on"
    } else {
        "off: the terminal selects text again"
    };
    vec![
        Intent::Do(Effect::Mouse(cx.mouse)),
        Intent::note(format!("mouse {word}")),
    ]
}

fn toggle_zone(cx: &mut Context) -> Vec<Intent> {
    cx.zone = match cx.zone {
        Zone::Local => Zone::Utc,
        Zone::Utc => Zone::Local,
    };
    Vec::new()
}

fn select_next_theme(cx: &mut Context) -> Vec<Intent> {
    let all = theme::Palette::ALL;
    let at = all.iter().position(|p| *p == cx.theme.palette);
    cx.theme.palette = all[(at.unwrap_or(0) + 1) % all.len()];
    vec![Intent::note(format!(
        "theme: {}",
        cx.theme.palette.as_str()
    ))]
}
