//! The order matrix: what every outcome does to every layer. The table in `docs/resilience.md` is made
//! by this test from what the layers really do; a table that no longer agrees fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use super::error::ModelError;
use crate::cache::{Cache, CacheSettings, LoadError, Source, Spec};
use crate::model::retry_hints::RetryHints;
use crate::resilience::breaker::{Breaker, BreakerSettings};
use crate::resilience::bulkhead::{Bulkhead, Lane, PoolSettings};
use crate::resilience::clock::{Clock, SystemClock};
use crate::resilience::deadline::Deadline;
use crate::resilience::limiter::{Limiter, RateSettings};
use crate::resilience::policy::{Call, Failure, LayerSet, Layers, Policy, Target, Waits};
use crate::resilience::retry::RetrySettings;
use crate::resilience::stream_timeouts::TimeoutKind;

const TOKENS: u32 = 100;
const MINUTE: u32 = 600;
/// Longer than any wait here. Ten tokens come back each second, so what a call had used is never full again.
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Clone)]
enum Case {
    /// The upstream answers so.
    Answer(ModelError),
    /// It does not answer in time.
    Hangs,
    /// It does not answer, and the caller's own time is shorter than an attempt's.
    HangsPastDeadline,
    /// It does not answer, and the caller goes away.
    CallerLeaves,
    /// One of our own layers refuses before anything is sent.
    BreakerOpen,
    Isolated,
    LimiterEmpty,
    PoolFull,
    DeadlinePassed,
}

