//! What comes back from the engine: events, replies to commands, answers to questions.

use super::action::Screen;
use super::message::{Effect, Now};
use super::state::{DrillView, Overlay, State};
use crate::console::follow_up::FollowUp;
use crate::console::navigation::{open_run, read_again};
use crate::console::toasts::toast;
use crate::drill::Drilled;
use crate::engine::protocol::call::CallView;
use crate::engine::protocol::command::{Command, Refused, Reply};
use crate::engine::protocol::event::Event;
use crate::engine::protocol::history::SnapshotAt;
use crate::engine::protocol::query::{Answer, Query};
use crate::engine::protocol::why::{About, Why};
use crate::telemetry::log_read::LogLine;
use crate::text::clean_line;

fn is_open(state: &State, run: &str) -> bool {
    state.frozen.is_none() && state.open.as_ref().is_some_and(|o| o.id == *run)
}

pub(super) fn on_event(state: &mut State, event: &Event, now: Now) -> Vec<Effect> {
    match event {
        Event::Notice { bad, text } => {
            toast(state, text.clone(), *bad, now);
            if *bad && state.bell {
                return vec![Effect::Bell];
            }
        }
        Event::StepFinished { run, agent, .. } if is_open(state, run) => {
            state.saying.remove(agent);
            return vec![Effect::Query(Query::Run { id: run.clone() })];
        }
        Event::StepFinished { run, .. }
        | Event::RunStarted { run, .. }
        | Event::StepStarted { run, .. }
        | Event::RunFinished { run, .. } => {
            if is_open(state, run) {
                return vec![Effect::Query(Query::Run { id: run.clone() })];
            }
            // The picture keeps forty; what has left it is in the journal.
            if matches!(event, Event::RunFinished { .. })
                && state.screen == Screen::Runs
                && now.wall_ms - state.listed_ms >= 2_000
            {
                state.listed_ms = now.wall_ms;
                return read_again(state);
            }
        }
        Event::WorkspaceReloaded { .. } => return vec![Effect::Query(Query::Workspace)],
        Event::Said { of, agent, text } => {
            state.talk.said(of, text);
            if state.open.as_ref().is_some_and(|o| o.id == *of) {
                state.saying.insert(agent.clone(), text.clone());
            }
        }
        Event::Drill { name, line } => {
            if let Some(drill) = state.drill.as_mut().filter(|d| d.name == *name) {
                drill.lines.push(clean_line(line, 200));
            }
        }
        Event::Drilled { drilled } => end_drill(state, &drilled.name, Ok(drilled.clone())),
        Event::DrillFailed { name, reason } => {
            end_drill(state, name, Err(clean_line(reason, 300)));
        }
        Event::RunQueued { .. } | Event::Breaker { .. } => {}
    }
    Vec::new()
}

fn end_drill(state: &mut State, name: &str, ended: Result<Box<Drilled>, String>) {
    let lines = state.drill.take().filter(|d| d.name == *name);
    state.drill = Some(DrillView {
        name: name.to_owned(),
        lines: lines.map(|d| d.lines).unwrap_or_default(),
        ended: Some(ended),
    });
}

