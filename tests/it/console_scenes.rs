//! Made-up states of an engine for pictures of the console: healthy, in an outage, slow, idle. The figures agree with
//! each other, and the sentence is made by the engine's own judge.

use bsm::engine::protocol::alert::Alert;
use bsm::engine::protocol::identity::RunIdentity;
use bsm::engine::protocol::provider_row::{KeyState, ProviderRow};
use bsm::engine::protocol::run::{Action, Cause, Evidence, RunState, StepStatus};
use bsm::engine::protocol::snapshot::{Health, RunSummary, Snapshot, StepSummary};
use bsm::resilience::breaker::BreakerState;
use bsm::review::verdict::Verdict;
use bsm::telemetry::availability::OutcomeStats;
use bsm::telemetry::call_outcome::OutcomeCounts;
use bsm::telemetry::provider_meter::Ribbon;

use crate::impact::{NOW_MS, judged, row};

/// The states, by name.
pub const NAMES: [&str; 4] = ["healthy", "outage", "slow", "idle"];

/// A state of an engine with four providers.
pub fn scene(name: &str, rested: &Snapshot) -> Snapshot {
    let mut s = rested.clone();
    s.workspace.name = "acme".into();
    s.started_ms = NOW_MS - 533_000_000;
    (
        s.resources.cpu_percent,
        s.resources.memory_mb,
        s.resources.disk_mb,
    ) = (4, 24, 48);
    s.money.day_budget_usd = 20.0;
    s.runs = runs(name);
    providers(&mut s);
    let since = match name {
        "healthy" => healthy(&mut s),
        "outage" => outage(&mut s),
        "slow" => slow(&mut s),
        _ => idle(&mut s),
    };
    s.availability = s.outcomes.availability();
    s.impact = judged(&s, since);
    s
}

/// What every busy state has: three providers that answer, one without a key.
fn providers(s: &mut Snapshot) {
    for (name, p50, p99, money) in [
        ("openai", 900, 1_600, 3_100_000),
        ("anthropic", 900, 1_200, 400_000),
        ("gemini", 1_100, 1_600, 100_000),
    ] {
        let row = row(s, name);
        (row.ready, row.key) = (true, KeyState::Present);
        row.variables.clear();
        row.failures_limit = 5;
        let figures = &mut row.figures;
        (figures.p50_ms, figures.p99_ms, figures.answered_n) = (Some(p50), Some(p99), 120);
        figures.window.answered = 120;
        figures.micro_usd_per_hour = money;
        figures.ribbon = Ribbon("+".repeat(60));
    }
}

/// Fifteen minutes of answered calls, with a wave.
fn calls(s: &mut Snapshot) {
    let history = &mut s.call_history;
    (history.bucket_s, history.buckets, history.until_ms) = (5, 180, NOW_MS);
    let wave = |n: u32| 44 + (n * 13) % 17 + (n / 20) % 5;
    history.answered = (0..180).map(wave).collect();
    history.retried = (0..180).map(|n| if n % 23 == 0 { 6 } else { 0 }).collect();
    history.p50_ms = (0..180).map(|n| 850 + (n * 37) % 220).collect();
    history.p99_ms = (0..180).map(|n| 1_300 + (n * 91) % 500).collect();
    history.minute = OutcomeCounts {
        answered: 600,
        retried: 8,
        ..OutcomeCounts::default()
    };
    history.minute_s = 60;
    history.window = OutcomeCounts {
        answered: 9_000,
        retried: 60,
        ..OutcomeCounts::default()
    };
    let latency = &mut history.latency;
    (latency.count, latency.window_s) = (3_040, 300);
    (latency.p50_ms, latency.p95_ms, latency.p99_ms) = (Some(930), Some(1_400), Some(1_900));
    latency.waiting_percent = Some(2);
    history.last_answer_ms = Some(NOW_MS);
    s.added_latency.p99_us = Some(210);
    (s.calls.peak, s.calls.average) = (30.0, 11.0);
    let cache = s.caches.iter_mut().find(|c| c.name == "responses");
    if let Some(cache) = cache {
        (cache.hits, cache.misses, cache.stampede_prevented) = (560, 125, 5);
    }
    s.money.saved_micro_usd = 410_000;
    s.money.today_micro_usd = 1_320_000;
}