fn status(status: u16, code: &str, wish: RetryHints) -> Case {
    let body = format!(r#"{{"error":{{"code":"{code}"}}}}"#);
    Case::Answer(ModelError::from_answer("a", status, &body, wish))
}

fn cases() -> Vec<(&'static str, Case)> {
    let plain = |code, kind| status(code, kind, RetryHints::default());
    let after = |s| RetryHints {
        retry_after: Some(Duration::from_secs(s)),
        ..RetryHints::default()
    };
    let malformed = ModelError::Malformed {
        provider: "a".into(),
        message: "no JSON".into(),
    };
    let stalled = |cut| {
        Case::Answer(ModelError::Stalled {
            provider: "a".into(),
            cut,
        })
    };
    let truncated = ModelError::Truncated {
        provider: "a".into(),
        bytes: 7,
    };
    let cut_prompt = ModelError::CutPrompt {
        provider: "a".into(),
        read: 2_048,
        sent: 9_000,
    };
    let refused = ModelError::Refused(String::new());
    let interrupted = ModelError::Interrupted(Box::new(truncated.clone()));
    let refused_connection = ModelError::Connect {
        provider: "a".into(),
        message: "refused".into(),
    };
    vec![
        ("400", plain(400, "")),
        ("400 content policy", plain(400, "content_policy_violation")),
        ("400 context length", plain(400, "context_length_exceeded")),
        ("401, 403", plain(401, "")),
        ("404", plain(404, "model_not_found")),
        ("408", plain(408, "")),
        ("409", plain(409, "")),
        ("422", plain(422, "")),
        ("429, no header", plain(429, "rate_limit_exceeded")),
        ("429, retry-after 2 s", status(429, "", after(2))),
        ("429, retry-after 90 s", status(429, "", after(90))),
        ("429 quota", plain(429, "insufficient_quota")),
        ("500", plain(500, "")),
        (
            "503, x-should-retry: false",
            status(
                503,
                "",
                RetryHints {
                    should_retry: Some(false),
                    ..RetryHints::default()
                },
            ),
        ),
        ("529", plain(529, "")),
        ("no connection", Case::Answer(refused_connection)),
        ("malformed", Case::Answer(malformed)),
        (
            "first token too late",
            stalled(TimeoutKind::First(Duration::from_secs(1))),
        ),
        (
            "stalled in mid-stream",
            stalled(TimeoutKind::Idle(Duration::from_secs(1))),
        ),
        ("truncated stream", Case::Answer(truncated)),
        ("broken off, and somebody reads", Case::Answer(interrupted)),
        ("prompt cut by the server", Case::Answer(cut_prompt)),
        (
            "cut off at its length",
            Case::Answer(ModelError::CutOff("length".into())),
        ),
        ("refused by the model", Case::Answer(refused.clone())),
        (
            "the same, onRefusal: fallBack",
            Case::Answer(ModelError::HandedOn(Box::new(refused))),
        ),
        ("our attempt timeout", Case::Hangs),
        ("deadline passes during it", Case::HangsPastDeadline),
        ("cancelled by the caller", Case::CallerLeaves),
        ("breaker open", Case::BreakerOpen),
        ("breaker isolated", Case::Isolated),
        ("rate limit used up", Case::LimiterEmpty),
        ("pool and queue full", Case::PoolFull),
        ("deadline passed", Case::DeadlinePassed),
    ]
}

fn target(name: &'static str) -> Target<&'static str> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let rate = RateSettings {
        requests_per_minute: Some(1_000),
        tokens_per_minute: Some(MINUTE),
    };
    let pool = PoolSettings {
        limit: 4,
        queue: 0,
        wait_ms: 1,
    };
    Target {
        guards: LayerSet {
            breaker: Breaker::new(name, BreakerSettings::default(), clock.as_ref()),
            pool: Bulkhead::new(name, pool, Arc::clone(&clock)),
            limiter: Limiter::new(name, rate, clock),
            deployment: None,
        },
        attempt_timeout: Duration::from_secs(2),
        tokens: TOKENS,
        what: name,
    }
}

fn call(case: &Case, stale_at_hand: bool) -> Call {
    let left = match case {
        Case::DeadlinePassed => Duration::ZERO,
        Case::HangsPastDeadline => Duration::from_secs(1),
        _ => PATIENCE,
    };
    Call {
        deadline: Deadline::after(SystemClock.now(), left),
        lane: Lane::Run,
        // Three attempts at once after one another: what is measured is whether, not when.
        retry: RetrySettings {
            base_ms: 0,
            ..RetrySettings::default()
        },
        layers: Layers::default(),
        stale_at_hand,
        waits: Waits::UntilDeadline,
    }
}

/// Brings the first target into the state that the case begins in.
fn prepare(case: &Case, guards: &LayerSet) -> Vec<crate::resilience::bulkhead::Permit> {
    let now = SystemClock.now();
    match case {
        Case::BreakerOpen => {
            for _ in 0..5 {
                guards
                    .breaker
                    .admit(now)
                    .unwrap()
                    .failure("x", Some(PATIENCE * 10), now);
            }
        }
        Case::Isolated => guards.breaker.isolate("test", now),
        Case::LimiterEmpty => guards
            .limiter
            .try_reserve(TOKENS, now)
            .unwrap()
            .settle(3 * MINUTE, now),
        Case::PoolFull => return (0..4).map(|_| guards.pool.try_acquire().unwrap()).collect(),
        _ => {}
    }
    Vec::new()
}

async fn answer(case: &Case, what: &str) -> Result<(u64, u32), ModelError> {
    match case {
        _ if what == "b" => Ok((2, 7)),
        Case::Answer(error) => Err(error.clone()),
        Case::Hangs | Case::HangsPastDeadline | Case::CallerLeaves => std::future::pending().await,
        _ => Ok((1, 7)),
    }
}

/// One row: what the layers did, read off the layers themselves.
async fn row(name: &str, case: &Case) -> String {
    let policy = Policy::new(Arc::new(SystemClock));
    let targets = [target("a"), target("b")];
    let guards = &targets[0].guards;
    let held = prepare(case, guards);
    let (before, used) = (
        guards.breaker.stats(SystemClock.now()),
        guards.limiter.stats().admitted,
    );
    let (first, second) = (AtomicU32::new(0), AtomicU32::new(0));
    let asked = policy.run(call(case, false), &targets, |what| {
        let counter = if *what == "a" { &first } else { &second };
        counter.fetch_add(1, Relaxed);
        answer(case, what)
    });
    if matches!(case, Case::CallerLeaves) {
        let gone = tokio::time::timeout(Duration::from_secs(1), asked).await;
        assert!(gone.is_err());
    } else {
        let outcome = asked.await;
        assert_eq!(outcome.result.is_ok(), second.load(Relaxed) > 0, "{name}");
        let sent = outcome.trace.iter().filter(|a| a.sent).count() as u32;
        assert_eq!(
            sent,
            first.load(Relaxed) + second.load(Relaxed),
            "{name}: the trace tells all"
        );
    }
    let attempts = first.load(Relaxed);
    let after = guards.breaker.stats(SystemClock.now());
    let counted = match (
        after.failures - before.failures,
        after.successes - before.successes,
    ) {
        (0, 0) => "no",
        (0, _) => "success",
        _ => "failure",
    };
    let limiter = guards.limiter.stats();
    let requests = limiter.admitted - used;
    assert_eq!(
        requests,
        u64::from(attempts),
        "{name}: what was sent counts, and nothing else"
    );
    // A bucket that is full again has had everything back; one that paid for an answer has not.
    let tokens = match limiter.tokens_left {
        _ if attempts == 0 => "untouched",
        Some(left) if left == i64::from(MINUTE) => "come back",
        _ => "used",
    };
    assert_eq!(
        (limiter.reserved, limiter.reserved_tokens),
        (0, 0),
        "{name}: reservations"
    );
    let pool = guards.pool.stats();
    assert_eq!(
        pool.in_use as usize,
        held.len(),
        "{name}: the place comes back"
    );
    let yes = |is: bool| if is { "yes" } else { "no" };
    let stale = stale(case).await;
    format!(
        "| {name} | {} | {counted} | {} | {requests} | {tokens} | {} | {} | {stale} | {} |",
        yes(attempts > 0),
        yes(attempts > 1),
        limiter
            .paused_s
            .map_or("no".to_owned(), |s| format!("{s} s")),
        yes(pool.shrunk > 0),
        yes(second.load(Relaxed) > 0),
    )
}

/// Whether an old answer is served, marked, before the second target is asked.
async fn stale(case: &Case) -> &'static str {
    if matches!(case, Case::CallerLeaves) {
        return "nobody asks";
    }
    let settings = CacheSettings {
        ttl_ms: 1_000,
        stale_ms: 0,
        stale_if_error_ms: 60_000,
        negative_ms: 60_000,
        ..CacheSettings::default()
    };
    let cache = Cache::new(
        Spec {
            name: "answers",
            settings,
            load_timeout: PATIENCE * 2,
            weigh: |_| 8,
            abandons: true,
            keeps: |_| true,
            life: |_| 1.0,
            is_negative: ModelError::is_final,
        },
        Arc::new(SystemClock),
    );
    cache
        .get("k", |_| async { Ok::<u64, ModelError>(0) })
        .await
        .unwrap();
    tokio::time::sleep(Duration::from_secs(2)).await;
    let case = case.clone();
    let second = Arc::new(AtomicU32::new(0));
    let asked_second = Arc::clone(&second);
    let got = cache
        .get("k", move |loading| async move {
            let policy = Policy::new(Arc::new(SystemClock));
            let targets = [target("a"), target("b")];
            let _held = prepare(&case, &targets[0].guards);
            let outcome = policy
                .run(call(&case, loading.stale_at_hand), &targets, |what| {
                    asked_second.fetch_add(u32::from(*what == "b"), Relaxed);
                    answer(&case, what)
                })
                .await;
            match outcome.result {
                Ok((answer, _)) => Ok(answer),
                Err(Failure::Upstream(error)) => Err(error),
                Err(_) => Err(ModelError::Timeout(Duration::ZERO)),
            }
        })
        .await;
    assert_eq!(
        second.load(Relaxed),
        0,
        "an old answer comes before another model's"
    );
    match got {
        Ok((_, Source::StaleOnError(_))) => "served",
        Err(LoadError::Failed(_)) => "no: a final answer",
        _ => "?",
    }
}

