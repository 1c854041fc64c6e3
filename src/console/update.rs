//! What each message changes. Synchronous, no I/O: what must be done comes back as effects.

use std::time::Duration;

use crossterm::event::{
    KeyCode, KeyEvent, KeyEventKind, KeyModifiers, MouseButton, MouseEvent, MouseEventKind,
};
use tui_input::Input;

use super::action::{Action, Screen};
use super::form::usual_event;
use super::going::{open_run, read_again};
use super::message::{Effect, Message, Now};
use super::overlay_keys::{
    on_choice_key, on_filter_key, on_form_key, on_help_key, on_palette_key, on_typed_key,
    on_why_key,
};
use super::past::ask_trends;
use super::perform::act;
use super::preview::FollowUp;
use super::state::{DrillView, OpenCosts, OpenTrends, Overlay, State, Toast};
use super::view::{self, Hit};
use crate::engine::types::command::{Command, Refused, Reply};
use crate::engine::types::event::Event;
use crate::engine::types::history::Moment;
use crate::engine::types::query::{Answer, Query};
use crate::text::clean_line;

const TOAST: Duration = Duration::from_secs(6);
pub(super) const LOG_LINES: usize = 1_000;

/// Takes a message in; returns what must be done.
pub fn update(state: &mut State, message: Message, now: Now) -> Vec<Effect> {
    state.wall_ms = now.wall_ms;
    state.toasts.retain(|t| t.until > now.at);
    look_again(state, now);
    match message {
        Message::Key(key) if key.kind == KeyEventKind::Release => Vec::new(),
        Message::Key(key) => on_key(state, key, now),
        Message::Mouse(event) => on_mouse(state, event, now),
        Message::Paste(text) => on_paste(state, &text),
        Message::Resize(columns, rows) => {
            state.size = (columns, rows);
            Vec::new()
        }
        Message::Focus(focused) => {
            state.focused = focused;
            Vec::new()
        }
        Message::Snapshot(snapshot) => {
            let news = state.live.github != snapshot.github;
            state.live = snapshot;
            if news && state.screen == Screen::Inbox {
                return super::inbox::read();
            }
            let follows = |t: &OpenTrends| {
                let each = (t.span_ms / 400).max(2_000);
                t.to_ms.is_none() && now.wall_ms - t.asked_ms >= each
            };
            if state.trends.as_ref().is_some_and(follows) {
                return ask_trends(state);
            }
            Vec::new()
        }
        Message::Happened(event, missed) => {
            state.missed = missed;
            on_event(state, &event, now)
        }
        Message::Replied(command, result) => on_reply(state, &command, result, now),
        Message::Answered(query, result) => {
            match result {
                Ok(Answer::Moment { moment }) => return on_moment(state, &query, moment, now),
                Ok(answer) => {
                    on_answer(state, &query, answer);
                    return starts_now(state, now);
                }
                Err(error) => {
                    let error = error.to_string();
                    // A form that waits for the events would wait for ever.
                    if let (Query::Workspace, Some(Overlay::Trigger(form))) =
                        (&query, state.overlays.last_mut())
                    {
                        form.waits = false;
                        form.error = Some(clean_line(&error, 200));
                    }
                    toast(state, error, true, now);
                }
            }
            Vec::new()
        }
        Message::Exported(result) => {
            let bad = result.is_err();
            toast(state, result.unwrap_or_else(|e| e), bad, now);
            Vec::new()
        }
        Message::Tick => Vec::new(),
        Message::Gone => vec![Effect::Quit],
    }
}

pub(super) fn toast(state: &mut State, text: impl Into<String>, bad: bool, now: Now) {
    const MOST: usize = 3;
    let text = clean_line(&text.into(), 200);
    state.toasts.push(super::state::Toast {
        text,
        bad,
        until: now.at + TOAST,
    });
    if state.toasts.len() > MOST {
        state.toasts.remove(0);
    }
}

/// What became of commands whose time has come.
fn look_again(state: &mut State, now: Now) {
    let (due, later) = std::mem::take(&mut state.follow_ups)
        .into_iter()
        .partition::<Vec<_>, _>(|f| f.at <= now.at);
    state.follow_ups = later;
    for follow_up in due {
        if let Some((text, bad)) = follow_up.told(&state.live) {
            toast(state, text, bad, now);
        }
    }
}

fn is_open(state: &State, run: &str) -> bool {
    state.frozen.is_none() && state.open.as_ref().is_some_and(|o| o.id == *run)
}

fn on_event(state: &mut State, event: &Event, now: Now) -> Vec<Effect> {
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
        Event::Drilled { drilled } => {
            let lines = state.drill.take().filter(|d| d.name == drilled.name);
            state.drill = Some(DrillView {
                name: drilled.name.clone(),
                lines: lines.map(|d| d.lines).unwrap_or_default(),
                ended: Some(drilled.clone()),
            });
        }
        Event::RunQueued { .. } | Event::Breaker { .. } => {}
    }
    Vec::new()
}

