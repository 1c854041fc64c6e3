//! Questions before something is done: what it will do, in words and live figures, and to what.

use tui_input::Input;

use super::action::Screen;
use super::message::{Effect, Now};
use super::state::{Choice, Chosen, Overlay, State};
use crate::cache::CacheEntryInfo;
use crate::console::follow_up;
use crate::console::toasts::toast;
use crate::drill::DRILLS;
use crate::engine::protocol::command::Command;
use crate::engine::protocol::query::Query;
use crate::model::simulator::{PRESETS, Switch};
use crate::resilience::breaker::BreakerState;

pub(super) fn cancel(state: &mut State, now: Now) -> Vec<Effect> {
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
        Chosen::Send(Command::CancelRun { run }),
    );
    let body = "Steps at work stop; those that ended are kept. The decision will be manual_review."
        .to_owned();
    ask(state, "Cancel the run", body, vec![item], 0);
    Vec::new()
}

/// Ctrl-Z stops this process, and an engine in it stops too: where that cuts runs off it asks first. Pressed
/// again it is the answer.
pub(super) fn suspend(state: &mut State) -> Vec<Effect> {
    let confirmed = state.overlays.last().is_some_and(|overlay| {
        let Overlay::Choice(choice) = overlay else {
            return false;
        };
        choice
            .items
            .iter()
            .any(|(_, c)| matches!(c, Chosen::Suspend))
    });
    if confirmed {
        state.overlays.pop();
        return vec![Effect::Suspend];
    }
    let counts = state.live.counts;
    let runs = counts.running + counts.queued;
    if state.attached.is_some() || runs == 0 {
        return vec![Effect::Suspend];
    }
    let runs = if runs == 1 {
        "1 run pauses".to_owned()
    } else {
        format!("{runs} runs pause")
    };
    let body = format!(
        "The engine is in this process and stops with it until fg: {runs}, and calls under way may be cut \
         off. An engine that goes on: bsm --detachable."
    );
    let item = ("back to the shell".to_owned(), Chosen::Suspend);
    ask(state, "Stop the engine too", body, vec![item], 0);
    Vec::new()
}

/// Asks before it acts: what will be done, in words, and to what.
pub(super) fn ask(
    state: &mut State,
    title: &str,
    body: String,
    items: Vec<(String, Chosen)>,
    selected: usize,
) {
    let title = title.to_owned();
    state.overlays.push(Overlay::Choice(Choice {
        title,
        body,
        items,
        selected,
    }));
}

pub(super) fn clear_cache(state: &mut State) {
    let live = &state.live;
    let item = |cache: Option<&str>| {
        let cache_name = cache.map(str::to_owned);
        let command = Command::ClearCache {
            cache: cache_name,
            tag: None,
        };
        (follow_up::clearing(live, cache), Chosen::Send(command))
    };
    let mut items: Vec<_> = live.caches.iter().map(|c| item(Some(&c.name))).collect();
    items.push(item(None));
    // Never all of them by a stray Enter.
    let selected = if state.screen == Screen::Caches {
        state.selection()
    } else {
        0
    };
    // One thing of the cache under the selection.
    if state.screen == Screen::Caches
        && let Some(cache) = live.caches.get(state.selection()).map(|c| c.name.clone())
    {
        let look = Query::Entries {
            cache: cache.clone(),
            limit: 200,
        };
        items.push((
            format!("one entry of {cache}: choose it"),
            Chosen::Look(look),
        ));
    }
    let body = "What is forgotten is loaded again when it is next asked for.".to_owned();
    ask(state, "Clear a cache", body, items, selected);
}

pub(super) fn reset_breaker(state: &mut State) {
    let breakers = &state.live.breakers;
    let item = |label: String, breaker: Option<String>| {
        let command = Command::ResetBreaker { breaker };
        (label, Chosen::Send(command))
    };
    let mut items: Vec<_> = breakers
        .iter()
        .map(|b| item(follow_up::resetting(b), Some(b.name.clone())))
        .collect();
    items.push(item("all of them".into(), None));
    let worst = breakers
        .iter()
        .position(|b| b.state != BreakerState::Closed)
        .unwrap_or(0);
    let selected = if state.screen == Screen::Resilience {
        state.selection().min(breakers.len().saturating_sub(1))
    } else {
        worst
    };
    let body = "Calls pass again at once. If the provider is still down, the breaker opens again."
        .to_owned();
    ask(state, "Reset a breaker", body, items, selected);
}

