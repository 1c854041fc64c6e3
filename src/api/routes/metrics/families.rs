//! The families of metrics that are told of a snapshot, in the order in which they are written.
//!
//! Names follow Prometheus' and OpenTelemetry's conventions; labels are providers, caches, pools and
//! states, all of which the workspace bounds.

use super::page::{Page, Samples};
use crate::engine::protocol::health::Level;
use crate::engine::protocol::snapshot::Snapshot;
use crate::resilience::breaker::BreakerState;

/// Writes every family of a snapshot.
pub(super) fn write(page: &mut Page, snapshot: &Snapshot) {
    for family in FAMILIES {
        let mut samples = page.family(family.name, family.kind, family.help);
        (family.write)(snapshot, &mut samples);
    }
}

/// One family, and what writes its samples.
struct Family {
    name: &'static str,
    kind: &'static str,
    help: &'static str,
    write: Write,
}

type Write = fn(&Snapshot, &mut Samples<'_>);

const fn family(
    kind: &'static str,
    name: &'static str,
    help: &'static str,
    write: Write,
) -> Family {
    Family {
        name,
        kind,
        help,
        write,
    }
}

/// A value that goes up and down.
const fn gauge(name: &'static str, help: &'static str, write: Write) -> Family {
    family("gauge", name, help, write)
}

/// A value that only grows.
const fn counter(name: &'static str, help: &'static str, write: Write) -> Family {
    family("counter", name, help, write)
}

/// Quantiles of a time, seconds.
const fn summary(name: &'static str, help: &'static str, write: Write) -> Family {
    family("summary", name, help, write)
}

const TARGET: &str = "What gateway overhead should stay under.";

static FAMILIES: &[Family] = &[
    // The whole.
    gauge("bsm_health", "0 pass, 1 warn, 2 fail.", |s, to| {
        to.one(level(s.health.level()));
    }),
    gauge(
        "bsm_health_check",
        "Every check of health: 0 pass, 1 warn, 2 fail.",
        |s, to| to.each("check", &s.checks, |c| (&c.name, level(c.level))),
    ),
    gauge(
        "bsm_availability_ratio",
        "Share of the last hour's runs that ended with full evidence; absent while no run has ended.",
        |s, to| {
            if let Some(percent) = s.availability {
                to.one(percent / 100.0);
            }
        },
    ),
    gauge(
        "bsm_start_time_seconds",
        "When the engine started, Unix time.",
        |s, to| {
            to.one(s.started_ms as f64 / 1e3);
        },
    ),
    // Times.
    summary(
        "bsm_added_latency_seconds",
        "Total minus the provider's time, a question, over five minutes.",
        |s, to| to.quantiles(&s.added_latency),
    ),
    summary(
        "gen_ai_client_operation_duration_seconds",
        "Time inside providers, an attempt, over five minutes.",
        |s, to| to.quantiles(&s.call_latency),
    ),
    summary(
        "gen_ai_client_operation_time_to_first_chunk_seconds",
        "Until the first piece of an answer, over five minutes.",
        |s, to| to.quantiles(&s.first_token),
    ),
    summary(
        "gen_ai_workflow_duration_seconds",
        "A run from its start to its decision, over five minutes.",
        |s, to| to.quantiles(&s.run_latency),
    ),
    // Calls and their cost.
    gauge("bsm_calls_per_second", "Calls sent to models.", |s, to| {
        to.one(s.calls.now);
    }),
    counter(
        "bsm_calls_failed_total",
        "Attempts at models that failed.",
        |s, to| to.one(s.calls_failed as f64),
    ),
    counter("bsm_tokens_total", "Tokens read and written.", |s, to| {
        to.one(s.tokens as f64);
    }),
    counter(
        "bsm_cost_usd_total",
        "US dollars since start, by the table's prices.",
        |s, to| to.one(s.cost_usd),
    ),
    gauge(
        "bsm_cost_today_usd",
        "US dollars since midnight UTC.",
        |s, to| to.one(s.money.today_micro_usd as f64 / 1e6),
    ),
    // Runs and decisions.
    gauge("bsm_runs", "Runs by state.", |s, to| {
        let states = [("running", s.counts.running), ("queued", s.counts.queued)];
        to.each("state", &states, |(state, count)| {
            (state, f64::from(*count))
        });
    }),
    counter("bsm_runs_finished_total", "Runs that ended.", |s, to| {
        to.one(s.counts.finished as f64);
    }),
    counter(
        "bsm_runs_failed_total",
        "Runs that were set aside because the engine stopped twice while they were active.",
        |s, to| to.one(s.counts.failed as f64),
    ),
    counter(
        "bsm_runs_undecided_total",
        "Runs that ended undecided: evidence is missing, or they failed.",
        |s, to| to.one(s.counts.undecided as f64),
    ),
    counter(
        "bsm_decisions_total",
        "Decisions by what they were and what they rest on.",
        write_decisions,
    ),
    counter(
        "bsm_runs_refused_total",
        "Runs refused because the queue was full or the engine drained.",
        |s, to| to.one(s.losses.runs_refused as f64),
    ),
    gauge("bsm_drained", "1 while no runs are taken.", |s, to| {
        to.one(one_if(s.drained));
    }),
    // Webhooks, publications and pending approvals.
    counter(
        "bsm_webhooks_total",
        "Webhooks with a good signature, by what became of them.",
        write_webhooks,
    ),
    gauge(
        "bsm_outbox",
        "Publications at GitHub, by their state.",
        write_outbox,
    ),
    gauge("bsm_approvals_waiting", "Pending approvals.", |s, to| {
        to.one(f64::from(s.github.approvals));
    }),
    // What figures are held against, so that no rule has to repeat it.
    gauge(
        "bsm_day_budget_usd",
        "What a day may cost; 0: no bound.",
        |s, to| to.one(s.money.day_budget_usd),
    ),
    gauge(
        "bsm_cost_reserved_usd",
        "Set aside for calls under way.",
        |s, to| to.one(s.money.reserved_micro_usd as f64 / 1e6),
    ),
    gauge("bsm_target_p50_seconds", TARGET, |s, to| {
        to.one(s.targets.p50_ms / 1e3);
    }),
    gauge("bsm_target_p99_seconds", TARGET, |s, to| {
        to.one(s.targets.p99_ms / 1e3);
    }),
    gauge(
        "bsm_target_cache_hit_ratio",
        "What the caches' hit rate should stay over.",
        |s, to| to.one(s.targets.cache_hit_rate),
    ),
    // Breakers and providers.
    gauge(
        "bsm_breaker_state",
        "1 for the state that a provider's breaker is in.",
        write_breaker_states,
    ),
    counter(
        "bsm_breaker_rejections_total",
        "Calls that an open breaker refused.",
        |s, to| to.each("provider", &s.breakers, |b| (&b.name, b.rejections as f64)),
    ),
    counter("bsm_breaker_trips_total", "Times it opened.", |s, to| {
        to.each("provider", &s.breakers, |b| (&b.name, b.trips as f64));
    }),
    gauge(
        "bsm_provider_ready",
        "1 when a provider can be asked.",
        |s, to| to.each("provider", &s.providers, |p| (&p.name, one_if(p.ready))),
    ),
    // Pools.
    gauge("bsm_pool_in_use", "Calls in a pool.", |s, to| {
        to.each("pool", &s.pools, |p| (&p.name, f64::from(p.in_use)));
    }),
    gauge(
        "bsm_pool_limit",
        "Calls that a pool lets through at once.",
        |s, to| to.each("pool", &s.pools, |p| (&p.name, f64::from(p.limit))),
    ),
    gauge(
        "bsm_pool_queued",
        "Calls that wait for a place.",
        |s, to| to.each("pool", &s.pools, |p| (&p.name, f64::from(p.queued))),
    ),
    counter(
        "bsm_pool_rejected_total",
        "Calls refused because the queue was full.",
        |s, to| to.each("pool", &s.pools, |p| (&p.name, p.rejected as f64)),
    ),
    // Rate limits.
    counter(
        "bsm_limiter_delayed_total",
        "Calls that a rate limit delayed.",
        |s, to| to.each("provider", &s.limiters, |l| (&l.name, l.delayed as f64)),
    ),
    counter(
        "bsm_limiter_rejected_total",
        "Calls that a rate limit refused.",
        |s, to| to.each("provider", &s.limiters, |l| (&l.name, l.rejected as f64)),
    ),
    // Caches.
    counter(
        "bsm_cache_hits_total",
        "Answered fresh from a cache.",
        |s, to| to.each("cache", &s.caches, |c| (&c.name, c.hits as f64)),
    ),
    counter(
        "bsm_cache_misses_total",
        "Started a load and waited.",
        |s, to| to.each("cache", &s.caches, |c| (&c.name, c.misses as f64)),
    ),
    counter(
        "bsm_cache_shared_total",
        "Joined a running load: coalesced loads.",
        |s, to| {
            to.each("cache", &s.caches, |c| {
                (&c.name, c.stampede_prevented as f64)
            });
        },
    ),
    counter(
        "bsm_cache_stale_total",
        "Answered with a marked stale value.",
        |s, to| {
            to.each("cache", &s.caches, |c| {
                (&c.name, (c.stale_served + c.stale_on_error) as f64)
            });
        },
    ),
    gauge("bsm_cache_entries", "Values held.", |s, to| {
        to.each("cache", &s.caches, |c| (&c.name, c.entries as f64));
    }),
    // The process, and what it lost.
    gauge(
        "process_resident_memory_bytes",
        "Resident memory.",
        |s, to| to.one(f64::from(s.resources.memory_mb) * 1e6),
    ),
    gauge("bsm_cpu_ratio", "Share of one processor.", |s, to| {
        to.one(f64::from(s.resources.cpu_percent) / 100.0);
    }),
    counter(
        "bsm_journal_retries_total",
        "Journal writes that failed and were tried again.",
        |s, to| to.one(s.losses.journal_retries as f64),
    ),
    counter(
        "bsm_log_lines_lost_total",
        "Log lines that could not be written.",
        |s, to| to.one(s.losses.log_lines as f64),
    ),
    counter(
        "bsm_audit_lines_lost_total",
        "Lines of the audit trail that could not be written.",
        |s, to| to.one(s.losses.audit_lines as f64),
    ),
    gauge("bsm_build_info", "Which program this is.", |_, to| {
        to.labelled(&[("version", env!("CARGO_PKG_VERSION"))], 1.0);
    }),
];

fn one_if(holds: bool) -> f64 {
    f64::from(u8::from(holds))
}

fn level(level: Level) -> f64 {
    match level {
        Level::Pass => 0.0,
        Level::Warn => 1.0,
        Level::Fail => 2.0,
    }
}

fn write_decisions(s: &Snapshot, to: &mut Samples<'_>) {
    for d in &s.decisions {
        let labels = [
            ("action", d.action.as_str()),
            ("evidence", d.evidence.as_str()),
        ];
        to.labelled(&labels, d.count as f64);
    }
}

fn write_webhooks(s: &Snapshot, to: &mut Samples<'_>) {
    let g = &s.github;
    let outcomes = [
        ("run", g.runs),
        ("repeated", g.repeated),
        ("skipped", g.skipped),
        ("unmapped", g.unmapped),
        ("refused", g.refused),
        ("comment", g.comments),
    ];
    to.each("outcome", &outcomes, |(outcome, count)| {
        (outcome, *count as f64)
    });
}

fn write_outbox(s: &Snapshot, to: &mut Samples<'_>) {
    let outbox = &s.github.outbox;
    let states = [
        ("waiting", outbox.waiting),
        ("held", outbox.held),
        ("dropped", outbox.dropped),
    ];
    to.each("state", &states, |(state, count)| {
        (state, f64::from(*count))
    });
}

fn write_breaker_states(s: &Snapshot, to: &mut Samples<'_>) {
    for b in &s.breakers {
        for state in [
            BreakerState::Closed,
            BreakerState::Open,
            BreakerState::HalfOpen,
            BreakerState::Isolated,
            BreakerState::Disabled,
        ] {
            let labels = [("provider", b.name.as_str()), ("state", state.as_str())];
            to.labelled(&labels, one_if(b.state == state));
        }
    }
}