fn healthy(s: &mut Snapshot) -> OutcomeStats {
    calls(s);
    s.health = Health::Healthy;
    s.counts.running = 1;
    s.outcomes.full = 96;
    let d = &mut s.decisions_hour;
    (d.hour.approved, d.hour.negative, d.hour.manual) = (71, 21, 4);
    d.full_percent = Some(100.0);
    d.minutes = (0..60).map(|n| [1 + n % 2, n % 3 / 2, 0]).collect();
    d.recent.full = 24;
    (d.waiting.manual, d.waiting.oldest_ms) = (4, Some(NOW_MS - 1_900_000));
    d.last_run_ms = Some(NOW_MS - 40_000);
    s.alerts = vec![alert("agents/registry.yaml reloaded", 2_900_000, false)];
    OutcomeStats::default()
}

fn outage(s: &mut Snapshot) -> OutcomeStats {
    calls(s);
    s.health = Health::Unhealthy;
    (s.counts.running, s.counts.queued) = (8, 3);
    let history = &mut s.call_history;
    for n in 172..180 {
        history.answered[n] = 12 + n as u32 % 5;
        history.p50_ms[n] = 1_200;
        history.p99_ms[n] = 4_000 + (n as u32 - 172) * 3_700;
    }
    let worse = |count: u32| (0..180).map(move |n| if n >= 172 { count + n % 4 } else { 0 });
    history.rate_limited = worse(5).collect();
    history.failed = worse(40).collect();
    history.refused = worse(105).collect();
    history.minute = OutcomeCounts {
        answered: 186,
        retried: 24,
        rate_limited: 60,
        failed: 480,
        refused: 1_320,
    };
    history.window.add(&history.minute.clone());
    let latency = &mut history.latency;
    latency.count = 212;
    (latency.p50_ms, latency.p95_ms, latency.p99_ms) = (Some(1_200), Some(12_000), Some(30_100));
    latency.waiting_percent = Some(94);
    let openai: &mut ProviderRow = row(s, "openai");
    openai.breaker = BreakerState::Open;
    openai.down_since_ms = Some(NOW_MS - 41_000);
    openai.next_attempt_ms = Some(NOW_MS + 6_000);
    (openai.in_use, openai.queued) = (10, 21);
    openai.oldest_ms = Some(NOW_MS - 21_000);
    let figures = &mut openai.figures;
    (figures.p50_ms, figures.p99_ms) = (None, Some(30_000));
    (figures.window.rate_limited, figures.window.failed) = (14, 86);
    figures.window.answered = 20;
    (figures.fell_back, figures.fallback) = (3, Some("anthropic".into()));
    figures.ribbon = Ribbon(format!(
        "{}{}{}",
        "+".repeat(19),
        "x4x".repeat(6),
        ".".repeat(23)
    ));
    row(s, "anthropic").in_use = 2;
    let gemini = row(s, "gemini");
    (gemini.breaker, gemini.trials, gemini.trials_limit) = (BreakerState::HalfOpen, 1, 1);
    gemini.down_since_ms = Some(NOW_MS - 90_000);
    gemini.figures.ribbon = Ribbon(format!("{}{}", "x".repeat(48), "+".repeat(12)));
    (s.outcomes.full, s.outcomes.undecided) = (50, 12);
    let d = &mut s.decisions_hour;
    (d.hour.approved, d.hour.negative, d.hour.manual) = (41, 9, 12);
    d.full_percent = Some(80.64);
    d.minutes = (0..60)
        .map(|n| if n > 57 { [0, 0, 6] } else { [1, n % 3 / 2, 0] })
        .collect();
    d.recent.undecided = 12;
    (d.waiting.manual, d.waiting.oldest_ms) = (12, Some(NOW_MS - 41_000));
    s.alerts = vec![
        alert("openai breaker open: 5 × 503 in 8 s", 41_000, true),
        alert("queue: 21 calls wait for pool openai", 21_000, true),
        alert("evidence partial: 12 of 12 runs", 15_000, true),
        alert("agents/registry.yaml reloaded", 2_900_000, false),
    ];
    OutcomeStats {
        undecided: 12,
        ..OutcomeStats::default()
    }
}

fn slow(s: &mut Snapshot) -> OutcomeStats {
    calls(s);
    s.health = Health::Degraded;
    (s.counts.running, s.counts.queued) = (10, 4);
    let openai = row(s, "openai");
    (openai.queued, openai.in_use) = (21, 10);
    (openai.allowed, openai.limit) = (10, 10);
    openai.oldest_ms = Some(NOW_MS - 21_000);
    (openai.figures.waited_pool, openai.figures.came) = (314, 466);
    let latency = &mut s.call_history.latency;
    (latency.p50_ms, latency.p95_ms, latency.p99_ms) = (Some(8_200), Some(17_000), Some(23_000));
    latency.waiting_percent = Some(81);
    s.outcomes.full = 58;
    let d = &mut s.decisions_hour;
    (d.hour.approved, d.hour.negative) = (44, 14);
    d.full_percent = Some(100.0);
    d.minutes = (0..60).map(|_| [1, 0, 0]).collect();
    d.recent.full = 11;
    s.alerts = vec![alert("queue: 21 calls wait for pool openai", 60_000, true)];
    OutcomeStats::default()
}

