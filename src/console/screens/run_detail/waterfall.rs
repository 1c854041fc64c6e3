//! Where an agent's time went: waits, first token, stream, failures, drawn along one time axis for all agents of a
//! run.

use ratatui::text::Span;

use crate::console::theme::{Role, Theme};
use crate::engine::protocol::phase::{Phase, PhaseKind};
use crate::engine::protocol::run::{RunResult, Step, StepStatus};

/// What an agent did for a while.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Piece {
    /// The run, or the agent, waited for its turn.
    Queue,
    /// It waited for a place in a pool, for a rate limit, or to retry.
    Wait,
    /// It was sent, and nothing had come.
    FirstToken,
    /// The answer came.
    Stream,
    /// An attempt failed here.
    Failed,
    /// It did not wait for a provider: rules, or an answer of the cache.
    Own,
}

impl Piece {
    const ALL: [Self; 6] = [
        Self::Queue,
        Self::Wait,
        Self::FirstToken,
        Self::Stream,
        Self::Failed,
        Self::Own,
    ];

    fn sign(self, theme: Theme) -> (&'static str, Role) {
        let (sign, ascii, role) = match self {
            Self::Queue => ("░", ".", Role::Dim),
            Self::Wait => ("┄", "-", Role::Warn),
            Self::FirstToken => ("▒", "=", Role::Dim),
            Self::Stream => ("█", "#", Role::Text),
            Self::Failed => ("✗", "x", Role::Bad),
            Self::Own => ("─", "_", Role::Dim),
        };
        (if theme.ascii { ascii } else { sign }, role)
    }

    fn word(self) -> &'static str {
        match self {
            Self::Queue => "queue",
            Self::Wait => "wait",
            Self::FirstToken => "first token",
            Self::Stream => "stream",
            Self::Failed => "failed",
            Self::Own => "rules",
        }
    }
}

/// What the signs mean.
pub(super) fn legend(theme: Theme) -> String {
    let all = Piece::ALL.map(|p| format!("{} {}", p.sign(theme).0, p.word()));
    all.join("  ")
}

/// One piece, wall time in milliseconds.
type Stretch = (Piece, i64, i64);

/// The time that a run's bars show: wall time in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Timeline {
    /// When the run was accepted; the axis counts from it.
    zero: i64,
    from: i64,
    to: i64,
}

impl Timeline {
    /// Of a run at `now_ms`. A long wait for its turn takes at most half of it.
    pub fn of(run: &RunResult, now_ms: i64) -> Self {
        let zero = run.created_at;
        let starts = run.agents.iter().filter_map(|s| s.started_at);
        let Some(first) = starts.min() else {
            let to = now_ms.max(zero + 1);
            return Self {
                zero,
                from: zero,
                to,
            };
        };
        let ends = run.agents.iter().filter_map(|s| end_of(run, s, now_ms));
        let to = ends.max().unwrap_or(now_ms).max(first + 1);
        let from = zero.max(first - (to - first)).min(first);
        Self { zero, from, to }
    }

    fn span_ms(self) -> i64 {
        (self.to - self.from).max(1)
    }
}

/// When a step ended; of one at work, now. `None`: it has not begun.
fn end_of(run: &RunResult, step: &Step, now_ms: i64) -> Option<i64> {
    let start = step.started_at?;
    let after = |from: i64, ms: u64| from.saturating_add(i64::try_from(ms).unwrap_or(i64::MAX));
    let end = if let Some(took) = step.duration_ms {
        after(start, took)
    } else if run.decision.is_none() {
        now_ms
    } else {
        // It was stopped: with its last call, else with the run.
        let call = step.phases.last().and_then(|p| p.ended_ms);
        let starts = run.agents.iter().filter_map(|s| s.started_at);
        let first = starts.min().unwrap_or(start);
        call.unwrap_or_else(|| after(first, run.duration_ms.unwrap_or(0)))
    };
    Some(end.max(start))
}

/// What an agent did, oldest first; what covers the same time comes later.
fn stretches(run: &RunResult, step: &Step, time: Timeline, now_ms: i64) -> Vec<Stretch> {
    let Some(start) = step.started_at else {
        // It waits as long as the run goes on; then it never began.
        let waits = run.decision.is_none() && step.status == StepStatus::Queued;
        return if waits {
            vec![(Piece::Queue, time.from, now_ms)]
        } else {
            Vec::new()
        };
    };
    let end = end_of(run, step, now_ms).unwrap_or(now_ms);
    let mut out = vec![(Piece::Queue, time.from, start)];
    if step.phases.is_empty() {
        out.extend(of_trace(step, start));
    } else {
        out.extend(of_phases(&step.phases, end));
    }
    let lost = matches!(step.status, StepStatus::Failed | StepStatus::Degraded);
    if lost && step.error.is_some() {
        out.push((Piece::Failed, end, end));
    }
    out
}

