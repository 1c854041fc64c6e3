//! What each message changes. Synchronous, no I/O: what must be done comes back as effects.

use std::time::Duration;

use crossterm::event::{Event as TerminalEvent, KeyCode, KeyEvent, KeyEventKind};
use nucleo_matcher::pattern::{CaseMatching, Normalization, Pattern};
use nucleo_matcher::{Config, Matcher};
use tui_input::Input;
use tui_input::backend::crossterm::EventHandler as _;

use super::action::{ACTIONS, Action, Danger, Row, Screen, of_key, row_of};
use super::message::{Effect, Message, Now};
use super::state::{Choice, OpenRun, Overlay, State, SubjectKind, Toast, TriggerForm};
use crate::engine::types::command::{Command, Reply};
use crate::engine::types::event::Event;
use crate::engine::types::query::{Answer, Query};
use crate::resilience::breaker::BreakerState;
use crate::telemetry::log_read::LogFilter;
use crate::text::clean_line;

const TOAST: Duration = Duration::from_secs(6);
const LOG_LINES: usize = 1_000;

/// Takes a message in; returns what must be done.
pub fn update(state: &mut State, message: Message, now: Now) -> Vec<Effect> {
    state.wall_ms = now.wall_ms;
    state.toasts.retain(|t| t.until > now.at);
    match message {
        Message::Key(key) if key.kind == KeyEventKind::Release => Vec::new(),
        Message::Key(key) => on_key(state, key, now),
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
            state.live = snapshot;
            Vec::new()
        }
        Message::Happened(event, missed) => {
            state.missed = missed;
            on_event(state, &event, now)
        }
        Message::Replied(command, result) => on_reply(state, &command, result, now),
        Message::Answered(query, result) => {
            match result {
                Ok(answer) => on_answer(state, &query, answer),
                Err(error) => toast(state, error.to_string(), true, now),
            }
            Vec::new()
        }
        Message::Tick => Vec::new(),
        Message::Gone => vec![Effect::Quit],
    }
}