#[tokio::test(start_paused = true)]
async fn the_order_matrix_is_what_the_documents_say() {
    let mut table = String::from(
        "| outcome | sent | breaker counts | retried here | requests charged | tokens set aside | limiter paused | pool shrinks | old answer | next model |\n|---|---|---|---|---|---|---|---|---|---|\n",
    );
    for (name, case) in cases() {
        table += &row(name, &case).await;
        table.push('\n');
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/resilience.md");
    let text = std::fs::read_to_string(path).unwrap();
    let (begin, end) = ("<!-- order matrix -->\n", "<!-- end -->");
    let from = text.find(begin).unwrap() + begin.len();
    let to = from + text[from..].find(end).unwrap();
    if std::env::var_os("BSM_UPDATE_DOCS").is_some() {
        let new = format!("{}{table}{}", &text[..from], &text[to..]);
        std::fs::write(path, new).unwrap();
        return;
    }
    assert_eq!(
        &text[from..to],
        table,
        "run with BSM_UPDATE_DOCS=1 and read what changed"
    );
}

#[test]
fn of_the_4xx_only_408_409_and_429_are_asked_again() {
    use crate::resilience::policy::Classify as _;
    for code in 400..=499u16 {
        for wish in [None, Some(true), Some(false)] {
            let wish = RetryHints {
                should_retry: wish,
                ..RetryHints::default()
            };
            let retries = ModelError::from_answer("a", code, "", wish).meaning().retry;
            let may = matches!(code, 408 | 409 | 429) && wish.should_retry != Some(false);
            assert_eq!(retries, may, "{code} {wish:?}");
        }
    }
}