fn of_phases(phases: &[Phase], end: i64) -> Vec<Stretch> {
    let mut out = Vec::with_capacity(phases.len() * 2);
    for (n, phase) in phases.iter().enumerate() {
        let piece = match phase.kind {
            PhaseKind::Queued | PhaseKind::RateLimited | PhaseKind::Retrying => Piece::Wait,
            PhaseKind::Waiting => Piece::FirstToken,
            PhaseKind::Streaming => Piece::Stream,
        };
        let to = phase.ended_ms.unwrap_or(end);
        out.push((piece, phase.started_ms, to));
        // After a call the next attempt follows only where it failed.
        let another = |next: &Phase| {
            next.kind == PhaseKind::Retrying
                || (next.attempt, &next.model) != (phase.attempt, &phase.model)
        };
        if !phase.kind.is_wait() && phases.get(n + 1).is_some_and(another) {
            out.push((Piece::Failed, to, to));
        }
    }
    out
}

/// Of a step that an earlier version ran: its attempts, whose first token nobody noted.
fn of_trace(step: &Step, start: i64) -> Vec<Stretch> {
    let ms = |us: u64| i64::try_from(us / 1_000).unwrap_or(0);
    let mut out = Vec::new();
    for attempt in &step.trace {
        let begun = start + i64::try_from(attempt.started_ms).unwrap_or(0);
        let sent = begun + ms(attempt.limiter_us + attempt.pool_us);
        let end = sent + ms(attempt.upstream_us);
        out.push((Piece::Wait, begun - ms(attempt.backoff_us), sent));
        if attempt.outcome == "ok" {
            out.push((Piece::Stream, sent, end));
        } else {
            out.push((Piece::FirstToken, sent, end));
            out.push((Piece::Failed, end, end));
        }
    }
    out
}

/// An agent's bar, `width` cells. Each cell shows what took most of its time; a failure is never hidden.
pub(super) fn bar(
    theme: Theme,
    run: &RunResult,
    step: &Step,
    time: Timeline,
    now_ms: i64,
    width: usize,
) -> Vec<Span<'static>> {
    let cells = cells(run, step, time, now_ms, width);
    let mut spans: Vec<Span<'static>> = Vec::new();
    let mut at = 0;
    while at < cells.len() {
        let same = cells[at..].iter().take_while(|c| **c == cells[at]).count();
        let span = match cells[at] {
            None => Span::raw(" ".repeat(same)),
            Some(piece) => {
                let (sign, role) = piece.sign(theme);
                Span::styled(sign.repeat(same), theme.style(role))
            }
        };
        spans.push(span);
        at += same;
    }
    spans
}

fn cells(
    run: &RunResult,
    step: &Step,
    time: Timeline,
    now_ms: i64,
    width: usize,
) -> Vec<Option<Piece>> {
    if width == 0 {
        return Vec::new();
    }
    let span = time.span_ms() as f64;
    let place = |ms: i64| (ms - time.from) as f64 / span * width as f64;
    let mut covered = vec![[0.0_f64; Piece::ALL.len()]; width];
    let mut paint = |piece: Piece, from: f64, to: f64| {
        let (from, to) = (from.max(0.0), to.min(width as f64));
        let mut cell = from as usize;
        while (cell as f64) < to && cell < width {
            let part = to.min(cell as f64 + 1.0) - from.max(cell as f64);
            covered[cell][piece as usize] += part.max(0.0);
            cell += 1;
        }
    };
    let all = stretches(run, step, time, now_ms);
    for (piece, from, to) in all.iter().filter(|(p, ..)| *p != Piece::Failed) {
        paint(*piece, place(*from), place(*to));
    }
    let mut out: Vec<Option<Piece>> = covered
        .iter()
        .map(|parts| {
            let most = |a: &Piece, b: &Piece| parts[*a as usize].total_cmp(&parts[*b as usize]);
            let best = Piece::ALL.into_iter().max_by(most)?;
            (parts[best as usize] > 0.0).then_some(best)
        })
        .collect();
    if let (Some(start), Some(end)) = (step.started_at, end_of(run, step, now_ms)) {
        // A step is seen however short it was, and what no provider took was its own work.
        let first = (place(start).max(0.0) as usize).min(width - 1);
        let last = (place(end).ceil().max(0.0) as usize).clamp(first + 1, width);
        for cell in out[first..last].iter_mut().filter(|c| c.is_none()) {
            *cell = Some(Piece::Own);
        }
        let seen = |c: &Option<Piece>| *c != Some(Piece::Queue);
        if !out[first..last].iter().any(seen) {
            out[last - 1] = Some(Piece::Own);
        }
    }
    for (_, at, _) in all.iter().filter(|(p, ..)| *p == Piece::Failed) {
        let cell = (place(*at).ceil() as usize).saturating_sub(1);
        out[cell.min(width - 1)] = Some(Piece::Failed);
    }
    out
}