pub(super) fn on_reply(
    state: &mut State,
    command: &Command,
    result: Result<Reply, Refused>,
    now: Now,
) -> Vec<Effect> {
    if let Command::Ask(question) = command {
        state.talk.answered(question, result);
        return Vec::new();
    }
    match result {
        Ok(Reply::Answered { .. } | Reply::Delivered { .. }) => Vec::new(),
        Ok(Reply::Pruned(pruned)) => {
            let failed = !pruned.problems.is_empty();
            toast(state, clean_line(&pruned.summary(), 200), failed, now);
            Vec::new()
        }
        Ok(Reply::Accepted { run, defaulted, .. }) => {
            let note = if defaulted {
                "; the event has no rule, the default's agents answer"
            } else {
                ""
            };
            toast(
                state,
                format!("run {} accepted{note}", super::format::short_id(&run)),
                false,
                now,
            );
            state.screen = Screen::Runs;
            state.selected.insert(Screen::Runs, 0);
            state.filters.remove(&Screen::Runs);
            let mut effects = read_again(state);
            effects.extend(open_run(state, run));
            effects
        }
        Ok(Reply::Done { what }) => {
            if let Some(follow_up) = FollowUp::of(command, &state.live, now) {
                state.follow_ups.push(follow_up);
            }
            if let Command::Drill { drill } = command {
                state.drill = Some(DrillView {
                    name: drill.clone(),
                    lines: Vec::new(),
                    ended: None,
                });
                state.overlays.push(Overlay::Drill);
                return Vec::new();
            }
            toast(state, what, false, now);
            Vec::new()
        }
        Err(refused) => {
            // A form that was refused comes back with what was typed.
            if let (Command::Trigger(_), Some(mut form)) = (command, state.sent_form.take()) {
                form.error = Some(clean_line(&refused.to_string(), 200));
                state.overlays.push(Overlay::Trigger(form));
                return Vec::new();
            }
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

/// Puts an answer where it is shown; one to a question that was replaced since is dropped.
pub(super) fn on_answer(state: &mut State, query: &Query, answer: Answer) {
    match (query, answer) {
        (Query::Run { id }, Answer::Run { run }) => {
            if let Some(open) = state.open.as_mut().filter(|o| o.id == *id) {
                open.run = Some(run);
            }
        }
        (Query::Runs { filter, .. }, Answer::Runs { runs }) => {
            let asked = state.filters.get(&Screen::Runs).map_or("", String::as_str);
            if filter == asked {
                state.older = runs;
            }
        }
        (Query::Report { id }, Answer::Report { text }) => {
            if let Some(open) = state.open.as_mut().filter(|o| o.id == *id) {
                open.report = Some(text.block(200_000));
                open.showing_report = true;
                open.scroll = 0;
            }
        }
        (Query::Logs { .. }, Answer::Logs { lines }) => take_logs(state, lines),
        (
            _,
            answer @ (Answer::Approvals { .. } | Answer::Deliveries { .. } | Answer::Outbox { .. }),
        ) => state.inbox.take(answer),
        // An answer to what was typed before says nothing any more.
        (Query::Similar { text, .. }, Answer::Similar { found }) if text == state.memory_text() => {
            state.memory.similar = Some(found);
            state.selected.insert(Screen::Memory, 0);
        }
        (_, Answer::Patterns { patterns }) => state.memory.patterns = Some(patterns),
        (_, Answer::MemoryStats { stats }) => state.memory.stats = Some(stats),
        (Query::Costs { .. }, Answer::Costs { costs }) => {
            for overlay in &mut state.overlays {
                if let Overlay::Costs(open) = overlay {
                    open.costs = Some(costs.clone());
                }
            }
        }
        (Query::Entries { cache, .. }, Answer::Entries { entries }) => {
            crate::console::confirmations::one_entry(state, cache, entries);
        }
        (Query::Calls { provider, .. }, Answer::Calls { calls }) => {
            take_calls(state, provider.as_deref(), calls);
        }
        (Query::Trends { to_ms, from_ms, .. }, Answer::Trends { trends }) => {
            if let Some(open) = &mut state.trends
                && open.span_ms == to_ms - from_ms
                && open.to_ms.is_none_or(|to| to == *to_ms)
            {
                open.data = Some(trends);
            }
        }
        (Query::Why { about }, Answer::Why { why }) => take_why(state, about, &why),
        (
            Query::Workspace,
            Answer::Workspace {
                agents,
                events,
                problems,
            },
        ) => {
            state.agents = agents;
            state.problems = problems;
            for overlay in &mut state.overlays {
                if let Overlay::Trigger(form) = overlay {
                    form.offer(&events);
                }
            }
            state.events = events;
        }
        _ => {}
    }
}

/// Shows the log lines and selects one: the failed attempt that is looked for, else the newest.
fn take_logs(state: &mut State, lines: Vec<LogLine>) {
    state.logs = lines;
    let shown = state.logs_shown();
    // Come from a call: its own line, else the newest.
    let sought = state.seek.as_ref().and_then(|agent| {
        let of = |fields: &str| fields.contains(&format!("agent={agent}"));
        shown
            .iter()
            .position(|l| l.message.raw() == "attempt failed" && of(l.fields.raw()))
    });
    let at = sought.unwrap_or(shown.len().saturating_sub(1));
    state.selected.insert(Screen::Logs, at);
    state.seek = None;
}

/// Shows the calls: of all providers the longest first, of one provider with its first failed call selected.
fn take_calls(state: &mut State, provider: Option<&str>, mut calls: Vec<CallView>) {
    let Some(open) = &mut state.calls else {
        return;
    };
    if open.provider.as_deref() != provider {
        return;
    }
    if provider.is_none() {
        calls.sort_by_key(|c| std::cmp::Reverse(c.upstream_ms + c.waited_ms));
    } else {
        // What failed is what is looked for.
        let failed = calls.iter().position(|c| c.failed() && c.sent);
        open.selected = failed.unwrap_or(0);
    }
    open.list = Some(calls);
}

fn take_why(state: &mut State, about: &About, answer: &Why) {
    for overlay in &mut state.overlays {
        if let Overlay::Why {
            about: asked, why, ..
        } = overlay
            && asked == about
        {
            *why = Some(Box::new(answer.clone()));
        }
    }
}

/// A recorded picture takes the live one's place; after the newest comes now.
pub(super) fn on_moment(
    state: &mut State,
    query: &Query,
    moment: Option<SnapshotAt>,
    now: Now,
) -> Vec<Effect> {
    const FIRST: Query = Query::Moment {
        at_ms: 0,
        after: true,
    };
    match (moment, query) {
        (Some(moment), _) => {
            if *query == FIRST && state.rewound && state.frozen_ms == moment.at_ms {
                toast(state, "nothing was recorded before this", false, now);
            }
            state.frozen_ms = moment.at_ms;
            state.frozen = Some(std::sync::Arc::new(*moment.picture));
            state.rewound = true;
        }
        (None, query) if *query == FIRST => {
            toast(state, "nothing was recorded yet", false, now);
        }
        (None, Query::Moment { after: true, .. }) => {
            state.rewound = false;
            state.frozen = None;
        }
        // A long way back may lead to before the first picture.
        (None, _) => return vec![Effect::Query(FIRST)],
    }
    Vec::new()
}

/// A question that got no answer.
pub(super) fn on_no_answer(state: &mut State, query: &Query, error: &str, now: Now) {
    // A form that waits for the events would wait for ever.
    if let (Query::Workspace, Some(Overlay::Trigger(form))) = (query, state.overlays.last_mut()) {
        form.waits = false;
        form.error = Some(clean_line(error, 200));
    }
    toast(state, error, true, now);
}
