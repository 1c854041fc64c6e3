//! Why a provider is as it is: its breaker, what failed, and what that meant for the work.

use crate::engine::observe::explain::facts::{Seen, ago, help, runbook, tally};
use crate::engine::protocol::call::CallView;
use crate::engine::protocol::why::{Help, Why};
use crate::resilience::breaker::{BreakerState, BreakerStats};
use crate::text::clean_line;

impl Seen<'_> {
    /// About one provider.
    pub fn provider(&self, b: &BreakerStats) -> Why {
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
        self.waiting(b, &mut because);
        let provider = self.snapshot.providers.iter().find(|p| p.name == b.name);
        if let Some(reason) = provider.and_then(|p| p.reason.as_ref()) {
            because.insert(
                0,
                format!("It cannot be asked: {}.", clean_line(reason, 160)),
            );
        }
        because.extend(self.figures(&b.name));
        if because.is_empty() {
            because.push("It was not asked in the last 5 min.".to_owned());
        }
        let helps = helps(b, !failed.is_empty());
        Why {
            title,
            because,
            helps,
            runbook: runbook("breaker-open"),
        }
    }

    /// What it did in the last minutes: rate limits, answers and their time.
    fn figures(&self, name: &str) -> Vec<String> {
        let Some(row) = self.row(name) else {
            return Vec::new();
        };
        let (figures, mut found) = (&row.figures, Vec::new());
        let window = &figures.window;
        if window.rate_limited > 0 {
            let mut text = format!(
                "It answered 429 to {} of {} calls sent in the last 5 min",
                window.rate_limited,
                window.sent()
            );
            if row.allowed < row.limit {
                text.push_str(&format!(
                    "; adaptive limit {} (configured {})",
                    row.allowed, row.limit
                ));
            }
            text.push('.');
            found.push(text);
        }
        if let (Some(p50), Some(p99)) = (figures.p50_ms, figures.p99_ms) {
            found.push(format!(
                "Its answers take {p50} ms (p50) and {p99} ms (p99) over {} calls of the last 5 min.",
                figures.answered_n
            ));
        }
        if figures.waited_pool + figures.waited_limiter > 0 {
            found.push(format!(
                "Of {} calls in the last 5 min {} waited for its pool and {} for its rate limit.",
                figures.came, figures.waited_pool, figures.waited_limiter
            ));
        }
        if window.sum() > 0 {
            found.push(format!(
                "Calls of the last 5 min: {} answered, {} failed, {} refused here.",
                window.answers(),
                window.failed + window.rate_limited,
                window.refused
            ));
        }
        found
    }

    /// When it is tried again, and how long its calls wait.
    fn waiting(&self, b: &BreakerStats, because: &mut Vec<String>) {
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
                "The provider answered 429; calls back off {s} s more."
            ));
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
        if down && b.trips > 1 {
            because.push(format!("It opened {} times since the start.", b.trips));
        }
    }
}

/// What an operator can do about it.
fn helps(b: &BreakerStats, has_failures: bool) -> Vec<Help> {
    let mut helps = Vec::new();
    if has_failures {
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
    helps
}