/// The breaker under the selection as it is now: a picture of the past may have had others.
pub(super) fn selected_breaker(state: &State) -> Option<&crate::resilience::breaker::BreakerStats> {
    let shown = state.snapshot().breakers.get(state.selection())?;
    state.live.breakers.iter().find(|b| b.name == shown.name)
}

pub(super) fn close_breaker(state: &mut State) {
    let Some(b) = selected_breaker(state) else {
        return;
    };
    let item = (
        format!("close {}", b.name),
        Chosen::Send(Command::CloseBreaker {
            breaker: b.name.clone(),
        }),
    );
    let body = format!(
        "Calls pass again, and nothing is forgotten: {} failures in a row still count, the next one may open it again, for longer.",
        b.failures_in_row
    );
    ask(state, "Close a breaker", body, vec![item], 0);
}

/// Sizes around the present one, so that no number has to be typed.
pub(super) fn resize_pool(state: &mut State) {
    let pools = &state.live.pools;
    let chosen = match state.screen {
        Screen::Resilience => state.selection().saturating_sub(state.live.breakers.len()),
        _ => {
            let ready = |name: &str| {
                state
                    .live
                    .providers
                    .iter()
                    .any(|p| p.name == name && p.ready)
            };
            let waits = pools.iter().position(|p| p.queued > 0);
            waits
                .or_else(|| pools.iter().position(|p| ready(&p.name)))
                .unwrap_or(0)
        }
    };
    let shown = state.snapshot().pools.get(chosen).map(|p| &p.name);
    let Some(pool) = pools.iter().find(|p| Some(&p.name) == shown) else {
        return;
    };
    let now = pool.limit;
    let mut sizes = vec![1, now / 2, now.saturating_sub(1), now + 1, now * 2, now * 4];
    sizes.retain(|s| *s > 0 && *s != now);
    sizes.sort_unstable();
    sizes.dedup();
    let selected = sizes.iter().position(|s| *s > now).unwrap_or(0);
    let items = sizes
        .into_iter()
        .map(|limit| {
            let debt = pool.in_use.saturating_sub(limit);
            let note = match (limit > now, debt) {
                (true, _) => format!("{} waiting", pool.queued.min(limit - now)),
                (false, 0) => "at once".to_owned(),
                (false, debt) => format!("as {debt} calls return"),
            };
            let pool = pool.name.clone();
            let label = format!("{pool}: {now} to {limit} calls at once ({note})");
            (label, Chosen::Send(Command::ResizePool { pool, limit }))
        })
        .collect();
    let body = format!(
        "{} of {now} in use, {} waiting. It holds until its setting changes or the engine starts anew.",
        pool.in_use, pool.queued
    );
    ask(state, "Resize a pool", body, items, selected);
}

/// Every switch with what it is now, and what it would become.
pub(super) fn switch_flag(state: &mut State) {
    let flags = serde_json::to_value(state.live.flags).unwrap_or_default();
    let items = flags
        .as_object()
        .into_iter()
        .flatten()
        .map(|(flag, on)| (flag.clone(), on.clone()))
        .chain([("safeMode".to_owned(), state.live.mode.safe_mode.into())])
        .filter_map(|(flag, on)| {
            let on = on.as_bool()?;
            let word = |on: bool| if on { "on" } else { "off" };
            let label = format!("{flag}: {} to {}", word(on), word(!on));
            Some((label, Chosen::Send(Command::SetFlag { flag, on: !on })))
        })
        .collect();
    let body = "A layer that is off protects nobody; the others go on. It holds until it is switched back or the engine starts anew."
        .to_owned();
    ask(state, "Switch a layer", body, items, 0);
}

