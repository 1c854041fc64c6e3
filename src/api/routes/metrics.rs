//! What a monitor collects: the picture as Prometheus text, and as JSON.
//!
//! Names follow Prometheus' and OpenTelemetry's conventions; labels are providers, caches, pools and
//! states, all of which the workspace bounds.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use axum::Json;
use axum::extract::State;
use serde_json::json;

use crate::api::catalog::{self, Routes, doc, list, number, object};
use crate::api::extract::Reader;
use crate::api::state::Api;
use crate::engine::protocol::snapshot::{Health, Snapshot};
use crate::resilience::breaker::BreakerState;
use crate::telemetry::latency::LatencyStats;

pub(super) fn routes() -> Routes {
    Routes::new()
        .get(
            "/metrics",
            text,
            doc("Figures as Prometheus text.").reader().sends("text/plain"),
        )
        .get(
            "/api/metrics",
            json,
            doc("The picture that the console draws.").reader().answers(
                200,
                json!({"version": number(), "health": catalog::text(), "workspace": object(), "runs": list()}),
            ),
        )
}

async fn json(_: Reader, State(api): State<Arc<Api>>) -> Json<Snapshot> {
    let snapshot = api.operator.snapshots().borrow().clone();
    Json((*snapshot).clone())
}

async fn text(
    _: Reader,
    State(api): State<Arc<Api>>,
) -> ([(&'static str, &'static str); 1], String) {
    let snapshot = api.operator.snapshots().borrow().clone();
    let mut page = Page(render(&snapshot));
    page.one(
        "bsm_webhooks_unsigned_total",
        "counter",
        "Webhooks whose signature was missing or wrong.",
        api.unsigned.load(Relaxed) as f64,
    );
    (
        [("content-type", "text/plain; version=0.0.4; charset=utf-8")],
        page.0,
    )
}

/// One family: help and type once, then its samples.
struct Page(String);

type Labels<'a> = &'a [(&'a str, &'a str)];

