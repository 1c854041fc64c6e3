//! Questions before something is done: what it will do, in words and live figures, and to what.

use super::follow_up;
use crate::cache::CacheEntryInfo;
use crate::console::action::Action;
use crate::console::component::{Intent, Subject};
use crate::console::context::Context;
use crate::console::message::Effect;
use crate::console::overlays::choice::Choice;
use crate::console::overlays::typed_confirm::TypedConfirm;
use crate::drill::DRILLS;
use crate::engine::protocol::command::Command;
use crate::engine::protocol::query::Query;
use crate::model::simulator::{PRESETS, Switch};
use crate::resilience::breaker::{BreakerState, BreakerStats};

/// Cancel the selected run.
pub fn cancel(cx: &Context, subject: &Subject) -> Vec<Intent> {
    let Some(run) = subject.run().map(str::to_owned) else {
        return Vec::new();
    };
    if !cx.is_active(&run) {
        return vec![Intent::warn(
            "this run has ended; there is nothing to cancel",
        )];
    }
    let item = (
        format!("cancel {}", crate::console::format::short_id(&run)),
        Effect::Send(Command::CancelRun { run }),
    );
    let body = "Steps at work stop; those that ended are kept. The decision will be manual_review."
        .to_owned();
    ask("Cancel the run", body, vec![item], 0)
}

/// Ctrl-Z stops this process, and an engine in it stops too: where that cuts runs off it asks first. Pressed
/// again it is the answer.
pub fn suspend(cx: &Context) -> Vec<Intent> {
    let counts = cx.live.counts;
    let runs = counts.running + counts.queued;
    if cx.attached.is_some() || runs == 0 {
        return vec![Intent::Do(Effect::Suspend)];
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
    let item = ("back to the shell".to_owned(), Effect::Suspend);
    let choice = Choice::new("Stop the engine too", body, vec![item]);
    vec![Intent::Open(Box::new(choice.repeated_by(Action::Suspend)))]
}

/// Asks before it acts: what will be done, in words, and to what.
fn ask(title: &str, body: String, items: Vec<(String, Effect)>, selected: usize) -> Vec<Intent> {
    let choice = Choice::new(title, body, items).selecting(selected);
    vec![Intent::Open(Box::new(choice))]
}

/// Which cache to clear, with what that costs.
pub fn clear_cache(cx: &Context, subject: &Subject) -> Vec<Intent> {
    let live = &cx.live;
    let item = |cache: Option<&str>| {
        let cache_name = cache.map(str::to_owned);
        let command = Command::ClearCache {
            cache: cache_name,
            tag: None,
        };
        (follow_up::clearing(live, cache), Effect::Send(command))
    };
    let mut items: Vec<_> = live.caches.iter().map(|c| item(Some(&c.name))).collect();
    items.push(item(None));
    // Never all of them by a stray Enter.
    let chosen = match subject {
        Subject::Cache(name) => live.caches.iter().position(|c| c.name == *name),
        _ => None,
    };
    let selected = chosen.unwrap_or(0);
    // One thing of the cache under the selection.
    if let Some(cache) = chosen.map(|at| live.caches[at].name.clone()) {
        let look = Query::Entries {
            cache: cache.clone(),
            limit: 200,
        };
        items.push((
            format!("one entry of {cache}: choose it"),
            Effect::Query(look),
        ));
    }
    let body = "What is forgotten is loaded again when it is next asked for.".to_owned();
    ask("Clear a cache", body, items, selected)
}

/// Which breaker to reset.
pub fn reset_breaker(cx: &Context, subject: &Subject) -> Vec<Intent> {
    let breakers = &cx.live.breakers;
    let item = |label: String, breaker: Option<String>| {
        let command = Command::ResetBreaker { breaker };
        (label, Effect::Send(command))
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
    let chosen = match subject {
        Subject::Provider(name) => breakers.iter().position(|b| b.name == *name),
        _ => None,
    };
    let selected = chosen.unwrap_or(worst);
    let body = "Calls pass again at once. If the provider is still down, the breaker opens again."
        .to_owned();
    ask("Reset a breaker", body, items, selected)
}

/// The selected provider's breaker as it is now: a picture of the past may have had others.
fn breaker_of<'a>(cx: &'a Context, subject: &Subject) -> Option<&'a BreakerStats> {
    let Subject::Provider(name) = subject else {
        return None;
    };
    cx.live.breakers.iter().find(|b| b.name == *name)
}

