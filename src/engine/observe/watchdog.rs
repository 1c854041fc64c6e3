//! Alerts from figures: a target that is missed for a while is said once, and once more when it is met
//! again.
//!
//! Why with a delay on both sides: a single slow second is nobody's business, and a figure that swings
//! around its target must not ring every time. State changes (a breaker, the journal) say so at once
//! and are not here.

use std::collections::BTreeMap;

use crate::cache::CacheStats;
use crate::engine::protocol::snapshot::Snapshot;
use crate::settings::AlertSettings;
use crate::text::clean_line;

/// One thing that is watched, as it is now.
struct Finding {
    code: &'static str,
    subject: String,
    /// What is wrong, as a sentence; `None` while it is well.
    wrong: Option<String>,
    /// What to say when it is well again.
    well: String,
}

/// A target that is missed, still missed in other words, or met again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// It is missed.
    pub bad: bool,
    /// What kind of target.
    pub code: &'static str,
    /// Of what.
    pub subject: String,
    /// A sentence.
    pub text: String,
}

#[derive(Default)]
struct Watched {
    /// Ticks in a row in the state that is not yet said.
    ticks: u32,
    /// What was said last, while it is raised.
    raised: Option<String>,
}

/// What has been said so far.
#[derive(Default)]
pub struct Watchdog {
    watched: BTreeMap<(&'static str, String), Watched>,
}

impl Watchdog {
    /// Checks a snapshot, once a second; returns what changed.
    pub fn check(&mut self, snapshot: &Snapshot, settings: &AlertSettings) -> Vec<Change> {
        self.judge(findings(snapshot, settings), settings)
    }

    /// Alerts that are not over, in the words of the newest figures.
    pub fn raised(&self) -> Vec<String> {
        self.watched
            .values()
            .filter_map(|w| w.raised.clone())
            .collect()
    }

