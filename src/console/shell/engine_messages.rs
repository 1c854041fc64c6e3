//! What comes back from the engine: events, replies to commands, answers to questions. Every place and dialog is
//! told; each takes what it asked for.

use std::sync::Arc;

use super::confirmations;
use super::follow_up::FollowUp;
use super::state::State;
use super::toasts::toast;
use crate::console::component::Intent;
use crate::console::context::Context;
use crate::console::format::so_many;
use crate::console::message::{Effect, Now};
use crate::console::overlays::drill::DrillWindow;
use crate::console::route::Route;
use crate::engine::protocol::command::{Command, Refused, Reply};
use crate::engine::protocol::event::Event;
use crate::engine::protocol::history::SnapshotAt;
use crate::engine::protocol::query::{Answer, Query};
use crate::text::clean_line;

/// Something happened in the engine.
pub fn on_event(state: &mut State, event: &Event, now: Now) -> Vec<Intent> {
    let mut intents = Vec::new();
    match event {
        Event::Notice { bad, text } => {
            toast(state, text.clone(), *bad, now);
            if *bad && state.context.bell {
                intents.push(Intent::Do(Effect::Bell));
            }
        }
        Event::WorkspaceReloaded { .. } => intents.push(Intent::ask(Query::Workspace)),
        _ => {}
    }
    for dialog in state.dialogs.iter_mut().chain(&mut state.closed) {
        dialog.on_event(event);
    }
    for place in &mut state.places {
        intents.extend(place.component.on_event(event, &state.context));
    }
    intents
}

/// A command was carried out or refused.
pub fn on_reply(
    state: &mut State,
    command: &Command,
    result: Result<Reply, Refused>,
    now: Now,
) -> Vec<Intent> {
    let mut dialogs = state.dialogs.iter_mut().chain(&mut state.closed);
    if dialogs.any(|d| d.on_reply(command, &result)) {
        return Vec::new();
    }
    match result {
        Ok(Reply::Answered { .. } | Reply::Delivered { .. }) => Vec::new(),
        Ok(Reply::Pruned(pruned)) => {
            let failed = !pruned.problems.is_empty();
            toast(state, pruned.summary(), failed, now);
            Vec::new()
        }
        Ok(Reply::Accepted { run, defaulted, .. }) => {
            // The form has done its work; Esc in the run returns to where it was started.
            state.close(crate::console::component::DialogKind::RunForm);
            let note = if defaulted {
                "; the event has no rule, the default's agents answer"
            } else {
                ""
            };
            let short = crate::console::format::short_id(&run);
            toast(state, format!("run {short} accepted{note}"), false, now);
            vec![Intent::Navigate(Route::Run { id: run })]
        }
        Ok(Reply::Done { what }) => {
            if let Some(follow_up) = FollowUp::of(command, &state.context.live, now) {
                state.follow_ups.push(follow_up);
            }
            if let Command::Drill { drill } = command {
                return vec![Intent::Open(Box::new(DrillWindow::new(drill)))];
            }
            toast(state, what, false, now);
            Vec::new()
        }
        Err(refused) => {
            let verb = match &refused {
                Refused::Unanswered { .. } => "no answer",
                _ => "refused",
            };
            let text = format!("{}: {verb}: {refused}", command.name());
            toast(state, text, true, now);
            Vec::new()
        }
    }
}

/// Commands that were sent together: one summary of what became of them.
pub fn on_replies(
    state: &mut State,
    replies: &[(Command, Result<Reply, Refused>)],
    not_sent: usize,
    now: Now,
) {
    let all = replies.len() + not_sent;
    let refused: Vec<&Refused> = replies
        .iter()
        .filter_map(|(_, result)| result.as_ref().err())
        .collect();
    let verb = match replies.first() {
        Some((Command::CancelRun { .. }, _)) => "being cancelled",
        Some((Command::RunAgain { .. }, _)) => "started again",
        _ => "done",
    };
    let done = replies.len() - refused.len();
    let mut text = if done == all {
        format!("{} {verb}", so_many(all as u64, "run", "runs"))
    } else {
        format!("{done} of {} {verb}", so_many(all as u64, "run", "runs"))
    };
    if let Some(first) = refused.first() {
        text.push_str(&format!("; {} refused, the first: {first}", refused.len()));
    }
    if not_sent > 0 {
        text.push_str(&format!("; {not_sent} not sent any more"));
    }
    toast(state, text, done < all, now);
}

/// Gives an answer to whoever asked.
pub fn on_answer(state: &mut State, query: &Query, answer: &Answer) -> Vec<Intent> {
    let mut intents = Vec::new();
    match (query, answer) {
        (Query::Entries { cache, .. }, Answer::Entries { entries }) => {
            return confirmations::one_entry(cache, entries);
        }
        (
            Query::Workspace,
            Answer::Workspace {
                agents,
                events,
                problems,
            },
        ) => {
            let lists = &mut state.context.workspace;
            lists.agents.clone_from(agents);
            lists.events.clone_from(events);
            lists.problems.clone_from(problems);
        }
        _ => {}
    }
    let cx = &state.context;
    for place in &mut state.places {
        intents.extend(place.component.on_answer(query, answer, cx));
    }
    for component in state.resting.values_mut() {
        intents.extend(component.on_answer(query, answer, cx));
    }
    for at in (0..state.dialogs.len()).rev() {
        let step = state.dialogs[at].on_answer(query, answer, &state.context);
        if step.closes {
            state.dialogs.remove(at);
        }
        intents.extend(step.intents);
    }
    intents
}

/// A question that got no answer.
pub fn on_no_answer(state: &mut State, query: &Query, error: &str, now: Now) {
    for dialog in &mut state.dialogs {
        dialog.on_no_answer(query, error);
    }
    toast(state, clean_line(error, 200), true, now);
}

/// A recorded picture takes the live one's place; after the newest comes now.
pub fn on_moment(
    state: &mut State,
    query: &Query,
    moment: Option<SnapshotAt>,
    now: Now,
) -> Vec<Intent> {
    const FIRST: Query = Query::Moment {
        at_ms: 0,
        after: true,
    };
    let cx = &mut state.context;
    match (moment, query) {
        (Some(moment), _) => {
            let oldest = *query == FIRST && cx.rewound && cx.frozen_ms == moment.at_ms;
            let before = cx.snapshot().started_ms;
            cx.frozen_ms = moment.at_ms;
            cx.frozen = Some(Arc::new(*moment.picture));
            cx.rewound = true;
            let crossed = crossed(before, cx);
            if let Some(text) = crossed {
                toast(state, text, false, now);
            }
            if oldest {
                toast(state, "nothing was recorded before this", false, now);
            }
        }
        (None, query) if *query == FIRST => {
            toast(state, "nothing was recorded yet", false, now);
        }
        (None, Query::Moment { after: true, .. }) => {
            cx.rewound = false;
            cx.frozen = None;
        }
        // A long way back may lead to before the first picture.
        (None, _) => return vec![Intent::ask(FIRST)],
    }
    let top = state.places.len() - 1;
    state.places[top].component.on_rewind(&state.context)
}

/// What is said where the step led into another life of the engine: its counts began anew.
fn crossed(before_ms: i64, cx: &Context) -> Option<String> {
    let started_ms = cx.snapshot().started_ms;
    if started_ms == before_ms {
        return None;
    }
    let at = cx.zone.at(started_ms).strftime("%Y-%m-%d %H:%M:%S");
    Some(if cx.of_other_start() {
        format!("another start of the engine, at {at}: counts since the start are of that one")
    } else {
        format!("the present start of the engine, at {at}")
    })
}
