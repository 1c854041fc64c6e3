//! What the state means for work: every state is told apart, and nothing reads well while work suffers.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test says what it expects"
)]

use std::sync::Arc;
use std::time::Duration;

use bsm::engine::observe::explain::explain;
use bsm::engine::observe::impact::{ImpactFacts, judge};
use bsm::engine::protocol::command::Command;
use bsm::engine::protocol::health::{Level, Reason};
use bsm::engine::protocol::impact::{Impact, ImpactCause, ImpactKind};
use bsm::engine::protocol::provider_row::{KeyState, ProviderRow};
use bsm::engine::protocol::query::{Answer, Query};
use bsm::engine::protocol::run::Action;
use bsm::engine::protocol::snapshot::Snapshot;
use bsm::engine::protocol::why::About;
use bsm::engine::{Handle, Operator as _};
use bsm::resilience::breaker::BreakerState;
use bsm::telemetry::availability::OutcomeStats;
use bsm::telemetry::provider_meter::RibbonCell;

use crate::support::world::{World, text};
use crate::support::{DOCS, Start, Wire, command, finish, state_folder, trigger, upstream};

pub(crate) const NOW_MS: i64 = 1_764_223_456_000;

/// The snapshot of an engine with one provider that can be asked and another one that can be, too.
pub(crate) async fn rested() -> Snapshot {
    let folder = state_folder();
    let mut start = Start::new(folder.path()).upstream("http://127.0.0.1:9/v1");
    start.mode.no_save = true;
    let handle = start.go().await;
    let mut snapshot = (**handle.snapshots().borrow()).clone();
    let other = snapshot
        .provider_rows
        .iter_mut()
        .find(|r| r.name == "anthropic");
    let other = other.unwrap();
    (other.ready, other.key) = (true, KeyState::Present);
    other.variables.clear();
    snapshot
}

pub(crate) fn row<'a>(snapshot: &'a mut Snapshot, name: &str) -> &'a mut ProviderRow {
    snapshot
        .provider_rows
        .iter_mut()
        .find(|r| r.name == name)
        .unwrap()
}

pub(crate) fn judged(snapshot: &Snapshot, since: OutcomeStats) -> Vec<Impact> {
    let facts = ImpactFacts {
        now_ms: NOW_MS,
        outcomes_since: &|_| since,
    };
    judge(snapshot, &facts)
}

fn sentence(impact: &Impact) -> String {
    let now = jiff::Timestamp::from_millisecond(NOW_MS).unwrap();
    impact.sentence(&now.to_zoned(jiff::tz::TimeZone::UTC))
}

fn undecided(count: u64) -> OutcomeStats {
    OutcomeStats {
        undecided: count,
        ..OutcomeStats::default()
    }
}

fn open(snapshot: &mut Snapshot, name: &str) {
    let row = row(snapshot, name);
    row.breaker = BreakerState::Open;
    row.down_since_ms = Some(NOW_MS - 41_000);
    row.next_attempt_ms = Some(NOW_MS + 6_000);
}

fn fails(snapshot: &mut Snapshot, code: &str, check: &str, message: &str) {
    snapshot.reasons.push(Reason {
        code: code.into(),
        check: check.into(),
        level: Level::Fail,
        message: message.into(),
        since_ms: NOW_MS - 5_000,
        runbook: "docs/runbooks/journal.md".into(),
    });
}

fn warns(snapshot: &mut Snapshot, code: &str, message: &str) {
    fails(snapshot, code, "drain", message);
    snapshot.reasons.last_mut().unwrap().level = Level::Warn;
}

pub(crate) type Change = fn(&mut Snapshot) -> OutcomeStats;

