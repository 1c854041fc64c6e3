//! Why a pool, a cache or the gateway overhead is as it is.

use std::collections::BTreeMap;

use crate::cache::CacheStats;
use crate::engine::observe::explain::facts::{Seen, ago, help, median, runbook};
use crate::engine::protocol::call::CallView;
use crate::engine::protocol::provider_row::ProviderRow;
use crate::engine::protocol::why::Why;
use crate::resilience::Reason;
use crate::resilience::bulkhead::PoolStats;
use crate::text::clean_line;

impl Seen<'_> {
    /// About one pool.
    pub fn pool(&self, p: &PoolStats) -> Why {
        let mut because = vec![format!(
            "{} of {} places are in use, {} callers wait (interactive {}, run {}, refresh {}).",
            p.in_use, p.allowed, p.queued, p.lanes.interactive, p.lanes.run, p.lanes.refresh
        )];
        if p.allowed < p.limit {
            because.push(format!(
                "The provider answered 429, so the limit of {} is {} for now; it grows again with success.",
                p.limit, p.allowed
            ));
        }
        let sharing: Vec<&ProviderRow> = self.rows_of_pool(&p.name).collect();
        because.extend(self.waits(p, &sharing));
        let took: Vec<u64> = self
            .recent()
            .filter(|c| !c.failed() && sharing.iter().any(|r| r.name == c.provider))
            .map(|c| c.upstream_ms)
            .collect();
        let n = took.len();
        if let Some(ms) = median(took) {
            let rate = f64::from(p.allowed) * 1_000.0 / (ms.max(1) as f64);
            because.push(format!(
                "An answer takes {ms} ms (median of {n} in the last 5 min), so at most {rate:.1} calls a second fit through."
            ));
        }
        let refused = |outcome: &str| {
            let of_pool = |c: &&CallView| sharing.iter().any(|r| r.name == c.provider);
            let all = self.recent().filter(of_pool);
            all.filter(|c| c.outcome == outcome).count()
        };
        let (full, late) = (
            refused(Reason::PoolFull.code()),
            refused(Reason::PoolWaitTimeout.code()),
        );
        if full + late > 0 {
            because.push(format!(
                "In the last 5 min {full} were refused because the queue of {} was full, {late} timed out while waiting.",
                p.queue_limit
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

    /// How many calls waited for a place, and how long the oldest of those that wait now has waited.
    fn waits(&self, p: &PoolStats, sharing: &[&ProviderRow]) -> Option<String> {
        let queued = u64::from(p.queued);
        let sum = |of: fn(&ProviderRow) -> u64| sharing.iter().map(|r| of(r)).sum::<u64>();
        let waited = sum(|r| r.figures.waited_pool) + queued;
        if waited == 0 {
            return None;
        }
        let mut text = format!(
            "{waited} of {} calls of the last 5 min waited for a place",
            sum(|r| r.figures.came) + queued
        );
        let oldest = sharing.iter().filter_map(|r| r.oldest_ms).min();
        if let Some(at) = oldest {
            text.push_str(&format!(
                "; the oldest has waited {}",
                ago(self.now_ms - at)
            ));
        }
        let median = sharing.iter().filter_map(|r| r.figures.wait_p50_ms).max();
        if let Some(ms) = median {
            text.push_str(&format!("; the median wait is {}", ago(i64::from(ms))));
        }
        text.push('.');
        Some(text)
    }

    /// About one cache.
    pub fn cache(&self, c: &CacheStats) -> Why {
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
                "{:.1} % of {} gets were answered without a load of their own: {} fresh, {} old, {} shared, {} negative; {} loaded.",
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

    /// About the time that calls take beside the provider's.
    pub fn latency(&self) -> Why {
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
        for call in self.recent().filter(|c| c.waited_ms > 0) {
            let entry = waits.entry(&call.provider).or_default();
            entry.0 += call.waited_ms;
            entry.1 += 1;
        }
        let mut waits: Vec<_> = waits.into_iter().collect();
        waits.sort_by_key(|(_, (ms, _))| std::cmp::Reverse(*ms));
        for (provider, (ms, n)) in waits.iter().take(3) {
            because.push(format!(
                "{n} of the {} calls of the last 5 min waited for {}: {ms} ms together (backoff, rate limit, pool).",
                self.recent().count(),
                clean_line(provider, 40)
            ));
        }
        if waits.is_empty() {
            because.push(format!(
                "None of the {} calls of the last 5 min had to wait.",
                self.recent().count()
            ));
        }
        Why {
            title: format!("gateway overhead p99 {}", ms(l.p99_us)),
            because,
            helps: vec![help(
                "resilience",
                "pools and rate limits with their queues",
            )],
            runbook: runbook("latency"),
        }
    }
}
