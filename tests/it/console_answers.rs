//! What a made-up engine answers to the questions of the console's screens, for pictures of them.

use bsm::engine::protocol::github::{
    Approval, ApprovalState, Delivery, DeliveryOutcome, PublicationState, PublicationView,
};
use bsm::engine::protocol::history::{AlertMark, Point, Trends};
use bsm::engine::protocol::memory::{
    MemoryKind, MemoryStats, PatternGroup, Patterns, Similar, SimilarHit,
};
use bsm::engine::protocol::query::{Answer, Query};
use bsm::engine::protocol::retention::Store;
use bsm::engine::protocol::snapshot::Snapshot;
use bsm::engine::protocol::storage::{Bound, Full, Part, Usage};
use bsm::resilience::breaker::BreakerState;
use bsm::telemetry::log_read::LogLine;
use bsm::workspace::Workspace;

use crate::impact::NOW_MS;

/// The answer of the engine of this name; `None`: the question is not asked by a picture.
pub fn answer(name: &str, query: &Query, snapshot: &Snapshot) -> Option<Answer> {
    let busy = name != "idle";
    Some(match query {
        Query::Workspace => {
            let built_in = Workspace::built_in();
            let events = &built_in.events.events;
            Answer::Workspace {
                agents: built_in.agents.iter().map(|a| (**a).clone()).collect(),
                events: events.iter().map(|(k, v)| (k.clone(), v.clone())).collect(),
                problems: built_in.problems.clone(),
            }
        }
        Query::Similar { .. } => Answer::Similar {
            found: Box::new(similar()),
        },
        Query::Patterns { .. } => Answer::Patterns {
            patterns: Box::new(if busy {
                patterns()
            } else {
                Patterns::default()
            }),
        },
        Query::MemoryStats => {
            let reviews = if busy { 1_204 } else { 0 };
            let stats = MemoryStats {
                reviews,
                decisions: reviews / 4,
                indexed: reviews + reviews / 4,
                ready: true,
                ..MemoryStats::default()
            };
            Answer::MemoryStats { stats }
        }
        Query::Logs { .. } => Answer::Logs { lines: lines(name) },
        Query::Alerts => Answer::Alerts {
            alerts: snapshot.alerts.clone(),
        },
        Query::Approvals { .. } => Answer::Approvals {
            approvals: busy.then(approval).into_iter().collect(),
        },
        Query::Deliveries { .. } => Answer::Deliveries {
            deliveries: if busy { deliveries() } else { Vec::new() },
        },
        Query::Outbox { .. } => Answer::Outbox {
            entries: busy.then(publication).into_iter().collect(),
        },
        Query::Storage => Answer::Storage {
            usage: Box::new(usage()),
        },
        Query::Trends { from_ms, to_ms, .. } => Answer::Trends {
            trends: Box::new(trends(name, *from_ms, *to_ms)),
        },
        _ => return None,
    })
}

fn similar() -> Similar {
    let hit = |score: f64, review: &str, code: &str, n: u32| SimilarHit {
        id: format!("job_{n}/security-agent"),
        score,
        overlap: n,
        union: 40,
        kind: MemoryKind::CodeReview,
        code: code.into(),
        review: review.into(),
        metadata: serde_json::Value::Null,
        created_at: NOW_MS - 86_400_000,
        run_id: Some(format!("job_{n}")),
    };
    Similar {
        hits: vec![
            hit(
                0.82,
                "block hard-coded credential",
                "password = load(\"db\")",
                33,
            ),
            hit(
                0.41,
                "request_changes the retry hides the error",
                "retry(5, charge)",
                16,
            ),
            hit(0.12, "approve", "assert charge(1) == 1", 5),
        ],
        total: 1_505,
        took_us: 2_300,
        ready: true,
    }
}

fn patterns() -> Patterns {
    let group = |by: &str, name: &str, total, rejections| PatternGroup {
        by: by.into(),
        name: name.into(),
        total,
        rejections,
    };
    Patterns {
        total: 301,
        rejections: 84,
        rate: 0.279,
        reasons: vec![
            ("secrets/private-key".into(), 31),
            ("SQL built from text".into(), 22),
            ("a dependency without a lock".into(), 9),
        ],
        groups: vec![
            group("repository", "acme/app", 190, 61),
            group("repository", "acme/web", 80, 20),
            group("author", "renovate", 44, 2),
        ],
    }
}

fn lines(name: &str) -> Vec<LogLine> {
    let line = |ago_s: i64, level: &str, text: &str, fields: &str| {
        let at = jiff::Timestamp::from_millisecond(NOW_MS - ago_s * 1_000);
        LogLine {
            at: at.unwrap_or_default().to_string(),
            level: level.into(),
            target: "bsm::engine".into(),
            message: text.into(),
            run: Some("job_1_k3f002".into()),
            correlation: Some("7f3c9a".into()),
            fields: fields.into(),
        }
    };
    let mut out = vec![
        line(42, "INFO", "run started", "event=pull_request.opened"),
        line(
            41,
            "INFO",
            "step ended",
            "agent=governance verdict=approve ms=412",
        ),
    ];
    if name == "outage" {
        out.extend([
            line(
                40,
                "WARN",
                "attempt failed",
                "provider=openai outcome=http_503 attempt=1",
            ),
            line(
                39,
                "WARN",
                "breaker opened",
                "provider=openai cause=\"5 failures in a row\"",
            ),
            line(
                38,
                "ERROR",
                "no model answered",
                "agent=security-agent tried=3",
            ),
        ]);
    } else {
        out.push(line(
            38,
            "INFO",
            "run ended",
            "action=approve_and_merge ms=2000",
        ));
    }
    out
}