/// A state, what leads its findings, and a part of the sentence.
pub(crate) const STATES: &[(&str, ImpactKind, &str, Change)] = &[
    ("idle", ImpactKind::Idle, "nothing has run yet", |_| {
        OutcomeStats::default()
    }),
    (
        "healthy",
        ImpactKind::Ok,
        "96 runs decided in the last hour, all with full evidence",
        |s| {
            s.outcomes.full = 96;
            OutcomeStats::default()
        },
    ),
    (
        "primary down, runs suffer",
        ImpactKind::Down,
        "openai refuses since 41 s · 12 of 12 runs undecided · 3 fell back to anthropic · next attempt in 6 s",
        |s| {
            open(s, "openai");
            let figures = &mut row(s, "openai").figures;
            (figures.fell_back, figures.fallback) = (3, Some("anthropic".into()));
            undecided(12)
        },
    ),
    (
        "primary down, another takes over",
        ImpactKind::Warn,
        "openai refuses since 41 s · next attempt in 6 s",
        |s| {
            open(s, "openai");
            OutcomeStats::default()
        },
    ),
    (
        "isolated",
        ImpactKind::Warn,
        "openai is isolated by an operator since 41 s",
        |s| {
            open(s, "openai");
            row(s, "openai").breaker = BreakerState::Isolated;
            row(s, "openai").next_attempt_ms = None;
            OutcomeStats::default()
        },
    ),
    (
        "all down",
        ImpactKind::Down,
        "no provider answers (openai and anthropic) since 41 s",
        |s| {
            open(s, "openai");
            open(s, "anthropic");
            OutcomeStats::default()
        },
    ),
    (
        "keys refused",
        ImpactKind::Warn,
        "openai refuses every key",
        |s| {
            row(s, "openai").key = KeyState::Refused;
            row(s, "openai").ready = false;
            OutcomeStats::default()
        },
    ),
    (
        "no call answered, breakers closed",
        ImpactKind::Down,
        "no call was answered in the last minute: 3 of 3 failed or were refused",
        |s| {
            (s.call_history.minute.failed, s.call_history.minute.refused) = (1, 2);
            OutcomeStats::default()
        },
    ),
    (
        "a part of the calls fails",
        ImpactKind::Warn,
        "8 of 20 calls were not answered",
        |s| {
            let minute = &mut s.call_history.minute;
            (minute.answered, minute.failed) = (12, 8);
            OutcomeStats::default()
        },
    ),
    (
        "slow",
        ImpactKind::Slow,
        "queue: 335 of 487 calls waited for pool openai (limit 10), oldest 21 s",
        |s| {
            let row = row(s, "openai");
            (row.queued, row.in_use, row.allowed, row.limit) = (21, 10, 10, 10);
            row.oldest_ms = Some(NOW_MS - 21_000);
            (row.figures.waited_pool, row.figures.came) = (314, 466);
            OutcomeStats::default()
        },
    ),
    (
        "slow answers",
        ImpactKind::Slow,
        "openai answers slowly · p50 12 s · p99 20 s",
        |s| {
            let figures = &mut row(s, "openai").figures;
            (figures.answered_n, figures.p50_ms, figures.p99_ms) = (20, Some(12_000), Some(20_000));
            OutcomeStats::default()
        },
    ),
    (
        "rate limited",
        ImpactKind::Slow,
        "openai answered 429 to 12 of 40 calls in the last minute · backing off 1 s · adaptive limit 2 (configured 10)",
        |s| {
            let row = row(s, "openai");
            (row.backoff_s, row.allowed, row.limit) = (Some(1), 2, 10);
            let minute = &mut row.figures.minute;
            (minute.rate_limited, minute.answered) = (12, 28);
            OutcomeStats::default()
        },
    ),
    (
        "journal refused",
        ImpactKind::Down,
        "the journal cannot be written since 5 s · 5 runs refused",
        |s| {
            fails(
                s,
                "journal-not-writable",
                "journal",
                "the journal cannot be written",
            );
            OutcomeStats {
                refused: 5,
                ..OutcomeStats::default()
            }
        },
    ),
    (
        "disk full",
        ImpactKind::Down,
        "the disk of the state directory is full",
        |s| {
            let message = "the disk of the state directory is full: less than 64 MiB left";
            fails(s, "disk-full", "disk", message);
            OutcomeStats::default()
        },
    ),
    (
        "drained",
        ImpactKind::Drained,
        "drained since 5 s, no run is accepted · 3 runs at work",
        |s| {
            s.drained = true;
            s.counts.running = 3;
            warns(s, "drained", "drained: no run is accepted");
            OutcomeStats::default()
        },
    ),
    (
        "offline",
        ImpactKind::Offline,
        "models are not asked",
        |s| {
            s.mode.offline = true;
            s.outcomes.full = 3;
            OutcomeStats::default()
        },
    ),
    (
        "no key",
        ImpactKind::Offline,
        "no model can be asked, rules alone decide",
        |s| {
            for row in &mut s.provider_rows {
                (row.ready, row.key) = (false, KeyState::Missing);
                row.variables = vec!["A_KEY".into()];
            }
            OutcomeStats::default()
        },
    ),
    (
        "simulated",
        ImpactKind::Simulated,
        "models are simulated, no decision is evidence",
        |s| {
            s.mode.simulated = true;
            s.outcomes.full = 96;
            OutcomeStats::default()
        },
    ),
    (
        "unknown",
        ImpactKind::Unknown,
        "not yet known whether",
        |s| {
            s.outcomes.full = 96;
            let message = "not yet known whether the journal can be written";
            warns(s, "journal-not-yet-known", message);
            OutcomeStats::default()
        },
    ),
    (
        "a run undecided among others",
        ImpactKind::Warn,
        "runs end without a decision · 1 of 10 runs undecided in the last 15 min",
        |s| {
            s.outcomes.full = 96;
            s.decisions_hour.recent = OutcomeStats {
                window_s: 900,
                full: 9,
                undecided: 1,
                ..OutcomeStats::default()
            };
            OutcomeStats::default()
        },
    ),
    (
        "runs not kept of late",
        ImpactKind::Down,
        "runs were refused, they could not be kept · 2 runs refused in the last 15 min",
        |s| {
            s.decisions_hour.recent.window_s = 900;
            s.decisions_hour.recent.refused = 2;
            s.decisions_hour.refused = 2;
            OutcomeStats::default()
        },
    ),
    (
        "queue full",
        ImpactKind::Down,
        "runs were refused, the queue was full · 4 runs refused in the last 15 min",
        |s| {
            s.outcomes.full = 96;
            s.decisions_hour.recent.window_s = 900;
            s.decisions_hour.refused = 4;
            OutcomeStats::default()
        },
    ),
];