fn toast(state: &mut State, text: impl Into<String>, bad: bool, now: Now) {
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

fn on_event(state: &mut State, event: &Event, now: Now) -> Vec<Effect> {
    match event {
        Event::Notice { bad, text } => toast(state, text.clone(), *bad, now),
        Event::StepFinished { run, .. }
        | Event::RunStarted { run, .. }
        | Event::StepStarted { run, .. }
        | Event::RunFinished { run, .. } => {
            if state.frozen.is_none() && state.open.as_ref().is_some_and(|o| o.id == *run) {
                return vec![Effect::Query(Query::Run { id: run.clone() })];
            }
        }
        Event::WorkspaceReloaded { .. } => return vec![Effect::Query(Query::Workspace)],
        Event::RunQueued { .. } | Event::Breaker { .. } => {}
    }
    Vec::new()
}

fn on_reply(
    state: &mut State,
    command: &Command,
    result: Result<Reply, crate::engine::types::command::Refused>,
    now: Now,
) -> Vec<Effect> {
    match result {
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
            open_run(state, run)
        }
        Ok(Reply::Done { what }) => {
            toast(state, what, false, now);
            Vec::new()
        }
        Err(refused) => {
            toast(
                state,
                format!("{} refused: {refused}", command.name()),
                true,
                now,
            );
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
        (Query::Report { id }, Answer::Report { text }) => {
            if let Some(open) = state.open.as_mut().filter(|o| o.id == *id) {
                open.report = Some(text.block(200_000));
                open.showing_report = true;
                open.scroll = 0;
            }
        }
        (Query::Logs { .. }, Answer::Logs { lines }) => {
            state.logs = lines;
            let last = state.logs_shown().len().saturating_sub(1);
            state.selected.insert(Screen::Logs, last);
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

fn on_paste(state: &mut State, text: &str) -> Vec<Effect> {
    let line = clean_line(text.lines().next().unwrap_or_default(), 2_000);
    if let Some(input) = state.overlays.last_mut().and_then(input_of) {
        for c in line.chars() {
            input.handle(tui_input::InputRequest::InsertChar(c));
        }
    }
    Vec::new()
}

fn input_of(overlay: &mut Overlay) -> Option<&mut Input> {
    match overlay {
        Overlay::Palette { input, .. } | Overlay::Filter { input } => Some(input),
        Overlay::Trigger(form) => match form.field {
            2 => Some(&mut form.text),
            3 => Some(&mut form.payload),
            _ => None,
        },
        _ => None,
    }
}

fn on_key(state: &mut State, key: KeyEvent, now: Now) -> Vec<Effect> {
    if of_key(key) == Some(Action::Quit) && key.code == KeyCode::Char('c') {
        return vec![Effect::Quit]; // Ctrl-C always leaves
    }
    if let Some(action @ (Action::Suspend | Action::Redraw)) = of_key(key) {
        return act(state, action, now);
    }
    let Some(mut overlay) = state.overlays.pop() else {
        return of_key(key).map_or_else(Vec::new, |action| act(state, action, now));
    };
    let (keep, effects) = match &mut overlay {
        Overlay::Help { scroll } => on_help_key(scroll, key),
        Overlay::Palette { input, selected } => on_palette_key(state, input, selected, key, now),
        Overlay::Trigger(form) => on_form_key(form, key),
        Overlay::Choice(choice) => on_choice_key(choice, key),
        Overlay::Filter { input } => on_filter_key(state, input, key),
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

fn on_help_key(scroll: &mut u16, key: KeyEvent) -> (bool, Vec<Effect>) {
    match of_key(key) {
        Some(Action::Down) => *scroll = scroll.saturating_add(1).min(ACTIONS.len() as u16),
        Some(Action::Up) => *scroll = scroll.saturating_sub(1),
        Some(Action::PageDown) => *scroll = scroll.saturating_add(10).min(ACTIONS.len() as u16),
        Some(Action::PageUp) => *scroll = scroll.saturating_sub(10),
        Some(Action::Back | Action::Help | Action::Quit | Action::Open) => {
            return (false, Vec::new());
        }
        _ => {}
    }
    (true, Vec::new())
}

/// Actions that match what is typed, best first.
pub fn palette_hits(typed: &str) -> Vec<&'static Row> {
    if typed.trim().is_empty() {
        return ACTIONS.iter().collect();
    }
    let pattern = Pattern::parse(typed, CaseMatching::Ignore, Normalization::Smart);
    let mut matcher = Matcher::new(Config::DEFAULT);
    let mut buffer = Vec::new();
    let mut hits: Vec<(u32, &Row)> = ACTIONS
        .iter()
        .filter_map(|row| {
            let text = format!("{} {}", row.title, row.name);
            let score = pattern.score(
                nucleo_matcher::Utf32Str::new(&text, &mut buffer),
                &mut matcher,
            )?;
            Some((score, row))
        })
        .collect();
    hits.sort_by_key(|(score, _)| std::cmp::Reverse(*score));
    hits.into_iter().map(|(_, row)| row).collect()
}

fn on_palette_key(
    state: &mut State,
    input: &mut Input,
    selected: &mut usize,
    key: KeyEvent,
    now: Now,
) -> (bool, Vec<Effect>) {
    let hits = palette_hits(input.value());
    match key.code {
        KeyCode::Esc => (false, Vec::new()),
        KeyCode::Down | KeyCode::Tab => {
            *selected = (*selected + 1).min(hits.len().saturating_sub(1));
            (true, Vec::new())
        }
        KeyCode::Up | KeyCode::BackTab => {
            *selected = selected.saturating_sub(1);
            (true, Vec::new())
        }
        KeyCode::Enter => {
            let action = hits.get(*selected).map(|r| r.action);
            (false, action.map_or_else(Vec::new, |a| act(state, a, now)))
        }
        _ => {
            input.handle_event(&TerminalEvent::Key(key));
            *selected = 0;
            (true, Vec::new())
        }
    }
}

fn on_filter_key(state: &mut State, input: &mut Input, key: KeyEvent) -> (bool, Vec<Effect>) {
    match key.code {
        KeyCode::Enter => return (false, Vec::new()),
        KeyCode::Esc => {
            state.filters.remove(&state.screen);
            return (false, Vec::new());
        }
        _ => {
            input.handle_event(&TerminalEvent::Key(key));
        }
    }
    state.filters.insert(state.screen, input.value().to_owned());
    (true, Vec::new())
}

fn on_choice_key(choice: &mut Choice, key: KeyEvent) -> (bool, Vec<Effect>) {
    match (key.code, of_key(key)) {
        (KeyCode::Enter | KeyCode::Char('y'), _) => {
            let command = choice.items.get(choice.selected).map(|(_, c)| c.clone());
            (false, command.map(Effect::Send).into_iter().collect())
        }
        (KeyCode::Esc | KeyCode::Char('n' | 'q'), _) => (false, Vec::new()),
        (_, Some(Action::Down)) => {
            choice.selected = (choice.selected + 1).min(choice.items.len().saturating_sub(1));
            (true, Vec::new())
        }
        (_, Some(Action::Up)) => {
            choice.selected = choice.selected.saturating_sub(1);
            (true, Vec::new())
        }
        _ => (true, Vec::new()),
    }
}

fn on_form_key(form: &mut TriggerForm, key: KeyEvent) -> (bool, Vec<Effect>) {
    const FIELDS: usize = 4;
    form.error = None;
    let has_text = form.kind().words().1.is_some();
    let step = |from: usize, by: usize| {
        let next = (from + by) % FIELDS;
        if next == 2 && !has_text {
            (next + by) % FIELDS
        } else {
            next
        }
    };
    let turn = |at: usize, most: usize, forward: bool| {
        if forward {
            (at + 1) % most.max(1)
        } else {
            (at + most.max(1) - 1) % most.max(1)
        }
    };
    match key.code {
        KeyCode::Esc => return (false, Vec::new()),
        KeyCode::Tab | KeyCode::Down => form.field = step(form.field, 1),
        KeyCode::BackTab | KeyCode::Up => form.field = step(form.field, FIELDS - 1),
        KeyCode::Enter => {
            if matches!(form.kind(), SubjectKind::DiffFile | SubjectKind::GitRange)
                && form.text.value().trim().is_empty()
            {
                form.error = form.kind().words().1.map(|what| format!("give the {what}"));
                form.field = 2;
                return (true, Vec::new());
            }
            let command = form.trigger().map(Command::Trigger);
            return (false, command.map(Effect::Send).into_iter().collect());
        }
        KeyCode::Left | KeyCode::Right | KeyCode::Char(' ' | 'h' | 'l' | 'j' | 'k')
            if form.field < 2 =>
        {
            let forward = !matches!(key.code, KeyCode::Left | KeyCode::Char('h' | 'k'));
            if form.field == 0 {
                form.event = turn(form.event, form.events.len(), forward);
            } else {
                form.subject = turn(form.subject, SubjectKind::ALL.len(), forward);
            }
        }
        _ => {
            let input = match form.field {
                2 => Some(&mut form.text),
                3 => Some(&mut form.payload),
                _ => None,
            };
            if let Some(input) = input {
                input.handle_event(&TerminalEvent::Key(key));
            }
        }
    }
    (true, Vec::new())
}

fn act(state: &mut State, action: Action, now: Now) -> Vec<Effect> {
    let Some(row) = row_of(action) else {
        return Vec::new();
    };
    if !state.allows(action) {
        toast(
            state,
            format!("{}: select a run first", row.title),
            true,
            now,
        );
        return Vec::new();
    }
    if state.read_only && row.danger != Danger::None {
        toast(state, format!("{}: read-only", row.title), true, now);
        return Vec::new();
    }
    match action {
        Action::Quit => {
            let active = state.live.counts.running + state.live.counts.queued;
            if active == 0 {
                return vec![Effect::Quit];
            }
            state.overlays.push(Overlay::Quit { active });
        }
        Action::Help => state.overlays.push(Overlay::Help { scroll: 0 }),
        Action::Palette => state.overlays.push(Overlay::Palette {
            input: Input::default(),
            selected: 0,
        }),
        Action::Filter => {
            let input = Input::from(
                state
                    .filters
                    .get(&state.screen)
                    .cloned()
                    .unwrap_or_default(),
            );
            state.overlays.push(Overlay::Filter { input });
        }
        Action::NextScreen | Action::PreviousScreen => {
            let at = Screen::ALL
                .iter()
                .position(|s| *s == state.screen)
                .unwrap_or(0);
            let by = if action == Action::NextScreen {
                1
            } else {
                Screen::ALL.len() - 1
            };
            return show(state, Screen::ALL[(at + by) % Screen::ALL.len()]);
        }
        Action::Show(screen) => return show(state, screen),
        Action::Down
        | Action::Up
        | Action::Top
        | Action::Bottom
        | Action::PageDown
        | Action::PageUp => travel(state, action),
        Action::Open => return open(state),
        Action::Back => back(state),
        Action::Trigger => return trigger_form(state),
        Action::Cancel => return cancel(state, now),
        Action::RunAgain => {
            return state
                .current_run()
                .map(|run| Effect::Send(Command::RunAgain { run }))
                .into_iter()
                .collect();
        }
        Action::Report => return report(state),
        Action::RunLogs => {
            let run = state.current_run();
            state.open = None;
            state.logs_of = run;
            state.screen = Screen::Logs;
            return vec![logs_query(state)];
        }
        Action::ClearCache => clear_cache(state),
        Action::ResetBreaker => reset_breaker(state),
        Action::IsolateBreaker => isolate_breaker(state),
        Action::Freeze => {
            state.frozen = match state.frozen.take() {
                Some(_) => None,
                None => Some(std::sync::Arc::clone(&state.live)),
            };
        }
        Action::Reload => return vec![Effect::Send(Command::Reload)],
        Action::Suspend => return vec![Effect::Suspend],
        Action::Redraw => return vec![Effect::Redraw],
    }
    Vec::new()
}

fn logs_query(state: &State) -> Effect {
    Effect::Query(Query::Logs {
        filter: LogFilter {
            run: state.logs_of.clone(),
            limit: LOG_LINES,
            ..LogFilter::default()
        },
    })
}

fn show(state: &mut State, screen: Screen) -> Vec<Effect> {
    state.open = None;
    if screen == Screen::Logs && state.screen != Screen::Logs {
        state.logs_of = None;
    }
    state.screen = screen;
    match screen {
        Screen::Logs => vec![logs_query(state)],
        Screen::Agents => vec![Effect::Query(Query::Workspace)],
        _ => Vec::new(),
    }
}

fn travel(state: &mut State, action: Action) {
    if let Some(open) = &mut state.open {
        open.scroll = match action {
            Action::Down => open.scroll.saturating_add(1),
            Action::Up => open.scroll.saturating_sub(1),
            Action::PageDown => open.scroll.saturating_add(10),
            Action::PageUp => open.scroll.saturating_sub(10),
            Action::Top => 0,
            _ => u16::MAX / 2,
        };
        return;
    }
    let (at, last) = (state.selection(), state.rows().saturating_sub(1));
    let next = match action {
        Action::Down => at + 1,
        Action::Up => at.saturating_sub(1),
        Action::PageDown => at + 10,
        Action::PageUp => at.saturating_sub(10),
        Action::Top => 0,
        _ => last,
    };
    state.selected.insert(state.screen, next.min(last));
}

fn open(state: &mut State) -> Vec<Effect> {
    match state.screen {
        Screen::Overview | Screen::Runs => match (state.open.is_some(), state.current_run()) {
            (true, _) => report(state),
            (false, Some(run)) => open_run(state, run),
            // Nothing to open yet: the empty list says that Enter starts the first run.
            (false, None) if state.snapshot().runs.is_empty() => trigger_form(state),
            (false, None) => Vec::new(),
        },
        Screen::Logs => {
            let run = state
                .logs_shown()
                .get(state.selection())
                .and_then(|l| l.run.clone());
            run.map_or_else(Vec::new, |run| {
                state.screen = Screen::Runs;
                open_run(state, run)
            })
        }
        _ => Vec::new(),
    }
}

fn open_run(state: &mut State, id: String) -> Vec<Effect> {
    state.open = Some(OpenRun {
        id: id.clone(),
        run: None,
        report: None,
        showing_report: false,
        scroll: 0,
    });
    vec![Effect::Query(Query::Run { id })]
}

fn report(state: &mut State) -> Vec<Effect> {
    let Some(id) = state.current_run() else {
        return Vec::new();
    };
    if state.open.is_none() {
        state.open = Some(OpenRun {
            id: id.clone(),
            run: None,
            report: None,
            showing_report: false,
            scroll: 0,
        });
        return vec![
            Effect::Query(Query::Run { id: id.clone() }),
            Effect::Query(Query::Report { id }),
        ];
    }
    vec![Effect::Query(Query::Report { id })]
}

fn back(state: &mut State) {
    if let Some(open) = &mut state.open {
        if open.showing_report {
            open.showing_report = false;
            open.scroll = 0;
        } else {
            state.open = None;
        }
    } else if state.filters.remove(&state.screen).is_none() {
        state.frozen = None;
    }
}

fn trigger_form(state: &mut State) -> Vec<Effect> {
    let events = state.events.clone();
    let event = usual_event(&events);
    state.overlays.push(Overlay::Trigger(Box::new(TriggerForm {
        events,
        event,
        subject: 0,
        text: Input::default(),
        payload: Input::default(),
        field: 0,
        error: None,
    })));
    vec![Effect::Query(Query::Workspace)]
}

/// The event that most operators start first.
fn usual_event(events: &[(String, crate::workspace::events::EventRule)]) -> usize {
    events
        .iter()
        .position(|(name, _)| name == "pull_request.opened")
        .unwrap_or(0)
}

fn cancel(state: &mut State, now: Now) -> Vec<Effect> {
    let Some(run) = state.current_run() else {
        return Vec::new();
    };
    let active = state
        .live
        .runs
        .iter()
        .find(|r| r.id == run)
        .is_some_and(|r| r.finished_ms.is_none());
    if !active {
        toast(
            state,
            "this run has ended; there is nothing to cancel",
            true,
            now,
        );
        return Vec::new();
    }
    let item = (
        format!("cancel {}", super::format::short_id(&run)),
        Command::CancelRun { run },
    );
    let body = "Steps at work stop; those that ended are kept. The decision will be manual_review."
        .to_owned();
    state.overlays.push(Overlay::Choice(Choice {
        title: "Cancel the run".into(),
        body,
        items: vec![item],
        selected: 0,
    }));
    Vec::new()
}

fn clear_cache(state: &mut State) {
    let caches = &state.live.caches;
    let total: u64 = caches.iter().map(|c| c.entries).sum();
    let all = (
        format!("all of them, {total} entries"),
        Command::ClearCache { cache: None },
    );
    let one = caches.iter().map(|c| {
        (
            format!("{}, {} entries", c.name, c.entries),
            Command::ClearCache {
                cache: Some(c.name.clone()),
            },
        )
    });
    let mut items: Vec<_> = one.collect();
    items.push(all);
    let selected = if state.screen == Screen::Caches {
        state.selection()
    } else {
        items.len() - 1
    };
    let body = "What is forgotten is loaded again when it is next asked for.".to_owned();
    state.overlays.push(Overlay::Choice(Choice {
        title: "Clear a cache".into(),
        body,
        items,
        selected,
    }));
}

fn reset_breaker(state: &mut State) {
    let breakers = &state.live.breakers;
    let words = |s: BreakerState| {
        serde_json::to_value(s)
            .ok()
            .and_then(|v| v.as_str().map(str::to_owned))
            .unwrap_or_default()
    };
    let mut items: Vec<_> = breakers
        .iter()
        .map(|b| {
            (
                format!("{}, {}", b.name, words(b.state)),
                Command::ResetBreaker {
                    breaker: Some(b.name.clone()),
                },
            )
        })
        .collect();
    items.push((
        "all of them".into(),
        Command::ResetBreaker { breaker: None },
    ));
    let worst = breakers
        .iter()
        .position(|b| b.state != BreakerState::Closed)
        .unwrap_or(items.len() - 1);
    let selected = if state.screen == Screen::Resilience {
        state.selection()
    } else {
        worst
    };
    let body = "Calls pass again at once. If the provider is still down, the breaker opens again."
        .to_owned();
    state.overlays.push(Overlay::Choice(Choice {
        title: "Reset a breaker".into(),
        body,
        items,
        selected,
    }));
}

fn isolate_breaker(state: &mut State) {
    let Some(name) = state
        .live
        .breakers
        .get(state.selection())
        .map(|b| b.name.clone())
    else {
        return;
    };
    let item = (
        format!("isolate {name}"),
        Command::IsolateBreaker { breaker: name },
    );
    let body =
        "Every call to it is refused, and the next model is asked, until somebody resets it."
            .to_owned();
    state.overlays.push(Overlay::Choice(Choice {
        title: "Isolate a provider".into(),
        body,
        items: vec![item],
        selected: 0,
    }));
}

/// The soonest time at which something on the screen changes by itself.
pub fn next_wake(state: &State, now: Now) -> Option<Duration> {
    let toast = state
        .toasts
        .iter()
        .map(|t: &Toast| t.until.saturating_duration_since(now.at))
        .min();
    let second = state.animates().then_some(Duration::from_secs(1));
    // The header's clock.
    let minute = Some(Duration::from_millis(
        60_000 - now.wall_ms.rem_euclid(60_000).unsigned_abs(),
    ));
    [toast, second, minute]
        .into_iter()
        .flatten()
        .min()
        .map(|d| d.max(Duration::from_millis(50)))
}