/// A step of an axis that people can read: 1, 2 or 5 times a power of ten, at least `least`.
fn round_step(least: f64) -> f64 {
    let power = 10_f64.powf(least.log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|n| n * power);
    let fits = steps.into_iter().find(|s| *s >= least * 0.999);
    fits.unwrap_or(power * 10.0)
}

/// The axis below the bars: times since the run was accepted, the unit at the first.
pub(super) fn axis(time: Timeline, width: usize) -> String {
    const ROOM: usize = 9;
    let (unit_ms, unit) = match time.span_ms() {
        ms if ms < 1_000 => (1.0, "ms"),
        ms if ms < 600_000 => (1_000.0, "s"),
        ms if ms < 36_000_000 => (60_000.0, "min"),
        _ => (3_600_000.0, "h"),
    };
    let span = time.span_ms() as f64 / unit_ms;
    let ticks = (width / ROOM).max(1) as f64;
    // Times are known to the millisecond.
    let step = round_step(span / ticks).max(1.0 / unit_ms);
    let decimals = usize::from(step < 0.995) + usize::from(step < 0.0995);
    let begin = (time.from - time.zero) as f64 / unit_ms;
    let mut out = String::new();
    let mut tick = (begin / step).ceil();
    while tick * step <= begin + span {
        let at = ((tick * step - begin) / span * width as f64) as usize;
        let unit = if out.trim_end().is_empty() {
            format!(" {unit}")
        } else {
            String::new()
        };
        let label = format!("{:.decimals$}{unit}", tick * step);
        // One blank between labels, and none is cut.
        let taken = out.len() + usize::from(!out.is_empty());
        if at >= taken && at + label.len() <= width {
            out.push_str(&" ".repeat(at - out.len()));
            out.push_str(&label);
        }
        tick += 1.0;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    const T: Theme = Theme {
        color: false,
        ascii: false,
        palette: crate::console::theme::Palette::Terminal,
    };

    fn phase(kind: PhaseKind, attempt: u32, from: i64, to: Option<i64>) -> Phase {
        Phase {
            kind,
            provider: "openai".into(),
            model: "gpt".into(),
            attempt,
            of: 3,
            reason: None,
            started_ms: from,
            ended_ms: to,
            tokens: 0,
        }
    }

    fn run(step: Step, over: bool) -> RunResult {
        let decision = serde_json::json!({
            "action": "manual_review", "reason": "r", "rule": 6, "automated": false,
        });
        let decision = if over {
            decision
        } else {
            serde_json::Value::Null
        };
        serde_json::from_value(serde_json::json!({
            "schemaVersion": 2, "runId": "job_1_aaaaaa", "correlationId": "c", "event": "e",
            "state": if over { "finished" } else { "running" }, "strategy": "parallel",
            "simulated": false, "evidence": "full", "stale": false,
            "coverage": {"filesSeen": 0, "filesTotal": 0, "skipped": []},
            "size": {"files": 0, "added": 0, "removed": 0}, "decision": decision, "report": null,
            "agents": [step], "createdAt": 1_000, "durationMs": null,
        }))
        .unwrap()
    }

    fn drawn(run: &RunResult, now_ms: i64, width: usize) -> String {
        let time = Timeline::of(run, now_ms);
        let spans = bar(T, run, &run.agents[0], time, now_ms, width);
        spans.iter().map(|s| s.content.as_ref()).collect()
    }

    #[test]
    fn waterfall_of_a_step_that_failed_once_shows_every_phase_in_its_place() {
        let step = Step {
            status: StepStatus::Succeeded,
            started_at: Some(2_000),
            duration_ms: Some(9_000),
            phases: vec![
                phase(PhaseKind::Queued, 1, 2_000, Some(3_000)),
                phase(PhaseKind::Waiting, 1, 3_000, Some(5_000)),
                phase(PhaseKind::Retrying, 2, 5_000, Some(6_000)),
                phase(PhaseKind::Waiting, 2, 6_000, Some(7_000)),
                phase(PhaseKind::Streaming, 2, 7_000, Some(10_000)),
            ],
            ..Step::queued("a")
        };
        assert_eq!(drawn(&run(step.clone(), true), 99_000, 10), "░┄▒✗┄▒███─");
        let without = Step {
            phases: Vec::new(),
            ..step
        };
        assert_eq!(drawn(&run(without, true), 99_000, 10), "░─────────");
    }

    #[test]
    fn waterfall_of_a_cancelled_step_ends_with_its_last_call() {
        let step = Step {
            status: StepStatus::Cancelled,
            started_at: Some(1_000),
            phases: vec![phase(PhaseKind::Waiting, 1, 2_000, Some(5_000))],
            ..Step::queued("a")
        };
        let run = run(step, true);
        assert_eq!(drawn(&run, 5_000, 8), "──▒▒▒▒▒▒");
        assert_eq!(drawn(&run, 9_000_000, 8), "──▒▒▒▒▒▒");
    }

    #[test]
    fn waterfall_shows_a_step_that_took_no_time_at_all() {
        let step = Step {
            status: StepStatus::Succeeded,
            started_at: Some(1_010),
            duration_ms: Some(0),
            ..Step::queued("a")
        };
        let mut run = run(step.clone(), true);
        run.agents.push(Step {
            duration_ms: Some(10),
            ..step
        });
        assert_eq!(drawn(&run, 0, 8), "░░░░─   ");
    }

    #[test]
    fn waterfall_of_a_run_at_work_grows_with_the_clock() {
        let step = Step {
            status: StepStatus::Running,
            started_at: Some(1_000),
            phases: vec![
                phase(PhaseKind::Waiting, 1, 1_000, Some(3_000)),
                phase(PhaseKind::Streaming, 1, 3_000, None),
            ],
            ..Step::queued("a")
        };
        let run = run(step, false);
        assert_eq!(drawn(&run, 5_000, 4), "▒▒██");
        assert_eq!(drawn(&run, 9_000, 4), "▒███");
    }

    #[test]
    fn waterfall_of_a_failed_step_ends_with_its_failure_and_a_queued_one_waits() {
        let failed = Step {
            status: StepStatus::Degraded,
            error: Some("openai answered 503".into()),
            started_at: Some(1_000),
            duration_ms: Some(4_000),
            phases: vec![phase(PhaseKind::Waiting, 1, 1_000, Some(5_000))],
            ..Step::queued("a")
        };
        assert_eq!(drawn(&run(failed, true), 9_000, 4), "▒▒▒✗");
        assert_eq!(drawn(&run(Step::queued("a"), false), 9_000, 4), "░░░░");
        assert_eq!(drawn(&run(Step::queued("a"), true), 9_000, 4), "    ");
    }

    #[test]
    fn wait_for_its_turn_takes_at_most_half_of_the_axis() {
        let step = Step {
            status: StepStatus::Succeeded,
            started_at: Some(101_000),
            duration_ms: Some(4_000),
            ..Step::queued("a")
        };
        let run = run(step, true);
        assert_eq!(drawn(&run, 0, 8), "░░░░────");
        let labels = axis(Timeline::of(&run, 0), 40);
        assert_eq!(labels, "96 s      98        100       102");
    }

    #[test]
    fn axis_has_round_times_that_are_never_cut() {
        let time = |to: i64| Timeline {
            zero: 0,
            from: 0,
            to,
        };
        assert_eq!(axis(time(4_000), 41), "0 s       1         2         3");
        assert_eq!(axis(time(900), 30), "0 ms            500");
        assert_eq!(axis(time(3), 40), "0 ms         1            2");
        assert_eq!(axis(time(1_500), 30), "0.0 s     0.5       1.0");
        assert!(axis(time(7_200_000), 60).starts_with("0 min"));
        for width in 0..80 {
            for to in [1, 10, 999, 65_000, 700_000, 90_000_000] {
                assert!(axis(time(to), width).len() <= width);
            }
        }
    }
}
