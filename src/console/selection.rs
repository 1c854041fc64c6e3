//! What is on the screen, for those who take it away or ask about it: its list as a table, and the thing
//! that is selected or red.

use super::action::Screen;
use super::state::State;
use crate::engine::protocol::snapshot::Health;
use crate::engine::protocol::why::About;
use crate::filter::Row as _;
use crate::text::Untrusted;

impl State {
    /// The list on the screen as a table, its head first.
    pub fn table(&self) -> Vec<Vec<String>> {
        if self.calls.is_some() && self.open.is_none() {
            return calls_table(self);
        }
        match self.screen {
            Screen::Overview | Screen::Runs => runs_table(self),
            Screen::Resilience => breakers_table(self),
            Screen::Caches => caches_table(self),
            Screen::Agents => agents_table(self),
            Screen::Logs => logs_table(self),
            Screen::Memory => memory_table(self),
            Screen::Inbox => inbox_table(self),
        }
    }

    /// What `w` asks about here: the selected thing, or what is red.
    pub fn subject(&self) -> About {
        if let Some(open) = &self.open {
            return About::Run {
                id: open.id.clone(),
            };
        }
        if let Some(calls) = &self.calls {
            // Of all calls together the selected one's provider is what is asked about.
            let selected = self.calls_shown();
            let of_call = selected.get(self.calls_selection());
            let name = calls.provider.clone();
            if let Some(name) = name.or_else(|| of_call.map(|c| c.provider.clone())) {
                return About::Provider { name };
            }
        }
        let s = self.snapshot();
        match self.screen {
            Screen::Resilience => {
                let at = self.selection();
                match (
                    s.breakers.get(at),
                    s.pools.get(at.saturating_sub(s.breakers.len())),
                ) {
                    (Some(b), _) => About::Provider {
                        name: b.name.clone(),
                    },
                    (None, Some(p)) => About::Pool {
                        name: p.name.clone(),
                    },
                    (None, None) => About::Health,
                }
            }
            Screen::Caches => {
                s.caches
                    .get(self.selection())
                    .map_or(About::Health, |c| About::Cache {
                        name: c.name.clone(),
                    })
            }
            Screen::Overview if s.health != Health::Healthy => About::Health,
            Screen::Overview
                if s.added_latency
                    .p99_us
                    .is_some_and(|us| us as f64 / 1_000.0 > s.targets.p99_ms) =>
            {
                About::Latency
            }
            Screen::Overview | Screen::Runs => {
                let run = self.runs().get(self.selection()).map(|r| r.id.clone());
                run.map_or(About::Health, |id| About::Run { id })
            }
            Screen::Inbox | Screen::Memory => self
                .current_run()
                .map_or(About::Health, |id| About::Run { id }),
            Screen::Agents | Screen::Logs => About::Health,
        }
    }
}

/// A table: its head, then a row for each of the list.
fn with_head(head: &[&str], rows: impl Iterator<Item = Vec<String>>) -> Vec<Vec<String>> {
    let head = head.iter().map(|name| (*name).to_owned()).collect();
    std::iter::once(head).chain(rows).collect()
}

fn calls_table(state: &State) -> Vec<Vec<String>> {
    let head = [
        "atMs",
        "provider",
        "model",
        "outcome",
        "sent",
        "upstreamMs",
        "waitedMs",
        "run",
        "agent",
        "correlation",
    ];
    let calls = state.calls_shown();
    let rows = calls.iter().map(|c| {
        vec![
            c.at_ms.to_string(),
            c.provider.clone(),
            c.model.clone(),
            c.outcome.clone(),
            c.sent.to_string(),
            c.upstream_ms.to_string(),
            c.waited_ms.to_string(),
            c.run.clone(),
            c.agent.clone(),
            c.correlation.clone(),
        ]
    });
    with_head(&head, rows)
}

fn runs_table(state: &State) -> Vec<Vec<String>> {
    let head = [
        "run",
        "event",
        "title",
        "state",
        "action",
        "durationMs",
        "reason",
    ];
    let text = |t: Option<&Untrusted>| t.map_or_else(String::new, |t| t.raw().to_owned());
    let runs = state.runs();
    let rows = runs.iter().map(|r| {
        vec![
            r.id.clone(),
            r.event.raw().to_owned(),
            text(r.title.as_ref()),
            r.field("state").concat(),
            r.action.map_or("", |a| a.as_str()).to_owned(),
            r.duration_ms.map_or_else(String::new, |ms| ms.to_string()),
            text(r.reason.as_ref()),
        ]
    });
    with_head(&head, rows)
}

fn breakers_table(state: &State) -> Vec<Vec<String>> {
    let head = [
        "breaker",
        "state",
        "sinceMs",
        "successes",
        "failures",
        "rejections",
        "trips",
        "lastError",
    ];
    let rows = state.snapshot().breakers.iter().map(|b| {
        vec![
            b.name.clone(),
            b.state.as_str().to_owned(),
            b.since_ms.to_string(),
            b.successes.to_string(),
            b.failures.to_string(),
            b.rejections.to_string(),
            b.trips.to_string(),
            b.last_error.clone().unwrap_or_default(),
        ]
    });
    with_head(&head, rows)
}

fn caches_table(state: &State) -> Vec<Vec<String>> {
    let head = [
        "cache",
        "entries",
        "hits",
        "misses",
        "shared",
        "stale",
        "loads",
        "errors",
        "evictions",
    ];
    let rows = state.snapshot().caches.iter().map(|c| {
        let counts = [
            c.entries,
            c.hits,
            c.misses,
            c.stampede_prevented,
            c.stale_served,
            c.loads,
            c.errors,
            c.evictions,
        ];
        std::iter::once(c.name.clone())
            .chain(counts.iter().map(u64::to_string))
            .collect()
    });
    with_head(&head, rows)
}

fn agents_table(state: &State) -> Vec<Vec<String>> {
    let agents = state.agents_shown();
    let rows = agents
        .iter()
        .map(|a| vec![a.id.clone(), a.risk.level.clone()]);
    with_head(&["agent", "risk"], rows)
}

fn logs_table(state: &State) -> Vec<Vec<String>> {
    let head = ["at", "level", "run", "correlation", "message", "fields"];
    let lines = state.logs_shown();
    let rows = lines.iter().map(|l| {
        vec![
            l.at.clone(),
            l.level.clone(),
            l.run.clone().unwrap_or_default(),
            l.correlation.clone().unwrap_or_default(),
            l.message.raw().to_owned(),
            l.fields.raw().to_owned(),
        ]
    });
    with_head(&head, rows)
}

fn memory_table(state: &State) -> Vec<Vec<String>> {
    let head = ["score", "overlap", "union", "id", "run", "code"];
    let hits = state.memory.similar.iter().flat_map(|s| &s.hits);
    let rows = hits.map(|h| {
        vec![
            format!("{:.4}", h.score),
            h.overlap.to_string(),
            h.union.to_string(),
            h.id.clone(),
            h.run_id.clone().unwrap_or_default(),
            h.code.raw().to_owned(),
        ]
    });
    with_head(&head, rows)
}

fn inbox_table(state: &State) -> Vec<Vec<String>> {
    let head = ["atMs", "kind", "state", "place", "what", "run"];
    let entries = state.inbox_shown();
    let rows = entries.iter().map(|e| {
        let (place, what) = e.summary();
        vec![
            e.at_ms().to_string(),
            e.kind().to_owned(),
            e.state().to_owned(),
            place,
            what,
            e.run().unwrap_or_default(),
        ]
    });
    with_head(&head, rows)
}