    fn judge(&mut self, findings: Vec<Finding>, settings: &AlertSettings) -> Vec<Change> {
        let mut said = Vec::new();
        for finding in findings {
            let Finding {
                code,
                subject,
                wrong,
                well,
            } = finding;
            let watched = self.watched.entry((code, subject.clone())).or_default();
            let change = |bad, text| Change {
                bad,
                code,
                subject: subject.clone(),
                text,
            };
            if wrong.is_some() == watched.raised.is_some() {
                watched.ticks = 0;
                if let Some(text) = wrong.filter(|now| watched.raised.as_ref() != Some(now)) {
                    watched.raised = Some(text.clone());
                    said.push(change(true, text));
                }
                continue;
            }
            watched.ticks += 1;
            let needed = if watched.raised.is_some() {
                settings.clear_after_s
            } else {
                settings.raise_after_s
            };
            if watched.ticks >= needed.max(1) {
                watched.ticks = 0;
                watched.raised.clone_from(&wrong);
                said.push(match wrong {
                    Some(text) => change(true, text),
                    None => change(false, well),
                });
            }
        }
        said
    }
}

fn findings(s: &Snapshot, settings: &AlertSettings) -> Vec<Finding> {
    let mut all = Vec::new();
    let mut add = |code, subject: String, wrong: Option<String>, well: String| {
        all.push(Finding {
            code,
            subject,
            wrong,
            well,
        });
    };
    let over =
        |us: Option<u64>, target: f64| us.map(|us| us as f64 / 1_000.0).filter(|ms| *ms > target);
    for (name, us, target) in [
        ("p50", s.added_latency.p50_us, s.targets.p50_ms),
        ("p99", s.added_latency.p99_us, s.targets.p99_ms),
    ] {
        add(
            "latency-high",
            name.to_owned(),
            over(us, target)
                .map(|ms| format!("gateway overhead {name} {ms:.0} ms, target {target} ms")),
            match us {
                Some(_) => format!("gateway overhead {name} is within {target} ms again"),
                None => format!("gateway overhead {name}: too few calls to say"),
            },
        );
    }
    let target = s.targets.error_rate;
    add(
        "undecided-runs",
        "runs".into(),
        s.error_rate().filter(|r| *r > target).map(|r| {
            format!(
                "{:.2} % of runs are not decided, target {:.2} %",
                r * 100.0,
                target * 100.0
            )
        }),
        format!("undecided runs are within {:.2} % again", target * 100.0),
    );
    for pool in &s.pools {
        let name = clean_line(&pool.name, 40);
        add(
            "pool-full",
            name.clone(),
            (pool.queued > 0 && pool.in_use >= pool.allowed).then(|| {
                format!(
                    "pool {name} is full: {} wait for {} places",
                    pool.queued, pool.allowed
                )
            }),
            format!("pool {name}: queue drained"),
        );
    }
    for limiter in &s.limiters {
        let name = clean_line(&limiter.name, 40);
        add(
            "rate-limited",
            name.clone(),
            limiter
                .paused_s
                .map(|s| format!("429 from {name}, backing off {s} s")),
            format!("{name} accepts calls again"),
        );
    }
    all.extend(s.caches.iter().map(|c| cache_finding(c, settings)));
    all.push(hit_rate_finding(s, settings));
    all
}

/// A cache that cannot load, or whose last load took long.
fn cache_finding(cache: &CacheStats, settings: &AlertSettings) -> Finding {
    // Answers of models take as long as the model takes; that is not the cache's.
    let own = cache.name != "responses";
    let slow = cache
        .last_load_ms
        .filter(|ms| own && settings.slow_load_ms > 0 && *ms > settings.slow_load_ms);
    let name = &cache.name;
    let wrong = match (&cache.last_error, slow) {
        (Some(error), _) if own => Some(format!(
            "cache {name} cannot load: {}",
            clean_line(error, 120)
        )),
        (_, Some(ms)) => Some(format!("cache {name} took {ms} ms to load")),
        _ => None,
    };
    Finding {
        code: "cache-load",
        subject: name.clone(),
        wrong,
        well: format!("cache {name} loads well again"),
    }
}

/// The response cache answers too small a share of questions.
fn hit_rate_finding(s: &Snapshot, settings: &AlertSettings) -> Finding {
    let target = s.targets.cache_hit_rate;
    let low = s.hit_rate().filter(|r| settings.hit_rate && *r < target);
    let percent = target * 100.0;
    Finding {
        code: "hit-rate-low",
        subject: "caches".into(),
        wrong: low.map(|r| {
            let share = r * 100.0;
            format!("the response cache answers {share:.1} % of questions, target {percent:.1} %")
        }),
        well: format!("the response cache answers {percent:.1} % of questions again"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn finding(wrong: Option<&str>) -> Vec<Finding> {
        vec![Finding {
            code: "pool-full",
            subject: "x".into(),
            wrong: wrong.map(str::to_owned),
            well: "it is well again".into(),
        }]
    }

    fn texts(changes: Vec<Change>) -> Vec<(bool, String)> {
        changes.into_iter().map(|c| (c.bad, c.text)).collect()
    }

    #[test]
    fn said_once_after_a_while_and_once_more_when_it_is_over() {
        let settings = settings();
        let mut dog = Watchdog::default();
        let mut ticks = |wrong: bool, times: usize| {
            let wrong = wrong.then_some("it is wrong");
            let each = (0..times).flat_map(|_| texts(dog.judge(finding(wrong), &settings)));
            each.collect::<Vec<_>>()
        };
        assert!(ticks(true, 2).is_empty());
        assert!(ticks(false, 1).is_empty(), "too short");
        assert!(ticks(true, 2).is_empty());
        assert_eq!(ticks(true, 10), [(true, "it is wrong".to_owned())]);
        assert!(ticks(false, 4).is_empty());
        assert!(ticks(true, 1).is_empty(), "it swings");
        assert_eq!(ticks(false, 10), [(false, "it is well again".to_owned())]);
    }

    #[test]
    fn text_of_a_raised_alert_follows_the_figures() {
        let settings = settings();
        let mut dog = Watchdog::default();
        let mut tick = |wrong| texts(dog.judge(finding(Some(wrong)), &settings));
        assert!(tick("3 wait").is_empty() && tick("4 wait").is_empty());
        assert_eq!(tick("5 wait"), [(true, "5 wait".to_owned())]);
        assert!(tick("5 wait").is_empty(), "nothing is new");
        assert_eq!(tick("335 wait"), [(true, "335 wait".to_owned())]);
        assert_eq!(dog.raised(), ["335 wait"]);
    }

    fn settings() -> AlertSettings {
        AlertSettings {
            raise_after_s: 3,
            clear_after_s: 5,
            ..AlertSettings::default()
        }
    }
}