fn approval() -> Approval {
    Approval {
        id: "apr_1".into(),
        action: "approve_and_merge".into(),
        subject: "acme/app#482".into(),
        what: "publish the approval".into(),
        approvers: vec!["maintainers".into()],
        created_ms: NOW_MS - 190_000,
        expires_ms: NOW_MS + 3_410_000,
        state: ApprovalState::Waiting,
        by: None,
        reason: None,
        decided_ms: None,
    }
}

fn deliveries() -> Vec<Delivery> {
    let delivery = |ago_s: i64, event: &str, place: &str, outcome, note: &str| Delivery {
        id: format!("d-{ago_s}"),
        at_ms: NOW_MS - ago_s * 1_000,
        event: event.into(),
        place: place.into(),
        outcome,
        note: note.into(),
        run: None,
        repeats: 0,
    };
    vec![
        delivery(
            12,
            "pull_request.opened",
            "acme/app#482",
            DeliveryOutcome::Run,
            "",
        ),
        delivery(
            70,
            "push",
            "acme/web",
            DeliveryOutcome::Unmapped,
            "no rule for the event",
        ),
        delivery(
            95,
            "ping",
            "acme/docs",
            DeliveryOutcome::Skipped,
            "nothing to do",
        ),
    ]
}

fn publication() -> PublicationView {
    PublicationView {
        id: 1,
        run: "job_1_k3f002".into(),
        place: "acme/app#481".into(),
        kind: "check".into(),
        says: "success: rules and models approve".into(),
        publication: None,
        state: PublicationState::Waiting,
        attempts: 2,
        note: "502, again in 8 s".into(),
        created_ms: NOW_MS - 60_000,
        next_ms: NOW_MS + 8_000,
    }
}

fn usage() -> Usage {
    let part = |name: &str, bytes: u64, items: Option<u64>, full| Part {
        name: name.into(),
        bytes,
        items,
        oldest_ms: Some(NOW_MS - 20 * 86_400_000),
        bound: Some(Bound {
            store: Store::Runs,
            days: Some(90),
            bytes: None,
            items: Some(10_000),
            settings: vec!["engine.runsKept".into()],
            first_to_go: "the oldest".into(),
        }),
        next: None,
        bytes_per_day: Some(bytes as f64 / 20.0),
        items_per_day: None,
        full,
    };
    Usage {
        state: "/home/usr/.local/state/bsm/acme".into(),
        reports: "/home/usr/acme/reports".into(),
        at_ms: NOW_MS - 9_000,
        total_bytes: 48_234_496,
        disk_free_bytes: Some(61_203_283_968),
        disk_full_days: Some(412.0),
        files: vec![
            part("journal", 31_457_280, None, Full::ByAge),
            part("logs", 12_582_912, Some(7), Full::Days(33.0)),
        ],
        journal: vec![
            part("runs", 20_971_520, Some(4_318), Full::Days(52.0)),
            part("memory", 6_291_456, Some(1_505), Full::ByAge),
        ],
        problems: Vec::new(),
    }
}

fn trends(name: &str, from_ms: i64, to_ms: i64) -> Trends {
    const POINTS: i64 = 100;
    let busy = name != "idle";
    let point = |n: i64| {
        let down = name == "outage" && n >= 86;
        let wave = (n * 13 % 17) as f64 / 17.0;
        Point {
            at_ms: from_ms + n * (to_ms - from_ms) / POINTS,
            p50_us: busy.then_some(110 + (n as u64 * 37) % 60),
            p95_us: busy.then_some(160),
            p99_us: busy.then_some(190 + (n as u64 * 91) % 90),
            calls: if busy { 8.0 + 4.0 * wave } else { 0.0 },
            hit_rate: busy.then_some(0.78 + wave / 20.0),
            breakers: vec![Some(if down {
                BreakerState::Open
            } else {
                BreakerState::Closed
            })],
            pools: vec![if down {
                1.0
            } else if busy {
                0.2 + wave / 3.0
            } else {
                0.0
            }],
            outcomes: Some(match (busy, down) {
                (false, _) => [0.0; 5],
                (true, false) => [8.0 + 4.0 * wave, 0.1, 0.0, 0.0, 0.0],
                (true, true) => [3.0, 0.4, 1.0, 8.0, 22.0],
            }),
            answered_p50_ms: busy.then_some(if down { 1_200 } else { 930 }),
            answered_p99_ms: busy.then_some(if down { 30_100 } else { 1_900 }),
            ..Point::default()
        }
    };
    let alerts = if name == "outage" {
        vec![AlertMark {
            at_ms: to_ms - 41_000,
            code: "breaker-open".into(),
            text: "openai breaker open: 5 × 503 in 8 s".into(),
        }]
    } else {
        Vec::new()
    };
    Trends {
        from_ms,
        to_ms,
        points: (0..POINTS).map(point).collect(),
        breakers: vec!["openai".into()],
        pools: vec!["openai".into()],
        marks: Vec::new(),
        alerts,
    }
}