fn idle(s: &mut Snapshot) -> OutcomeStats {
    s.health = Health::Healthy;
    for row in &mut s.provider_rows {
        row.figures = bsm::telemetry::provider_meter::ProviderFigures::default();
    }
    s.decisions_hour.last_run_ms = Some(NOW_MS - 4 * 3_600_000);
    s.call_history.last_answer_ms = Some(NOW_MS - 4 * 3_600_000);
    OutcomeStats::default()
}

fn alert(text: &str, ago_ms: i64, active: bool) -> Alert {
    Alert {
        id: format!("alr_{ago_ms}"),
        code: if active { "breaker-open" } else { "event" }.into(),
        at_ms: NOW_MS - ago_ms,
        bad: active,
        text: text.into(),
        ..Alert::default()
    }
}

/// Pull requests as people know them.
fn runs(name: &str) -> Vec<RunSummary> {
    let down = name == "outage";
    let busy = name != "idle";
    let lost = (Some(Action::ManualReview), "openai down (no_model)");
    let fine = (Some(Action::ApproveAndMerge), "rules and models approve");
    let rows = [
        (
            12,
            "acme/app",
            482,
            "Retry payments on 409",
            "usr",
            (None, ""),
        ),
        (
            41,
            "acme/app",
            481,
            "Add SSO login",
            "bo",
            if down { lost } else { fine },
        ),
        (
            62,
            "acme/web",
            97,
            "Bump vite from 6.1 to 6.2",
            "renovate",
            if down { lost } else { fine },
        ),
        (
            124,
            "acme/app",
            480,
            "Rotate deploy key",
            "usr",
            (Some(Action::BlockPr), "private key deploy/id_rsa:1"),
        ),
        (
            540,
            "acme/docs",
            31,
            "Fix typo in install guide",
            "u3",
            (Some(Action::ApproveAndMerge), "prose only"),
        ),
        (
            842,
            "acme/app",
            479,
            "Cache invoices per tenant",
            "us4",
            (Some(Action::RequestChanges), "SQL in text client.py:16"),
        ),
    ];
    let rows = rows.into_iter().filter(|r| busy || r.0 > 100);
    rows.map(|(ago_s, repository, pull, title, author, (action, why))| {
        let ago = if busy {
            ago_s * 1_000
        } else {
            ago_s * 1_000 + 4 * 3_600_000
        };
        let over = action.is_some();
        let step = |n: usize| StepSummary {
            agent: format!("agent-{n}"),
            status: if over || n < 2 {
                StepStatus::Succeeded
            } else {
                StepStatus::Running
            },
            verdict: (over || n < 2).then_some(match action {
                Some(Action::BlockPr) if n == 2 => Verdict::Block,
                Some(Action::RequestChanges) if n % 2 == 1 => Verdict::RequestChanges,
                Some(Action::ManualReview) => Verdict::Comment,
                _ => Verdict::Approve,
            }),
            phase: None,
        };
        RunSummary {
            id: format!("job_{}_{pull:06}", NOW_MS - ago),
            event: "pull_request.opened".into(),
            title: Some(format!("#{pull}").into()),
            identity: Some(RunIdentity {
                repository: Some(repository.into()),
                pull: Some(pull),
                title: Some(title.into()),
                author: Some(author.into()),
                ..RunIdentity::default()
            }),
            state: if over {
                RunState::Finished
            } else {
                RunState::Running
            },
            steps: (0..4).map(step).collect(),
            action,
            rule: action.map(|_| 2),
            reason: over.then(|| why.into()),
            why: over.then(|| why.into()),
            evidence: action.map(|a| match a {
                Action::ManualReview => Evidence::Partial,
                _ => Evidence::Full,
            }),
            cause: action.map(|_| Cause::Finding),
            simulated: false,
            created_ms: NOW_MS - ago,
            started_ms: Some(NOW_MS - ago),
            finished_ms: over.then_some(NOW_MS - ago + 2_000),
            duration_ms: over.then_some(2_000),
            waited_ms: Some(if down && !over { 9_000 } else { 0 }),
            model_ms: Some(1_900),
            micro_usd: Some(14_000),
        }
    })
    .collect()
}
