//! Why is it so? Ranked sentences from the picture and the newest calls; nothing in them is guessed.
//!
//! Why a pure function: the console, the command line and later the API give the same answer, and a test
//! can hold every figure still.

use std::collections::BTreeMap;

use crate::cache::CacheStats;
use crate::engine::protocol::call::CallView;
use crate::engine::protocol::run::{RunResult, Step, StepStatus};
use crate::engine::protocol::snapshot::{Health, Snapshot};
use crate::engine::protocol::why::{About, Help, Why};
use crate::resilience::breaker::{BreakerState, BreakerStats};
use crate::resilience::bulkhead::PoolStats;
use crate::text::clean_line;

/// Explains `about`; `None` when there is no such thing. `calls` are the newest attempts, newest first;
/// `run` is the run where the question is about one.
pub fn explain(
    about: &About,
    snapshot: &Snapshot,
    calls: &[CallView],
    run: Option<&RunResult>,
    now_ms: i64,
) -> Option<Why> {
    let seen = Seen {
        snapshot,
        calls,
        now_ms,
    };
    match about {
        About::Health => Some(seen.health()),
        About::Provider { name } => {
            let breaker = snapshot.breakers.iter().find(|b| b.name == *name)?;
            Some(seen.provider(breaker))
        }
        About::Pool { name } => snapshot
            .pools
            .iter()
            .find(|p| p.name == *name)
            .map(|p| seen.pool(p)),
        About::Cache { name } => snapshot
            .caches
            .iter()
            .find(|c| c.name == *name)
            .map(|c| seen.cache(c)),
        About::Run { .. } => run.map(|r| seen.run(r)),
        About::Latency => Some(seen.latency()),
    }
}

struct Seen<'a> {
    snapshot: &'a Snapshot,
    calls: &'a [CallView],
    now_ms: i64,
}

fn help(action: &str, why: impl Into<String>) -> Help {
    Help {
        action: action.to_owned(),
        why: why.into(),
    }
}

fn runbook(page: &str) -> Option<String> {
    Some(format!("docs/runbooks/{page}.md"))
}

/// `5 × http_529, 2 × timeout`, most frequent first.
fn tally<'a>(outcomes: impl Iterator<Item = &'a str>) -> String {
    let mut counts: BTreeMap<&str, u32> = BTreeMap::new();
    for outcome in outcomes {
        *counts.entry(outcome).or_default() += 1;
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(name, n)| (std::cmp::Reverse(*n), *name));
    let parts: Vec<String> = counts
        .iter()
        .take(4)
        .map(|(name, n)| format!("{n} × {}", clean_line(name, 40)))
        .collect();
    parts.join(", ")
}

/// `0.9 s`, `41 s`, `12 min`, `3 h`.
fn ago(ms: i64) -> String {
    match ms.max(0) / 1_000 {
        s if s < 10 => format!("{:.1} s", ms.max(0) as f64 / 1_000.0),
        s if s < 120 => format!("{s} s"),
        s if s < 7_200 => format!("{} min", s / 60),
        s => format!("{} h", s / 3_600),
    }
}

fn median(mut values: Vec<u64>) -> Option<u64> {
    values.sort_unstable();
    (!values.is_empty()).then(|| values[values.len() / 2])
}