#[tokio::test]
async fn states_are_told_apart_and_only_decided_work_is_ok() {
    let rested = rested().await;
    for (state, kind, part, change) in STATES {
        let mut snapshot = rested.clone();
        let since = change(&mut snapshot);
        let found = judged(&snapshot, since);
        let first = &found[0];
        assert_eq!(first.kind, *kind, "{state}: {found:?}");
        assert!(
            sentence(first).contains(part),
            "{state}: {}",
            sentence(first)
        );
        let well = found.iter().any(|f| f.kind == ImpactKind::Ok);
        assert_eq!(well, *state == "healthy", "{state}");
        assert!(found.is_sorted_by_key(|f| f.kind), "{state}: worst first");
        let actions = bsm_console_actions();
        for finding in &found {
            assert!(
                actions.contains(&format!("\"{}\"", finding.action)),
                "{state}: {} is no action of the console",
                finding.action
            );
            if let Some(page) = &finding.runbook {
                let page = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(page);
                assert!(page.is_file(), "{state}: {}", page.display());
            }
        }
    }
}

/// The console's table of actions: a finding names one of them.
fn bsm_console_actions() -> String {
    let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src/console/action.rs");
    std::fs::read_to_string(path).unwrap()
}

async fn why(handle: &Handle, about: About) -> String {
    match handle.query(Query::Why { about }).await.unwrap() {
        Answer::Why { why } => why.note(),
        other => panic!("{other:?}"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn outage_of_the_only_provider_is_down_in_every_figure() {
    let up = upstream(|_, _| Wire::Status(503, "{}")).await;
    let state = state_folder();
    let handle = Start::new(state.path()).upstream(&up.url).go().await;
    let run = finish(&handle, trigger("pull_request.opened", DOCS)).await;
    assert_eq!(run.decision.unwrap().action, Action::ManualReview);
    let mut snapshots = handle.snapshots();
    let seen = snapshots
        .wait_for(|s| s.counts.finished == 1 && s.impact[0].undecided == 1)
        .await
        .unwrap()
        .clone();
    let first = &seen.impact[0];
    assert_eq!(
        (first.kind, first.cause, first.of),
        (ImpactKind::Down, ImpactCause::ProviderRefuses, 1)
    );
    assert_eq!(first.subjects, ["openai"]);
    let row = seen
        .provider_rows
        .iter()
        .find(|r| r.name == "openai")
        .unwrap();
    assert_eq!(
        (row.key, row.breaker),
        (KeyState::Present, BreakerState::Open)
    );
    assert_eq!(row.down_since_ms, first.since_ms);
    let window = row.figures.window;
    let sent = up.calls.lock().unwrap().len() as u64;
    assert_eq!((window.failed, window.answers()), (sent, 0));
    assert_eq!((row.figures.answered_n, row.figures.p99_ms), (0, None));
    let waiting = seen.decisions_hour.waiting;
    assert_eq!((seen.decisions_hour.hour.manual, waiting.count()), (1, 1));
    assert_eq!(seen.decisions_hour.full_percent, Some(0.0));
    assert!(waiting.oldest_ms.is_some() && seen.decisions_hour.last_run_ms.is_some());
    // A second later the calls are in the figures of whole seconds.
    let seen = snapshots
        .wait_for(|s| s.call_history.minute.failed == sent)
        .await
        .unwrap()
        .clone();
    assert_eq!(seen.call_history.latency.count, 0, "no latency of failures");
    assert_eq!(seen.call_history.last_answer_ms, None);
    let row = seen
        .provider_rows
        .iter()
        .find(|r| r.name == "openai")
        .unwrap();
    assert!(row.figures.ribbon.cells().any(|c| c == RibbonCell::Failed));
    let text = why(&handle, About::Health).await;
    assert!(
        text.contains(&format!(
            "Calls of the last 5 min: 0 answered, {sent} failed"
        )),
        "{text}"
    );
    command(
        &handle,
        Command::SetFlag {
            flag: "circuitBreaker".into(),
            on: false,
        },
    )
    .await
    .unwrap();
    let still = snapshots
        .wait_for(|s| s.provider_rows.iter().all(|r| !r.is_down()))
        .await
        .unwrap()
        .clone();
    assert_eq!(still.impact[0].kind, ImpactKind::Down, "{:?}", still.impact);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn simulated_money_is_labelled_and_screens_do_not_read_the_response_cache() {
    let state = state_folder();
    let mut start = Start::new(state.path());
    start.mode.simulated = true;
    let handle = start.go().await;
    finish(&handle, trigger("pull_request.opened", DOCS)).await;
    finish(&handle, trigger("pull_request.opened", DOCS)).await;
    for query in [
        Query::Workspace,
        Query::Knowledge,
        Query::Entries {
            cache: "responses".into(),
            limit: 10,
        },
    ] {
        handle.query(query).await.unwrap();
    }
    let mut snapshots = handle.snapshots();
    let seen = snapshots
        .wait_for(|s| s.counts.finished == 2)
        .await
        .unwrap()
        .clone();
    assert!(seen.money.simulated);
    assert_eq!(seen.impact[0].kind, ImpactKind::Simulated);
    let cache = seen.response_cache().unwrap();
    let asked = cache.served() + cache.misses;
    assert!(cache.hits > 0, "the second run asks the same: {cache:?}");
    assert!(seen.money.saved_micro_usd > 0, "{:?}", seen.money);
    let mut changed = (*seen).clone();
    changed.caches[0].hits += 1_000;
    assert_eq!(seen.hit_rate(), changed.hit_rate(), "another cache's hits");
    for _ in 0..3 {
        handle.query(Query::Workspace).await.unwrap();
    }
    let after = handle.snapshots().borrow().clone();
    let cache = after.response_cache().unwrap();
    assert_eq!(cache.served() + cache.misses, asked);
}

#[tokio::test]
async fn explanation_of_a_full_pool_has_the_figures_of_the_moment() {
    let mut snapshot = rested().await;
    let row = row(&mut snapshot, "openai");
    (row.queued, row.in_use, row.allowed, row.limit) = (21, 10, 10, 10);
    row.oldest_ms = Some(NOW_MS - 21_000);
    (row.figures.waited_pool, row.figures.came) = (314, 466);
    row.figures.wait_p50_ms = Some(12_000);
    let pool = snapshot.pools.iter_mut().find(|p| p.name == "openai");
    let pool = pool.unwrap();
    (pool.queued, pool.in_use, pool.rejected, pool.waited) = (21, 10, 9_999, 8_888);
    snapshot.impact = judged(&snapshot, OutcomeStats::default());
    let note = |about: &About, snapshot: &Snapshot| {
        explain(about, snapshot, &[], None, NOW_MS).unwrap().note()
    };
    let name = || "openai".to_owned();
    for about in [About::Pool { name: name() }, About::Health] {
        let text = note(&about, &snapshot);
        assert!(
            text.contains("335 of 487 calls of the last 5 min waited for a place; the oldest has waited 21 s; the median wait is 12 s."),
            "{text}"
        );
        assert!(!text.contains("9999") && !text.contains("8888"), "{text}");
    }
    // Another moment, other figures.
    let row = snapshot
        .provider_rows
        .iter_mut()
        .find(|r| r.name == "openai");
    let row = row.unwrap();
    (row.figures.waited_pool, row.figures.came, row.queued) = (0, 5, 0);
    (row.figures.window.rate_limited, row.figures.window.answered) = (12, 28);
    (row.allowed, row.limit) = (2, 10);
    (
        row.figures.answered_n,
        row.figures.p50_ms,
        row.figures.p99_ms,
    ) = (28, Some(900), Some(1_200));
    let pool = snapshot.pools.iter_mut().find(|p| p.name == "openai");
    pool.unwrap().queued = 0;
    let text = note(&About::Pool { name: name() }, &snapshot);
    assert!(!text.contains("waited for a place"), "{text}");
    let text = note(&About::Provider { name: name() }, &snapshot);
    for part in [
        "It answered 429 to 12 of 40 calls sent in the last 5 min; adaptive limit 2 (configured 10).",
        "Its answers take 900 ms (p50) and 1200 ms (p99) over 28 calls of the last 5 min.",
    ] {
        assert!(text.contains(part), "'{part}' is not in:\n{text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn snapshot_of_an_idle_engine_stands_still() {
    let state = state_folder();
    let handle = Start::new(state.path()).go().await;
    let mut snapshots = handle.snapshots();
    let first = snapshots.borrow_and_update().clone();
    let json = bsm::text::json(&*first).unwrap();
    assert!(json.contains("\"impact\""), "{json}");
    // Without calls there is no minute that fills: what is still moves with the process's own figures alone.
    assert_eq!(first.call_history.minute_s, 60);
    for _ in 0..5 {
        let next = tokio::time::timeout(Duration::from_secs(1), snapshots.changed());
        let Ok(changed) = next.await else { break };
        changed.unwrap();
        let later = Arc::clone(&snapshots.borrow_and_update());
        assert_eq!(later.call_history, first.call_history);
        assert_eq!(later.impact, first.impact);
        assert_eq!(later.provider_rows, first.provider_rows);
        assert_eq!(later.decisions_hour, first.decisions_hour);
    }
}

#[test]
fn status_prints_what_it_means_for_work() {
    let world = World::new();
    let stopped = world.run(&["status", "--json"]);
    let stopped: serde_json::Value = serde_json::from_slice(&stopped.stdout).unwrap();
    assert_eq!(stopped["impact"], serde_json::json!([]), "nobody knows");
    let running = crate::health::Served::start(world);
    let said = text(&running.world.run(&["status"]));
    assert!(said.contains("OFFLINE  models are not asked"), "{said}");
    let said = running.json(&["status", "--json"]);
    assert_eq!(said["impact"][0]["cause"], "offline", "{said}");
}