/// Close the selected breaker.
pub fn close_breaker(cx: &Context, subject: &Subject) -> Vec<Intent> {
    let Some(b) = breaker_of(cx, subject) else {
        return Vec::new();
    };
    let item = (
        format!("close {}", b.name),
        Effect::Send(Command::CloseBreaker {
            breaker: b.name.clone(),
        }),
    );
    let body = format!(
        "Calls pass again, and nothing is forgotten: {} failures in a row still count, the next one may open it again, for longer.",
        b.failures_in_row
    );
    ask("Close a breaker", body, vec![item], 0)
}

/// Sizes around the present one, so that no number has to be typed.
pub fn resize_pool(cx: &Context, subject: &Subject) -> Vec<Intent> {
    let pools = &cx.live.pools;
    let named = match subject {
        Subject::Pool(name) | Subject::Provider(name) => pools.iter().find(|p| p.name == *name),
        _ => None,
    };
    // Where none is selected: the one where somebody waits, else one that is in use.
    let ready = |name: &str| cx.live.providers.iter().any(|p| p.name == name && p.ready);
    let pool = named
        .or_else(|| pools.iter().find(|p| p.queued > 0))
        .or_else(|| pools.iter().find(|p| ready(&p.name)))
        .or_else(|| pools.first());
    let Some(pool) = pool else {
        return Vec::new();
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
            (label, Effect::Send(Command::ResizePool { pool, limit }))
        })
        .collect();
    let body = format!(
        "{} of {now} in use, {} waiting. It holds until its setting changes or the engine starts anew.",
        pool.in_use, pool.queued
    );
    ask("Resize a pool", body, items, selected)
}

/// One pool to one size, as it was typed.
pub fn resize_pool_to(cx: &Context, pool: &str, limit: u32) -> Vec<Intent> {
    let Some(of) = cx.live.pools.iter().find(|p| p.name == pool) else {
        return Vec::new();
    };
    let body = format!(
        "{} of {} in use, {} waiting. It holds until its setting changes or the engine starts anew.",
        of.in_use, of.limit, of.queued
    );
    let label = format!("{pool}: {} to {limit} calls at once", of.limit);
    let pool = pool.to_owned();
    let item = (label, Effect::Send(Command::ResizePool { pool, limit }));
    ask("Resize a pool", body, vec![item], 0)
}

/// Every switch, and whether it is on.
pub fn flags(cx: &Context) -> Vec<(String, bool)> {
    let flags = serde_json::to_value(cx.live.flags).unwrap_or_default();
    flags
        .as_object()
        .into_iter()
        .flatten()
        .map(|(flag, on)| (flag.clone(), on.clone()))
        .chain([("safeMode".to_owned(), cx.live.mode.safe_mode.into())])
        .filter_map(|(flag, on)| Some((flag, on.as_bool()?)))
        .collect()
}

/// One switch on or off, as it was typed.
pub fn switch_flag_to(flag: &str, on: bool) -> Vec<Intent> {
    let word = if on { "on" } else { "off" };
    let label = format!("{flag}: {word}");
    let flag = flag.to_owned();
    let item = (label, Effect::Send(Command::SetFlag { flag, on }));
    ask("Switch a layer", OFF.to_owned(), vec![item], 0)
}

/// What a layer that is off means.
const OFF: &str = "A layer that is off protects nobody; the others go on. It holds until it is switched back or the engine starts anew.";

