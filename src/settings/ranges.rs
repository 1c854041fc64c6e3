//! The ranges that settings must be in, checked before any of them takes effect.
//!
//! The order of the checks is fixed: of several values out of range the same one is always named.

use super::Settings;
use crate::text::clean_line;

impl Settings {
    /// The first value that is out of its range, as a sentence.
    pub fn check(&self) -> Result<(), String> {
        self.check_log_level()?;
        self.check_least()?;
        self.check_pools()?;
        self.check_most()?;
        self.check_breaker()?;
        self.check_caches()?;
        self.check_money()?;
        self.check_code_host()?;
        self.check_targets()
    }

    fn check_log_level(&self) -> Result<(), String> {
        for part in self.logs.level.split(',') {
            let level = part
                .rsplit('=')
                .next()
                .unwrap_or(part)
                .trim()
                .to_ascii_lowercase();
            if !["off", "error", "warn", "info", "debug", "trace"].contains(&level.as_str()) {
                let shown = clean_line(part, 40);
                return Err(format!(
                    "logs.level: '{shown}' is no level; use error, warn, info, debug or trace"
                ));
            }
        }
        Ok(())
    }

    fn check_least(&self) -> Result<(), String> {
        let (engine, breaker) = (&self.engine, &self.breaker);
        least("engine.maxConcurrentRuns", engine.max_concurrent_runs, 1)?;
        least("engine.stepTimeoutMs", engine.step_timeout_ms, 1)?;
        least("engine.runsKept", engine.runs_kept, 1)?;
        least("engine.queue", engine.queue, 1)?;
        least("breaker.failures", breaker.failures, 1)?;
        least("breaker.windowMs", breaker.window_ms, 1_000)?;
        least("breaker.halfOpenTrials", breaker.half_open_trials, 1)?;
        least("retry.attempts", self.retry.attempts, 1)?;
        least("audit.maxBytes", self.audit.max_bytes, 64 << 10)?;
        least("backups.keep", self.backups.keep, 1)?;
        least("logs.days", self.logs.days, 1)
    }

    fn check_pools(&self) -> Result<(), String> {
        for (name, pool) in &self.pools {
            let name = format!("pools.{}.limit", clean_line(name, 40));
            least(&name, pool.limit, 1)?;
        }
        Ok(())
    }

    fn check_most(&self) -> Result<(), String> {
        let (engine, retry) = (&self.engine, &self.retry);
        let largest = 64 << 20;
        most("engine.queue", engine.queue, 1_000_000)?;
        most(
            "engine.maxConcurrentRuns",
            engine.max_concurrent_runs,
            10_000,
        )?;
        most(
            "engine.diffKeptBytes",
            engine.diff_kept_bytes as u64,
            largest,
        )?;
        most("engine.promptBytes", engine.prompt_bytes as u64, largest)?;
        most("retry.attempts", retry.attempts, 20)?;
        most("review.coverageFloor", self.review.coverage_floor, 100)?;
        most("retry.budgetFloor", retry.budget_floor, 1_000)
    }

    /// The breaker's other values, and the retry budget's window.
    fn check_breaker(&self) -> Result<(), String> {
        let breaker = &self.breaker;
        share("breaker.failureRate", breaker.failure_rate)?;
        share("breaker.slowRate", breaker.slow_rate)?;
        share("breaker.openJitter", breaker.open_jitter)?;
        least("breaker.trialDeadlineMs", breaker.trial_deadline_ms, 1)?;
        least("breaker.openMs", breaker.open_ms, 1)?;
        least("breaker.minimumCalls", breaker.minimum_calls, 1)?;
        least("retry.budgetWindowMs", self.retry.budget_window_ms, 1_000)?;
        least("breaker.trialSuccesses", breaker.trial_successes, 1)?;
        least("breaker.windowCalls", breaker.window_calls, 1)?;
        most("breaker.windowCalls", breaker.window_calls, 10_000)
    }

    fn check_caches(&self) -> Result<(), String> {
        for (name, cache) in [
            ("agents", &self.cache.agents),
            ("knowledge", &self.cache.knowledge),
            ("registry", &self.cache.registry),
            ("responses", &self.cache.responses),
        ] {
            let name = format!("cache.{name}.jitterPercent");
            most(&name, cache.jitter_percent, 100)?;
        }
        Ok(())
    }

    /// What may be spent, on retries and in US dollars.
    fn check_money(&self) -> Result<(), String> {
        share("retry.budgetRatio", self.retry.budget_ratio)?;
        for (name, value) in [
            ("budgets.runUsd", self.budgets.run_usd),
            ("budgets.dayUsd", self.budgets.day_usd),
        ] {
            if !(0.0..=1e9).contains(&value) {
                return Err(format!(
                    "{name} is {value}; it must be from 0 (none) to 1e9"
                ));
            }
        }
        Ok(())
    }

    /// How long a change is waited for.
    fn check_code_host(&self) -> Result<(), String> {
        let github = &self.github;
        most("github.fetchWaitMs", github.fetch_wait_ms, 7 * 86_400_000)?;
        least("github.fetchPauseMs", github.fetch_pause_ms, 1)?;
        most("github.fetchPauseMs", github.fetch_pause_ms, 3_600_000)?;
        let others = github.repository_filters.iter();
        let others = others.filter_map(|entry| entry.pull_usd);
        for value in others.chain([github.filters.pull_usd]) {
            if !(0.0..=1e9).contains(&value) {
                return Err(format!(
                    "github.filters.pullUsd is {value}; it must be from 0 (none) to 1e9"
                ));
            }
        }
        Ok(())
    }

    /// The targets, and the console's pictures a second.
    fn check_targets(&self) -> Result<(), String> {
        share("targets.errorRate", self.targets.error_rate)?;
        share("targets.cacheHitRate", self.targets.cache_hit_rate)?;
        most("console.fps", self.console.fps, 120)
    }
}

fn least(name: &str, value: impl Into<u64>, least: u64) -> Result<(), String> {
    let value = value.into();
    if value < least {
        return Err(format!("{name} is {value}; it must be at least {least}"));
    }
    Ok(())
}

fn most(name: &str, value: impl Into<u64>, most: u64) -> Result<(), String> {
    let value = value.into();
    if value > most {
        return Err(format!("{name} is {value}; it must be at most {most}"));
    }
    Ok(())
}

fn share(name: &str, value: f64) -> Result<(), String> {
    if (0.0..=1.0).contains(&value) {
        return Ok(());
    }
    Err(format!("{name} is {value}; it must be from 0 to 1"))
}