impl Seen<'_> {
    fn health(&self) -> Why {
        let s = self.snapshot;
        let bad = |b: &&BreakerStats| {
            matches!(
                b.state,
                BreakerState::Open | BreakerState::HalfOpen | BreakerState::Isolated
            )
        };
        if let Some(worst) = s
            .breakers
            .iter()
            .filter(bad)
            .max_by_key(|b| (b.state == BreakerState::Open, b.rejections, b.trips))
        {
            let mut why = self.provider(worst);
            let others: Vec<&str> = s
                .reasons
                .iter()
                .map(String::as_str)
                .filter(|r| !r.starts_with(worst.name.as_str()))
                .collect();
            if !others.is_empty() {
                why.because.push(format!("Also: {}.", others.join("; ")));
            }
            return why;
        }
        let mut why = Why {
            title: match s.health {
                Health::Healthy => "All is well".into(),
                Health::Degraded => "Degraded".into(),
                Health::Unhealthy => "Unhealthy".into(),
            },
            because: s.reasons.iter().map(|r| format!("{r}.")).collect(),
            helps: Vec::new(),
            runbook: None,
        };
        if s.losses.journal_retries > 0 && s.health == Health::Unhealthy {
            why.because.push(format!(
                "Journal writes were tried again {} times; free disk space, work waits and nothing acknowledged is lost.",
                s.losses.journal_retries
            ));
            why.runbook = runbook("journal");
        } else if s.workspace.kept_last_good || s.workspace.errors > 0 {
            why.helps.push(help(
                "agents",
                "the files, lines and columns that are wrong",
            ));
            why.helps
                .push(help("reload", "read the workspace again after the edit"));
            why.runbook = runbook("workspace");
        }
        if s.drained {
            why.helps.push(help("drain", "take runs again"));
        }
        if why.because.is_empty() {
            let ready = s.ready_providers();
            why.because.push(if ready.is_empty() && !s.mode.simulated {
                "No provider can be asked: rules decide alone, and that is enough for a decision."
                    .into()
            } else {
                format!(
                    "{} of the last {} calls were answered; {} callers wait for a place in a pool.",
                    self.calls.iter().filter(|c| !c.failed()).count(),
                    self.calls.len(),
                    s.pools.iter().map(|p| p.queued).sum::<u32>()
                )
            });
        }
        why
    }

    fn of<'a>(&'a self, provider: &'a str) -> impl Iterator<Item = &'a CallView> {
        self.calls.iter().filter(move |c| c.provider == provider)
    }

    fn provider(&self, b: &BreakerStats) -> Why {
        let unasked = self.snapshot.providers.iter().find(|p| p.name == b.name);
        if let Some(provider) = unasked.filter(|p| !p.ready && b.state == BreakerState::Closed) {
            let reason = provider.reason.as_deref().unwrap_or("it cannot be asked");
            return Why {
                title: format!("{} is not in use", b.name),
                because: vec![format!("{}.", clean_line(reason, 200))],
                helps: Vec::new(),
                runbook: None,
            };
        }
        let mut because = Vec::new();
        let last_open = b
            .transitions
            .iter()
            .rev()
            .find(|t| t.to == BreakerState::Open);
        let since = last_open.map_or(b.since_ms, |t| t.at_ms);
        let state = match b.state {
            BreakerState::Closed => "closed",
            BreakerState::Open => "open",
            BreakerState::HalfOpen => "on trial",
            BreakerState::Isolated => "isolated",
            BreakerState::Disabled => "not watched",
        };
        let lasting = ago(self.now_ms - b.since_ms);
        let title = format!("{} {state} for {lasting}", b.name);
        let down = matches!(b.state, BreakerState::Open | BreakerState::HalfOpen);
        if let Some(t) = last_open.filter(|_| down) {
            because.push(format!(
                "It opened because of {}.",
                clean_line(&t.cause, 160)
            ));
        } else if let Some(t) = b.transitions.last() {
            because.push(format!("Last change: {}.", clean_line(&t.cause, 160)));
        }
        // What failed shortly before it opened, and since.
        let window_ms = 5 * 60_000;
        let from = since - window_ms;
        let failed: Vec<&CallView> = self
            .of(&b.name)
            .filter(|c| c.failed() && c.sent && c.at_ms >= from)
            .collect();
        if let Some(last) = failed.first() {
            because.push(format!(
                "Failed calls in the 5 min before and since: {}; the last for {} in run {}.",
                tally(failed.iter().map(|c| c.outcome.as_str())),
                clean_line(&last.agent, 40),
                clean_line(last.run.rsplit('_').next().unwrap_or_default(), 20),
            ));
        }
        self.consequences(b, since, down, &mut because);
        match (b.state, b.retry_in_s) {
            (BreakerState::Open, Some(s)) if s > 0 => because.push(format!(
                "Next trial in {s} s; this time it stays open {}.",
                ago(i64::try_from(b.open_for_ms).unwrap_or(0))
            )),
            (BreakerState::Open, _) => {
                because.push("The next call is a trial: one that succeeds closes it.".into());
            }
            _ => {}
        }
        if let Some(limiter) = self.snapshot.limiters.iter().find(|l| l.name == b.name)
            && let Some(s) = limiter.paused_s
        {
            because.push(format!(
                "The provider said that it is too much; calls wait {s} s more."
            ));
        }
        let provider = self.snapshot.providers.iter().find(|p| p.name == b.name);
        if let Some(reason) = provider.and_then(|p| p.reason.as_ref()) {
            because.insert(
                0,
                format!("It cannot be asked: {}.", clean_line(reason, 160)),
            );
        }
        if because.is_empty() {
            because.push(format!(
                "{} calls in the window, {} failed; {} answered since start.",
                b.window_calls, b.window_failures, b.successes
            ));
        }
        let mut helps = Vec::new();
        if !failed.is_empty() {
            helps.push(help(
                "open",
                "the calls behind it, then their run and its log lines",
            ));
        }
        match b.state {
            BreakerState::Open | BreakerState::HalfOpen => {
                helps.push(help("reset-breaker", "try now instead of waiting"));
                helps.push(help(
                    "isolate-breaker",
                    "keep it out until somebody lets it back",
                ));
            }
            BreakerState::Isolated => helps.push(help("reset-breaker", "let calls pass again")),
            BreakerState::Disabled => helps.push(help("switch", "circuitBreaker on")),
            BreakerState::Closed => {}
        }
        Why {
            title,
            because,
            helps,
            runbook: runbook("breaker-open"),
        }
    }

    /// What it meant for the work: answers of other models, old answers, refusals.
    fn consequences(&self, b: &BreakerStats, since: i64, down: bool, because: &mut Vec<String>) {
        let others: Vec<&CallView> = self
            .calls
            .iter()
            // Answered by the fallback of a call that this provider had failed or refused.
            .filter(|c| {
                let same =
                    |o: &&CallView| o.run == c.run && o.agent == c.agent && o.target < c.target;
                down && !c.failed()
                    && c.target > 0
                    && c.at_ms >= since
                    && self.of(&b.name).any(|o| same(&o) && o.failed())
            })
            .collect();
        if !others.is_empty() {
            because.push(format!(
                "{} calls were answered by another model instead ({}).",
                others.len(),
                tally(others.iter().map(|c| c.model.as_str()))
            ));
        }
        if b.rejections > 0 {
            because.push(format!(
                "{} calls were refused at once instead of waiting for it; it has opened {} times since start.",
                b.rejections, b.trips
            ));
        }
    }

    fn pool(&self, p: &PoolStats) -> Why {
        let mut because = vec![format!(
            "{} of {} places are in use, {} callers wait (interactive {}, run {}, refresh {}).",
            p.in_use, p.allowed, p.queued, p.lanes.interactive, p.lanes.run, p.lanes.refresh
        )];
        if p.allowed < p.limit {
            because.push(format!(
                "The provider said that it is too much at once, so {} places became {}; they come back one by one with success.",
                p.limit, p.allowed
            ));
        }
        let took: Vec<u64> = self
            .of(&p.name)
            .filter(|c| !c.failed())
            .map(|c| c.upstream_ms)
            .collect();
        let n = took.len();
        if let Some(ms) = median(took) {
            let rate = f64::from(p.allowed) * 1_000.0 / (ms.max(1) as f64);
            because.push(format!(
                "An answer takes {ms} ms (median of the last {n}), so at most {rate:.1} calls a second fit through."
            ));
        }
        if p.rejected + p.timed_out > 0 {
            because.push(format!(
                "{} were refused because the queue of {} was full, {} gave up waiting.",
                p.rejected, p.queue_limit, p.timed_out
            ));
        }
        Why {
            title: format!(
                "{} {}/{}, {} waiting",
                p.name, p.in_use, p.allowed, p.queued
            ),
            because,
            helps: vec![
                help(
                    "resize-pool",
                    "more places, if the provider's quota allows it",
                ),
                help("runs", "what is using it"),
            ],
            runbook: runbook("pool-full"),
        }
    }

    fn cache(&self, c: &CacheStats) -> Why {
        let rate = c.hit_rate();
        let mut because = Vec::new();
        let enough = c.served() + c.misses >= crate::telemetry::latency::ENOUGH;
        match rate.filter(|_| enough) {
            None if rate.is_some() => because.push(format!(
                "{} gets so far: too few for a rate.",
                c.served() + c.misses
            )),
            None => because.push("Nobody has asked it yet.".into()),
            Some(rate) => because.push(format!(
                "{:.1} % of {} gets were answered without a load of their own: {} fresh, {} old, {} shared, {} known to be nothing; {} loaded.",
                rate * 100.0,
                c.served() + c.misses,
                c.hits,
                c.stale_served,
                c.stampede_prevented,
                c.negative_hits,
                c.misses
            )),
        }
        if let Some(error) = &c.last_error {
            because.push(format!("The last load failed: {}.", clean_line(error, 120)));
        }
        if let Some(ms) = c.last_load_ms {
            because.push(format!(
                "The last good load took {ms} ms; {} failed since start.",
                c.errors
            ));
        }
        if c.evictions > 0 {
            because.push(format!(
                "{} values had to make room: {} of {} bytes are used.",
                c.evictions, c.bytes, c.max_bytes
            ));
        }
        if c.name == "responses" && c.misses > c.hits {
            because.push(
                "Only the same question to the same model hits: a new diff is a new question."
                    .into(),
            );
        }
        Why {
            title: format!(
                "cache {}: {}",
                c.name,
                rate.filter(|_| enough).map_or_else(
                    || "no rate yet".to_owned(),
                    |r| format!("{:.1} % hits", r * 100.0)
                )
            ),
            because,
            helps: vec![help("clear-cache", "forget what it holds")],
            runbook: runbook("cache"),
        }
    }

    fn latency(&self) -> Why {
        let l = &self.snapshot.added_latency;
        let ms = |us: Option<u64>| {
            us.map_or_else(
                || "not yet known".into(),
                |us| format!("{:.2} ms", us as f64 / 1_000.0),
            )
        };
        let mut because = vec![format!(
            "Of a call's time, what is not the provider's: p50 {}, p99 {} over {} samples in 5 min (targets {} and {} ms).",
            ms(l.p50_us),
            ms(l.p99_us),
            l.count,
            self.snapshot.targets.p50_ms,
            self.snapshot.targets.p99_ms
        )];
        let mut waits: BTreeMap<&str, (u64, u32)> = BTreeMap::new();
        for call in self.calls.iter().filter(|c| c.waited_ms > 0) {
            let entry = waits.entry(&call.provider).or_default();
            entry.0 += call.waited_ms;
            entry.1 += 1;
        }
        let mut waits: Vec<_> = waits.into_iter().collect();
        waits.sort_by_key(|(_, (ms, _))| std::cmp::Reverse(*ms));
        for (provider, (ms, n)) in waits.iter().take(3) {
            because.push(format!(
                "{n} of the last {} calls waited for {}: {ms} ms together (backoff, rate limit, pool).",
                self.calls.len(),
                clean_line(provider, 40)
            ));
        }
        if waits.is_empty() {
            because.push(format!(
                "None of the last {} calls had to wait.",
                self.calls.len()
            ));
        }
        Why {
            title: format!("added latency p99 {}", ms(l.p99_us)),
            because,
            helps: vec![help(
                "resilience",
                "pools and rate limits with their queues",
            )],
            runbook: runbook("latency"),
        }
    }

    fn run(&self, run: &RunResult) -> Why {
        let mut because = Vec::new();
        if let Some(d) = &run.decision {
            because.push(format!(
                "Cause {} (rule {}): {}.",
                d.cause_word(),
                d.rule,
                d.reason.line(240)
            ));
        } else {
            let word = |status| run.agents.iter().filter(|s| s.status == status).count();
            because.push(format!(
                "{} of {} agents have ended, {} are at work.",
                run.agents.iter().filter(|s| s.status.is_over()).count(),
                run.agents.len(),
                word(StepStatus::Running)
            ));
            for p in self.snapshot.pools.iter().filter(|p| p.queued > 0) {
                because.push(format!(
                    "Pool {} is full: {} wait for {} places.",
                    p.name, p.queued, p.allowed
                ));
            }
            for l in &self.snapshot.limiters {
                if let Some(s) = l.paused_s {
                    because.push(format!("{} wants quiet for {s} s more.", l.name));
                }
            }
            let mine = self.calls.iter().filter(|c| c.run == run.run_id);
            let failed = tally(mine.filter(|c| c.failed()).map(|c| c.outcome.as_str()));
            if !failed.is_empty() {
                because.push(format!("Attempts that failed so far: {failed}."));
            }
        }
        for step in run.agents.iter().filter(|s| s.error.is_some()) {
            let error = step.error.as_ref().map(|e| e.line(160)).unwrap_or_default();
            because.push(format!("{}: {error}.", clean_line(&step.agent_id, 40)));
        }
        let slowest = run
            .agents
            .iter()
            .filter(|s| s.duration_ms.is_some())
            .max_by_key(|s| s.duration_ms);
        if let Some(step) = slowest {
            because.push(slow(step));
        }
        if !run.coverage.skipped.is_empty() {
            because.push(format!("{}.", run.coverage.words()));
        }
        Why {
            title: format!(
                "run {}: {}",
                clean_line(run.run_id.rsplit('_').next().unwrap_or_default(), 20),
                run.decision.as_ref().map_or("at work", |d| d.action.word())
            ),
            because,
            helps: if run.decision.is_some() {
                vec![
                    help("report", "the whole of it"),
                    help("run-logs", "its log lines"),
                    help("run-again", "the same change once more"),
                ]
            } else {
                vec![
                    help("run-logs", "its log lines"),
                    help("cancel", "stop it; what has ended is kept"),
                ]
            },
            runbook: None,
        }
    }
}

/// Where the slowest agent's time went.
fn slow(step: &Step) -> String {
    let total = step.duration_ms.unwrap_or(0);
    let upstream: u64 = step.trace.iter().map(|a| a.upstream_us).sum::<u64>() / 1_000;
    let waited: u64 = step
        .trace
        .iter()
        .map(|a| a.backoff_us + a.limiter_us + a.pool_us)
        .sum::<u64>()
        / 1_000;
    let failed = tally(
        step.trace
            .iter()
            .filter(|a| a.outcome != "ok")
            .map(|a| &*a.outcome),
    );
    let mut text = format!(
        "Slowest was {} with {total} ms: {upstream} ms at providers, {waited} ms waiting",
        clean_line(&step.agent_id, 40)
    );
    if !failed.is_empty() {
        text.push_str(&format!("; {failed}"));
    }
    if let Some(model) = step
        .model
        .as_ref()
        .filter(|_| step.trace.iter().any(|a| a.target > 0))
    {
        text.push_str(&format!(
            "; answered by the fallback {}",
            clean_line(model, 40)
        ));
    }
    text.push('.');
    text
}