/// Every switch with what it is now, and what it would become.
pub fn switch_flag(cx: &Context) -> Vec<Intent> {
    let items = flags(cx)
        .into_iter()
        .map(|(flag, on)| {
            let word = |on: bool| if on { "on" } else { "off" };
            let label = format!("{flag}: {} to {}", word(on), word(!on));
            (label, Effect::Send(Command::SetFlag { flag, on: !on }))
        })
        .collect();
    ask("Switch a layer", OFF.to_owned(), items, 0)
}

/// Everything that one cache holds, to forget one of it.
pub fn one_entry(cache: &str, entries: &[CacheEntryInfo]) -> Vec<Intent> {
    let items = entries
        .iter()
        .map(|kept| {
            let (age, label) = (
                crate::console::format::seconds(kept.age_ms),
                kept.label.clone(),
            );
            let command = Command::ClearEntry {
                cache: cache.to_owned(),
                key: kept.key.clone(),
            };
            let label = format!("{age:>7} {:<6} {label}", kept.state);
            (label, Effect::Send(command))
        })
        .collect();
    let body = "Age, state and what it is. Enter forgets it; it is loaded again when it is next asked for.";
    ask(&format!("One entry of {cache}"), body.to_owned(), items, 0)
}

/// Which drill to start.
pub fn drill() -> Vec<Intent> {
    let items = DRILLS
        .iter()
        .map(|d| {
            let drill = d.name.to_owned();
            let label = format!("{:<13} {}", d.name, d.promise);
            (label, Effect::Send(Command::Drill { drill }))
        })
        .collect();
    let body = "A drill has a simulator and breakers of its own: nothing of this engine is touched, but it takes processor time for some seconds.";
    ask("Start a drill", body.to_owned(), items, 0)
}

/// How the simulator behaves from now on: for the selected provider, else for all.
pub fn faults(cx: &Context, subject: &Subject) -> Vec<Intent> {
    if !cx.live.mode.simulated {
        let text = "simulator faults: only under --simulate; these are real providers";
        return vec![Intent::warn(text)];
    }
    let provider = breaker_of(cx, subject).map(|b| b.name.clone());
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
                Effect::Send(Command::SetFaults(switch)),
            )
        })
        .collect();
    let whose = provider.as_deref().unwrap_or("every provider");
    let body = format!(
        "From the next question on, for {whose}. On the Resilience screen: for the selected provider. Answers in the cache are not asked for again; c clears them."
    );
    ask("How the simulator behaves", body, items, 0)
}

/// All runs stop: a word must be typed. Taking them again harms nobody and is only asked about.
pub fn drain(cx: &Context) -> Vec<Intent> {
    if cx.live.drained {
        let item = (
            "take runs again".to_owned(),
            Effect::Send(Command::OpenIntake),
        );
        let body = "The engine was drained; triggers are refused until this.".to_owned();
        return ask("Open the engine", body, vec![item], 0);
    }
    let counts = cx.live.counts;
    let body = format!(
        "{} running and {} queued runs are cancelled (their finished steps are kept, their decision is manual_review), and no run is accepted until somebody opens the engine again.",
        counts.running, counts.queued
    );
    let confirm = TypedConfirm::new("Drain the engine", body, "drain", Command::Drain);
    vec![Intent::Open(Box::new(confirm))]
}

/// What is logged from now on.
pub fn log_level() -> Vec<Intent> {
    let items = ["error", "warn", "info", "debug", "trace"]
        .map(|level| {
            let command = Command::SetLogLevel {
                level: level.into(),
            };
            (level.to_owned(), Effect::Send(command))
        })
        .to_vec();
    let body = "From now on, until the engine starts anew.".to_owned();
    ask("What is logged", body, items, 2)
}

/// Isolate the selected provider.
pub fn isolate_breaker(cx: &Context, subject: &Subject) -> Vec<Intent> {
    let Some(name) = breaker_of(cx, subject).map(|b| b.name.clone()) else {
        return Vec::new();
    };
    let item = (
        format!("isolate {name}"),
        Effect::Send(Command::IsolateBreaker { breaker: name }),
    );
    let body =
        "Every call to it is refused until somebody resets it; a model of another provider is asked where the routes name one."
            .to_owned();
    ask("Isolate a provider", body, vec![item], 0)
}