fn on_reply(
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
        Ok(Reply::Accepted { run, defaulted, .. }) => {
            let note = if defaulted {
                "; the event has no rule, the default's agents answer"
            } else {
                ""
            };
            toast(
                state,
                format!("run {} taken in{note}", super::format::short_id(&run)),
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

fn on_answer(state: &mut State, query: &Query, answer: Answer) {
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
        (Query::Logs { .. }, Answer::Logs { lines }) => {
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
            super::questions::one_entry(state, cache, entries);
        }
        (Query::Calls { provider, .. }, Answer::Calls { mut calls }) => {
            if let Some(open) = &mut state.calls
                && open.provider == *provider
            {
                if provider.is_none() {
                    calls.sort_by_key(|c| std::cmp::Reverse(c.upstream_ms + c.waited_ms));
                    open.list = Some(calls);
                    return;
                }
                // What failed is what is looked for.
                let failed = calls.iter().position(|c| c.failed() && c.sent);
                open.selected = failed.unwrap_or(0);
                open.list = Some(calls);
            }
        }
        (Query::Trends { to_ms, from_ms, .. }, Answer::Trends { trends }) => {
            if let Some(open) = &mut state.trends
                && open.span_ms == to_ms - from_ms
                && open.to_ms.is_none_or(|to| to == *to_ms)
            {
                open.data = Some(trends);
            }
        }
        (Query::Why { about }, Answer::Why { why }) => {
            for overlay in &mut state.overlays {
                if let Overlay::Why {
                    about: asked,
                    why: shown,
                    ..
                } = overlay
                    && asked == about
                {
                    *shown = Some(why.clone());
                }
            }
        }
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
                    if form.events.is_empty() {
                        form.event = usual_event(&events);
                    }
                    form.events.clone_from(&events);
                    form.event = form.event.min(events.len().saturating_sub(1));
                }
            }
            state.events = events;
        }
        _ => {}
    }
}

/// The wheel moves the selection; a click goes to a screen, selects a row, and opens it when it was
/// selected already. Never needed: every one of these is a key.
fn on_mouse(state: &mut State, event: MouseEvent, now: Now) -> Vec<Effect> {
    if !state.overlays.is_empty() {
        return Vec::new();
    }
    match event.kind {
        MouseEventKind::ScrollDown => act(state, Action::Down, now),
        MouseEventKind::ScrollUp => act(state, Action::Up, now),
        MouseEventKind::Down(MouseButton::Left) => {
            match view::hit(state, event.column, event.row) {
                Some(Hit::Screen(screen)) => act(state, Action::Show(screen), now),
                Some(Hit::Row(row)) => {
                    let before = state.list_selection();
                    state.select(row);
                    if before == row {
                        return act(state, Action::Open, now);
                    }
                    Vec::new()
                }
                None => Vec::new(),
            }
        }
        _ => Vec::new(),
    }
}

