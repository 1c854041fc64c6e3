//! How long a run waited, how long models took for it, and what it cost.

use crate::engine::protocol::phase::Phase;
use crate::engine::protocol::run::{RunResult, Step};
use crate::workspace::events::Strategy;

/// Waits and model time of one agent, milliseconds.
#[derive(Debug, Clone, Copy, Default)]
struct StepTimes {
    waited: u64,
    model: u64,
}

/// Times of a run, milliseconds. `None`: not known.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RunTimes {
    /// In the queue of runs, for rate limits, for places in pools and before retries. Agents that work at the same
    /// time wait at the same time: of them the longest counts.
    pub waited_ms: Option<u64>,
    /// With providers, of the same agents.
    pub model_ms: Option<u64>,
}

/// Times of a run. `phases` says what the agents at work have done so far.
pub fn run_times(
    view: &RunResult,
    started_ms: Option<i64>,
    phases: impl Fn(&str) -> Vec<Phase>,
) -> RunTimes {
    let Some(started_ms) = started_ms else {
        return RunTimes::default();
    };
    let steps: Vec<StepTimes> = view
        .agents
        .iter()
        .map(|step| {
            if step.status.is_over() {
                of_trace(step)
            } else {
                of_phases(&phases(&step.agent_id))
            }
        })
        .collect();
    let total = |part: fn(&StepTimes) -> u64| match view.strategy {
        Strategy::Parallel => steps.iter().map(part).max().unwrap_or(0),
        Strategy::Sequential => steps.iter().map(part).sum(),
    };
    // Calls that were sent and have no trace: an older version did not keep it.
    let lacks = |step: &&Step| step.attempts > 0 && step.trace.is_empty();
    let known = !view.agents.iter().any(|s| lacks(&s));
    let queue = u64::try_from(started_ms - view.created_at).unwrap_or(0);
    RunTimes {
        waited_ms: known.then(|| queue + total(|s| s.waited)),
        model_ms: known.then(|| total(|s| s.model)),
    }
}

fn of_trace(step: &Step) -> StepTimes {
    let waited = |a: &crate::resilience::policy::Attempt| a.backoff_us + a.limiter_us + a.pool_us;
    StepTimes {
        waited: step.trace.iter().map(waited).sum::<u64>() / 1_000,
        model: step.trace.iter().map(|a| a.upstream_us).sum::<u64>() / 1_000,
    }
}

/// Phases that have ended; what the open one adds is a matter of the moment at which somebody looks.
fn of_phases(phases: &[Phase]) -> StepTimes {
    let ended = |wait: bool| {
        let of_kind = phases.iter().filter(move |p| p.kind.is_wait() == wait);
        let closed = of_kind.filter_map(|p| Some(p.lasted_ms(p.ended_ms?)));
        closed.sum()
    };
    StepTimes {
        waited: ended(true),
        model: ended(false),
    }
}

/// What a run's steps cost, millionths of a dollar.
pub fn micro_usd(view: &RunResult) -> u64 {
    (view.cost_usd() * 1e6).round().max(0.0) as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::protocol::phase::PhaseKind;
    use crate::engine::protocol::run::{RunState, StepStatus};

    fn attempt(pool_us: u64, upstream_us: u64) -> crate::resilience::policy::Attempt {
        serde_json::from_value(serde_json::json!({
            "upstream": "openai", "target": 0, "outcome": "ok", "sent": true, "startedMs": 0,
            "backoffUs": 1_000, "limiterUs": 2_000, "poolUs": pool_us, "upstreamUs": upstream_us,
        }))
        .unwrap()
    }

    fn view(strategy: Strategy) -> RunResult {
        let step = |agent: &str, pool_us, upstream_us| Step {
            status: StepStatus::Succeeded,
            attempts: 1,
            trace: vec![attempt(pool_us, upstream_us)],
            cost_usd: 0.007,
            ..Step::queued(agent)
        };
        serde_json::from_value(serde_json::json!({
            "schemaVersion": 2, "runId": "job_1_aaaaaa", "correlationId": "c", "event": "e",
            "state": RunState::Finished, "strategy": strategy, "simulated": false, "evidence": "full",
            "stale": false, "coverage": {"filesSeen": 0, "filesTotal": 0, "skipped": []},
            "size": {"files": 0, "added": 0, "removed": 0}, "decision": null, "report": null,
            "agents": [step("a", 17_000, 900_000), step("b", 7_000, 1_900_000)],
            "createdAt": 1_000, "durationMs": 1,
        }))
        .unwrap()
    }

    #[test]
    fn agents_at_the_same_time_wait_at_the_same_time_and_one_after_another_add_up() {
        let none = |_: &str| Vec::new();
        let parallel = run_times(&view(Strategy::Parallel), Some(1_500), none);
        assert_eq!(
            (parallel.waited_ms, parallel.model_ms),
            (Some(520), Some(1_900))
        );
        let sequential = run_times(&view(Strategy::Sequential), Some(1_500), none);
        assert_eq!(
            (sequential.waited_ms, sequential.model_ms),
            (Some(530), Some(2_800))
        );
        assert_eq!(micro_usd(&view(Strategy::Parallel)), 14_000);
    }

    #[test]
    fn times_that_nobody_kept_are_unknown_and_not_zero() {
        let none = |_: &str| Vec::new();
        assert_eq!(
            run_times(&view(Strategy::Parallel), None, none),
            RunTimes::default()
        );
        let mut old = view(Strategy::Parallel);
        old.agents[1].trace.clear();
        assert_eq!(run_times(&old, Some(1_500), none), RunTimes::default());
    }

    #[test]
    fn agent_at_work_counts_by_its_ended_phases() {
        let mut run = view(Strategy::Parallel);
        run.agents.truncate(1);
        run.agents[0] = Step {
            status: StepStatus::Running,
            ..Step::queued("a")
        };
        let phase = |kind, from: i64, to: Option<i64>| Phase {
            kind,
            provider: "openai".into(),
            model: "gpt".into(),
            attempt: 1,
            of: 3,
            reason: None,
            started_ms: from,
            ended_ms: to,
            tokens: 0,
        };
        let phases = |_: &str| {
            vec![
                phase(PhaseKind::Queued, 0, Some(300)),
                phase(PhaseKind::Waiting, 300, Some(800)),
                phase(PhaseKind::Retrying, 800, None),
            ]
        };
        let times = run_times(&run, Some(1_000), phases);
        assert_eq!((times.waited_ms, times.model_ms), (Some(300), Some(500)));
    }
}