impl Page {
    fn family(&mut self, name: &str, kind: &str, help: &str) {
        // Writing into a String cannot fail.
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn sample(&mut self, name: &str, labels: Labels<'_>, value: f64) {
        self.0.push_str(name);
        for (n, (label, text)) in labels.iter().enumerate() {
            let open = if n == 0 { '{' } else { ',' };
            let _ = write!(self.0, "{open}{label}=\"{}\"", escaped(text));
        }
        if !labels.is_empty() {
            self.0.push('}');
        }
        let _ = writeln!(self.0, " {value}");
    }

    fn one(&mut self, name: &str, kind: &str, help: &str, value: f64) {
        self.family(name, kind, help);
        self.sample(name, &[], value);
    }

    fn quantiles(&mut self, name: &str, help: &str, stats: &LatencyStats) {
        self.family(name, "summary", help);
        for (quantile, us) in [
            ("0.5", stats.p50_us),
            ("0.95", stats.p95_us),
            ("0.99", stats.p99_us),
        ] {
            if let Some(us) = us {
                self.sample(name, &[("quantile", quantile)], us as f64 / 1e6);
            }
        }
    }

    fn each<T>(
        &mut self,
        (name, kind, help): (&str, &str, &str),
        label: &str,
        all: &[T],
        of: impl Fn(&T) -> (String, f64),
    ) {
        self.family(name, kind, help);
        for item in all {
            let (text, value) = of(item);
            self.sample(name, &[(label, &text)], value);
        }
    }
}

fn escaped(text: &str) -> String {
    let clean = crate::text::clean_line(text, 120);
    clean.replace('\\', "\\\\").replace('"', "\\\"")
}

pub(super) fn render(s: &Snapshot) -> String {
    let mut page = Page(String::with_capacity(16 << 10));
    let health = match s.health {
        Health::Healthy => 0.0,
        Health::Degraded => 1.0,
        Health::Unhealthy => 2.0,
    };
    page.one(
        "bsm_health",
        "gauge",
        "0 healthy, 1 degraded, 2 unhealthy.",
        health,
    );
    page.one(
        "bsm_availability_ratio",
        "gauge",
        "Available share of the time since start.",
        s.availability / 100.0,
    );
    page.one(
        "bsm_start_time_seconds",
        "gauge",
        "When the engine started, Unix time.",
        s.started_ms as f64 / 1e3,
    );
    page.quantiles(
        "bsm_added_latency_seconds",
        "Total minus the provider's time, a question, over five minutes.",
        &s.added_latency,
    );
    page.quantiles(
        "gen_ai_client_operation_duration_seconds",
        "Time inside providers, an attempt, over five minutes.",
        &s.call_latency,
    );
    page.quantiles(
        "gen_ai_client_operation_time_to_first_chunk_seconds",
        "Until the first piece of an answer, over five minutes.",
        &s.first_token,
    );
    page.quantiles(
        "gen_ai_workflow_duration_seconds",
        "A run from its start to its decision, over five minutes.",
        &s.run_latency,
    );
    page.one(
        "bsm_calls_per_second",
        "gauge",
        "Calls sent to models.",
        s.calls.now,
    );
    page.one(
        "bsm_calls_failed_total",
        "counter",
        "Attempts at models that failed.",
        s.calls_failed as f64,
    );
    page.one(
        "bsm_tokens_total",
        "counter",
        "Tokens read and written.",
        s.tokens as f64,
    );
    page.one(
        "bsm_cost_usd_total",
        "counter",
        "US dollars since start, by the table's prices.",
        s.cost_usd,
    );
    page.one(
        "bsm_cost_today_usd",
        "gauge",
        "US dollars since midnight UTC.",
        s.money.today_micro_usd as f64 / 1e6,
    );
    page.family("bsm_runs", "gauge", "Runs by state.");
    for (state, count) in [("running", s.counts.running), ("queued", s.counts.queued)] {
        page.sample("bsm_runs", &[("state", state)], f64::from(count));
    }
    page.one(
        "bsm_runs_finished_total",
        "counter",
        "Runs that ended.",
        s.counts.finished as f64,
    );
    page.one(
        "bsm_runs_failed_total",
        "counter",
        "Runs that were set aside because the engine stopped twice while they were active.",
        s.counts.failed as f64,
    );
    page.family(
        "bsm_decisions_total",
        "counter",
        "Decisions by what they were and what they rest on.",
    );
    for d in &s.decisions {
        let labels = [("action", d.action.word()), ("evidence", d.evidence.word())];
        page.sample("bsm_decisions_total", &labels, d.count as f64);
    }
    page.one(
        "bsm_runs_refused_total",
        "counter",
        "Runs refused because the queue was full or the engine drained.",
        s.losses.runs_refused as f64,
    );
    page.one(
        "bsm_drained",
        "gauge",
        "1 while no runs are taken.",
        f64::from(u8::from(s.drained)),
    );
    github(&mut page, s);
    bounds(&mut page, s);
    page.family(
        "bsm_breaker_state",
        "gauge",
        "1 for the state that a provider's breaker is in.",
    );
    for b in &s.breakers {
        for state in [
            BreakerState::Closed,
            BreakerState::Open,
            BreakerState::HalfOpen,
            BreakerState::Isolated,
            BreakerState::Disabled,
        ] {
            let labels = [("provider", b.name.as_str()), ("state", state.word())];
            page.sample(
                "bsm_breaker_state",
                &labels,
                f64::from(u8::from(b.state == state)),
            );
        }
    }
    page.each(
        (
            "bsm_breaker_rejections_total",
            "counter",
            "Calls that an open breaker refused.",
        ),
        "provider",
        &s.breakers,
        |b| (b.name.clone(), b.rejections as f64),
    );
    page.each(
        ("bsm_breaker_trips_total", "counter", "Times it opened."),
        "provider",
        &s.breakers,
        |b| (b.name.clone(), b.trips as f64),
    );
    page.each(
        (
            "bsm_provider_ready",
            "gauge",
            "1 when a provider can be asked.",
        ),
        "provider",
        &s.providers,
        |p| (p.name.clone(), f64::from(u8::from(p.ready))),
    );
    page.each(
        ("bsm_pool_in_use", "gauge", "Calls in a pool."),
        "pool",
        &s.pools,
        |p| (p.name.clone(), f64::from(p.in_use)),
    );
    page.each(
        (
            "bsm_pool_limit",
            "gauge",
            "Calls that a pool lets through at once.",
        ),
        "pool",
        &s.pools,
        |p| (p.name.clone(), f64::from(p.limit)),
    );
    page.each(
        ("bsm_pool_queued", "gauge", "Calls that wait for a place."),
        "pool",
        &s.pools,
        |p| (p.name.clone(), f64::from(p.queued)),
    );
    page.each(
        (
            "bsm_pool_rejected_total",
            "counter",
            "Calls refused because the queue was full.",
        ),
        "pool",
        &s.pools,
        |p| (p.name.clone(), p.rejected as f64),
    );
    page.each(
        (
            "bsm_limiter_delayed_total",
            "counter",
            "Calls that a rate limit delayed.",
        ),
        "provider",
        &s.limiters,
        |l| (l.name.clone(), l.delayed as f64),
    );
    page.each(
        (
            "bsm_limiter_rejected_total",
            "counter",
            "Calls that a rate limit refused.",
        ),
        "provider",
        &s.limiters,
        |l| (l.name.clone(), l.rejected as f64),
    );
    page.each(
        (
            "bsm_cache_hits_total",
            "counter",
            "Answered fresh from a cache.",
        ),
        "cache",
        &s.caches,
        |c| (c.name.clone(), c.hits as f64),
    );
    page.each(
        (
            "bsm_cache_misses_total",
            "counter",
            "Started a load and waited.",
        ),
        "cache",
        &s.caches,
        |c| (c.name.clone(), c.misses as f64),
    );
    page.each(
        (
            "bsm_cache_shared_total",
            "counter",
            "Joined a running load: stampedes prevented.",
        ),
        "cache",
        &s.caches,
        |c| (c.name.clone(), c.stampede_prevented as f64),
    );
    page.each(
        (
            "bsm_cache_stale_total",
            "counter",
            "Answered with a marked stale value.",
        ),
        "cache",
        &s.caches,
        |c| (c.name.clone(), (c.stale_served + c.stale_on_error) as f64),
    );
    page.each(
        ("bsm_cache_entries", "gauge", "Values held."),
        "cache",
        &s.caches,
        |c| (c.name.clone(), c.entries as f64),
    );
    page.one(
        "process_resident_memory_bytes",
        "gauge",
        "Resident memory.",
        f64::from(s.resources.memory_mb) * 1e6,
    );
    page.one(
        "bsm_cpu_ratio",
        "gauge",
        "Share of one processor.",
        f64::from(s.resources.cpu_percent) / 100.0,
    );
    page.one(
        "bsm_journal_retries_total",
        "counter",
        "Journal writes that failed and were tried again.",
        s.losses.journal_retries as f64,
    );
    page.one(
        "bsm_log_lines_lost_total",
        "counter",
        "Log lines that could not be written.",
        s.losses.log_lines as f64,
    );
    page.one(
        "bsm_audit_lines_lost_total",
        "counter",
        "Lines of the audit trail that could not be written.",
        s.losses.audit_lines as f64,
    );
    page.family("bsm_build_info", "gauge", "Which program this is.");
    let version = [("version", env!("CARGO_PKG_VERSION"))];
    page.sample("bsm_build_info", &version, 1.0);
    page.0
}

/// Webhooks, what is left at GitHub, and what waits for a person.
fn github(page: &mut Page, s: &Snapshot) {
    let g = &s.github;
    page.each(
        (
            "bsm_webhooks_total",
            "counter",
            "Webhooks with a good signature, by what became of them.",
        ),
        "outcome",
        &[
            ("run", g.runs),
            ("repeated", g.repeated),
            ("skipped", g.skipped),
            ("unmapped", g.unmapped),
            ("refused", g.refused),
        ],
        |(outcome, count)| ((*outcome).to_owned(), *count as f64),
    );
    page.each(
        (
            "bsm_outbox",
            "gauge",
            "What is to be left at GitHub, by where it stands.",
        ),
        "state",
        &[
            ("waiting", g.outbox.waiting),
            ("held", g.outbox.held),
            ("dropped", g.outbox.dropped),
        ],
        |(state, count)| ((*state).to_owned(), f64::from(*count)),
    );
    page.one(
        "bsm_approvals_waiting",
        "gauge",
        "Actions that wait for somebody's word.",
        f64::from(g.approvals),
    );
}

/// What figures are held against, so that no rule has to repeat it.
fn bounds(page: &mut Page, s: &Snapshot) {
    page.one(
        "bsm_day_budget_usd",
        "gauge",
        "What a day may cost; 0: no bound.",
        s.money.day_budget_usd,
    );
    page.one(
        "bsm_cost_reserved_usd",
        "gauge",
        "Set aside for calls under way.",
        s.money.reserved_micro_usd as f64 / 1e6,
    );
    for (name, ms) in [
        ("bsm_target_p50_seconds", s.targets.p50_ms),
        ("bsm_target_p99_seconds", s.targets.p99_ms),
    ] {
        page.one(
            name,
            "gauge",
            "What added latency should stay under.",
            ms / 1e3,
        );
    }
    page.one(
        "bsm_target_cache_hit_ratio",
        "gauge",
        "What the caches' hit rate should stay over.",
        s.targets.cache_hit_rate,
    );
}