/// A recorded picture takes the live one's place; after the newest comes now.
fn on_moment(state: &mut State, query: &Query, moment: Option<Moment>, now: Now) -> Vec<Effect> {
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

fn on_paste(state: &mut State, text: &str) -> Vec<Effect> {
    // A payload may be pasted as it was printed; everything else is one line.
    // Terminals send a pasted line's end as a carriage return.
    let text = &text.replace("\r\n", "\n").replace('\r', "\n");
    if matches!(state.overlays.last(), Some(Overlay::Ask)) {
        // A trace or a diff keeps its lines.
        const MOST: usize = 30_000;
        let typed = |c: &char| *c == '\n' || *c == '\t' || !c.is_control();
        for c in text.chars().filter(typed).take(MOST) {
            let insert = tui_input::InputRequest::InsertChar(c);
            state.talk.input.handle(insert);
        }
        return Vec::new();
    }
    let payload = matches!(state.overlays.last(), Some(Overlay::Trigger(form)) if form.field == 3);
    // Code is pasted as it is; its first thousand characters count.
    let code = state.screen == Screen::Memory
        && matches!(state.overlays.last(), Some(Overlay::Filter { .. }));
    let line = if code {
        clean_line(&text.lines().collect::<Vec<_>>().join(" "), 4_000)
    } else if payload {
        clean_line(&text.lines().collect::<Vec<_>>().join(" "), 200_000)
    } else {
        clean_line(text.lines().next().unwrap_or_default(), 2_000)
    };
    if let Some(input) = state.overlays.last_mut().and_then(input_of) {
        for c in line.chars() {
            input.handle(tui_input::InputRequest::InsertChar(c));
        }
    }
    if let Some(Overlay::Filter { input }) = state.overlays.last() {
        state.filters.insert(state.screen, input.value().to_owned());
        return read_again(state);
    }
    Vec::new()
}

fn input_of(overlay: &mut Overlay) -> Option<&mut Input> {
    match overlay {
        Overlay::Palette { input, .. }
        | Overlay::Filter { input }
        | Overlay::Typed { input, .. } => Some(input),
        Overlay::Decide(form) => match form.field {
            1 => Some(&mut form.reason),
            2 => Some(&mut form.token),
            _ => None,
        },
        Overlay::Trigger(form) => match form.field {
            2 => Some(&mut form.text),
            3 => Some(&mut form.payload),
            _ => None,
        },
        _ => None,
    }
}

/// Presses the Enter that came before what it needs was there.
fn starts_now(state: &mut State, now: Now) -> Vec<Effect> {
    match state.overlays.last() {
        Some(Overlay::Trigger(form)) if form.waits && !form.events.is_empty() => {
            on_key(state, KeyEvent::from(KeyCode::Enter), now)
        }
        _ => Vec::new(),
    }
}

fn on_key(state: &mut State, key: KeyEvent, now: Now) -> Vec<Effect> {
    let action = state.keys.action(key);
    if action == Some(Action::Quit)
        && key.code == KeyCode::Char('c')
        && key.modifiers.contains(KeyModifiers::CONTROL)
    {
        return vec![Effect::Quit]; // Ctrl-C always leaves
    }
    if view::is_too_small(state.size) {
        // What cannot be seen must not be answered.
        return match action {
            Some(Action::Quit) if state.overlays.is_empty() => act(state, Action::Quit, now),
            _ if key.code == KeyCode::Esc => {
                state.overlays.pop();
                Vec::new()
            }
            _ => Vec::new(),
        };
    }
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    if let Some(action @ (Action::Suspend | Action::Redraw)) = action.filter(|_| control) {
        return act(state, action, now);
    }
    let Some(mut overlay) = state.overlays.pop() else {
        return action.map_or_else(Vec::new, |action| act(state, action, now));
    };
    let (keep, effects) = match &mut overlay {
        Overlay::Help { scroll } => on_help_key(scroll, action),
        Overlay::Why { why, scroll, .. } => on_why_key(state, why.as_deref(), scroll, action, now),
        Overlay::Palette { input, selected } => on_palette_key(state, input, selected, key, now),
        Overlay::Trigger(form) => {
            let (keep, effects) = on_form_key(form, key);
            state.sent_form = (!keep && !effects.is_empty()).then(|| form.clone());
            (keep, effects)
        }
        Overlay::Choice(choice) => on_choice_key(choice, key, action),
        Overlay::Ask => super::talk::on_key(state, key),
        Overlay::Drill => (!closes(key), Vec::new()),
        Overlay::Decide(form) => super::inbox::on_key(form, key),
        Overlay::Text { scroll, .. } => on_text_key(scroll, key, action),
        Overlay::Costs(open) => on_costs_key(open, key, action),
        Overlay::Filter { input } => on_filter_key(state, input, key),
        Overlay::Typed {
            word,
            input,
            command,
            ..
        } => on_typed_key(word, input, command, key),
        Overlay::Quit { .. } => match key.code {
            KeyCode::Char('y' | 'q') | KeyCode::Enter => (false, vec![Effect::Quit]),
            KeyCode::Esc | KeyCode::Char('n') => (false, Vec::new()),
            _ => (true, Vec::new()),
        },
    };
    if keep {
        // An action of the palette may have opened another overlay: that one stays on top.
        let at = state.overlays.len();
        state.overlays.insert(at, overlay);
    }
    effects
}

fn on_text_key(scroll: &mut u16, key: KeyEvent, action: Option<Action>) -> (bool, Vec<Effect>) {
    match action {
        Some(Action::Down) => *scroll = scroll.saturating_add(1),
        Some(Action::Up) => *scroll = scroll.saturating_sub(1),
        Some(Action::PageDown) => *scroll = scroll.saturating_add(10),
        Some(Action::PageUp) => *scroll = scroll.saturating_sub(10),
        _ => return (!closes(key), Vec::new()),
    }
    (true, Vec::new())
}

fn closes(key: KeyEvent) -> bool {
    matches!(key.code, KeyCode::Esc | KeyCode::Enter | KeyCode::Char('q'))
}

fn on_costs_key(
    open: &mut OpenCosts,
    key: KeyEvent,
    action: Option<Action>,
) -> (bool, Vec<Effect>) {
    match (key.code, action) {
        (KeyCode::Tab, _) => open.way += 1,
        (KeyCode::BackTab, _) => open.way += 3,
        (_, Some(Action::Down)) => open.scroll = open.scroll.saturating_add(1),
        (_, Some(Action::Up)) => open.scroll = open.scroll.saturating_sub(1),
        _ => return (!closes(key), Vec::new()),
    }
    (true, Vec::new())
}

/// The soonest time at which something on the screen changes by itself.
pub fn next_wake(state: &State, now: Now) -> Option<Duration> {
    let toast = state
        .toasts
        .iter()
        .map(|t: &Toast| t.until.saturating_duration_since(now.at))
        .min();
    let again = state
        .follow_ups
        .iter()
        .map(|f| f.at.saturating_duration_since(now.at))
        .min();
    let second = state.animates().then_some(Duration::from_secs(1));
    // The header's clock.
    let minute = Some(Duration::from_millis(
        60_000 - now.wall_ms.rem_euclid(60_000).unsigned_abs(),
    ));
    [toast, again, second, minute]
        .into_iter()
        .flatten()
        .min()
        .map(|d| d.max(Duration::from_millis(50)))
}