/// Everything that one cache holds, to forget one of it.
pub(super) fn one_entry(state: &mut State, cache: &str, entries: Vec<CacheEntryInfo>) {
    let items = entries
        .into_iter()
        .map(|kept| {
            let (age, label) = (super::format::seconds(kept.age_ms), kept.label);
            let command = Command::ClearEntry {
                cache: cache.to_owned(),
                key: kept.key,
            };
            let label = format!("{age:>7} {:<6} {label}", kept.state);
            (label, Chosen::Send(command))
        })
        .collect();
    let body = "Age, state and what it is. Enter forgets it; it is loaded again when it is next asked for.";
    ask(
        state,
        &format!("One entry of {cache}"),
        body.to_owned(),
        items,
        0,
    );
}

pub(super) fn drill(state: &mut State) {
    if state.drill.as_ref().is_some_and(|d| d.ended.is_none()) {
        state.overlays.push(Overlay::Drill);
        return;
    }
    let items = DRILLS
        .iter()
        .map(|d| {
            let drill = d.name.to_owned();
            let label = format!("{:<13} {}", d.name, d.promise);
            (label, Chosen::Send(Command::Drill { drill }))
        })
        .collect();
    let body = "A drill has a simulator and breakers of its own: nothing of this engine is touched, but it takes processor time for some seconds.";
    ask(state, "Start a drill", body.to_owned(), items, 0);
}

/// How the simulator behaves from now on: for the selected provider, else for all.
pub(super) fn faults(state: &mut State, now: Now) {
    if !state.live.mode.simulated {
        let text = "simulator faults: only under --simulate; these are real providers";
        toast(state, text, true, now);
        return;
    }
    let provider = (state.screen == Screen::Resilience)
        .then(|| selected_breaker(state).map(|b| b.name.clone()))
        .flatten();
    let items = PRESETS
        .iter()
        .map(|(name, what)| {
            let switch = Switch {
                provider: provider.clone(),
                preset: Some((*name).to_owned()),
                ..Switch::default()
            };
            (
                format!("{name:<13} {what}"),
                Chosen::Send(Command::SetFaults(switch)),
            )
        })
        .collect();
    let whose = provider.as_deref().unwrap_or("every provider");
    let body = format!(
        "From the next question on, for {whose}. On the Resilience screen: for the selected provider. Answers in the cache are not asked for again; c clears them."
    );
    ask(state, "How the simulator behaves", body, items, 0);
}

/// All runs stop: a word must be typed. Taking them again harms nobody and is only asked about.
pub(super) fn drain(state: &mut State) {
    if state.live.drained {
        let item = (
            "take runs again".to_owned(),
            Chosen::Send(Command::OpenIntake),
        );
        let body = "The engine was drained; triggers are refused until this.".to_owned();
        ask(state, "Open the engine", body, vec![item], 0);
        return;
    }
    let counts = state.live.counts;
    state.overlays.push(Overlay::Typed {
        title: "Drain the engine".into(),
        body: format!(
            "{} running and {} waiting runs are cancelled (their finished steps are kept, their decision is manual_review), and no run is accepted until somebody opens the engine again.",
            counts.running, counts.queued
        ),
        word: "drain",
        input: Input::default(),
        command: Box::new(Command::Drain),
    });
}

pub(super) fn log_level(state: &mut State) {
    let items = ["error", "warn", "info", "debug", "trace"]
        .map(|level| {
            let command = Command::SetLogLevel {
                level: level.into(),
            };
            (level.to_owned(), Chosen::Send(command))
        })
        .to_vec();
    let body = "From now on, until the engine starts anew.".to_owned();
    ask(state, "What is logged", body, items, 2);
}

pub(super) fn isolate_breaker(state: &mut State) {
    let Some(name) = selected_breaker(state).map(|b| b.name.clone()) else {
        return;
    };
    let item = (
        format!("isolate {name}"),
        Chosen::Send(Command::IsolateBreaker { breaker: name }),
    );
    let body =
        "Every call to it is refused until somebody resets it; a model of another provider is asked where the routes name one."
            .to_owned();
    ask(state, "Isolate a provider", body, vec![item], 0);
}
