//! What the engine's state means for work, worst first: facts with a type, and the sentence they make.
//!
//! Why facts and not only a sentence: a narrow screen leaves parts out, a script reads numbers, and times are
//! absolute so that a snapshot stands still while a face counts the seconds.

use jiff::Zoned;
use serde::{Deserialize, Serialize};

use crate::engine::protocol::why::About;
use crate::text::clean_line;

/// A median of answered calls above this is slow, milliseconds: a review takes a few seconds.
pub const SLOW_P50_MS: u32 = 10_000;
/// A 99th percentile above this is slow, milliseconds.
pub const SLOW_P99_MS: u32 = 30_000;

/// How bad it is, worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ImpactKind {
    /// Work is refused, or ends undecided.
    Down,
    /// Work waits.
    Slow,
    /// Something needs a look.
    Warn,
    /// No run is accepted, by choice.
    Drained,
    /// No model is asked.
    Offline,
    /// Models are the simulator: no decision is evidence.
    Simulated,
    /// It is not known yet.
    Unknown,
    /// Nothing has run for an hour.
    Idle,
    /// Work is done.
    Ok,
}

impl ImpactKind {
    /// The word that leads the sentence.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Down => "DOWN",
            Self::Slow => "SLOW",
            Self::Warn => "WARN",
            Self::Drained => "DRAINED",
            Self::Offline => "OFFLINE",
            Self::Simulated => "SIMULATED",
            Self::Unknown => "UNKNOWN",
            Self::Idle => "IDLE",
            Self::Ok => "OK",
        }
    }
}

/// What it is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ImpactCause {
    /// A provider's breaker is open or on trial.
    ProviderRefuses,
    /// An operator isolated a provider.
    ProviderIsolated,
    /// A provider refused every key.
    KeysRefused,
    /// A provider has a key and cannot be asked; [`Impact::message`] says why.
    ProviderNotReady,
    /// No provider that is set up can be asked.
    AllProvidersRefuse,
    /// Calls are made and none is answered.
    NoAnswer,
    /// A part of the calls is not answered.
    CallsFail,
    /// Runs end undecided, or could not be kept.
    RunsUndecided,
    /// Runs were not accepted; [`Impact::message`] says why.
    RunsRefused,
    /// Calls wait for a pool.
    PoolFull,
    /// A provider answers 429.
    RateLimited,
    /// A provider answers slowly.
    SlowAnswers,
    /// A reason of health; [`Impact::message`] says which.
    Health,
    /// An operator drained the engine.
    Drained,
    /// Started with `--offline`.
    Offline,
    /// No provider can be asked, and none is down: no key is set, or nothing may leave the machine.
    NoModel,
    /// Started with `--simulate`.
    Simulated,
    /// A check has not looked yet, or cannot.
    NotKnown,
    /// Nothing has run for an hour.
    Idle,
    /// Runs are decided.
    Working,
}

/// One finding. A fact that does not apply is zero, empty or absent, and is not in the JSON.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Impact {
    /// How bad it is.
    pub kind: ImpactKind,
    /// Why.
    pub cause: ImpactCause,
    /// The provider, pool or check, or several of them; harmless.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub subjects: Vec<String>,
    /// What explains it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub about: Option<About>,
    /// Health's own sentence, or why; harmless.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
    /// Since when, wall time in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since_ms: Option<i64>,
    /// Runs that ended undecided since then (or within [`Impact::window_s`]).
    #[serde(default, skip_serializing_if = "is_zero")]
    pub undecided: u64,
    /// Runs that were not accepted in that time.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub refused: u64,
    /// Runs that ended or were not accepted in that time.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub of: u64,
    /// The window of the counts, seconds; 0: since [`Impact::since_ms`].
    #[serde(default, skip_serializing_if = "is_zero")]
    pub window_s: u64,
    /// Calls that another provider answered instead.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub fell_back: u64,
    /// The newest provider that did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fallback: Option<String>,
    /// When the provider is tried again, wall time in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_attempt_ms: Option<i64>,
    /// Seconds that calls back off after a 429.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backoff_s: Option<u64>,
    /// Calls that were not answered, or got 429, or waited, in the window.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub calls: u64,
    /// All calls of the window.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub calls_of: u64,
    /// Calls that wait now.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub waiting: u64,
    /// Calls at once now, adapted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub allowed: Option<u32>,
    /// Calls at once, as configured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Since when the oldest of them waits, wall time in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub oldest_ms: Option<i64>,
    /// Runs decided within the last hour.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub decided: u64,
    /// Of those, with full evidence.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub full: u64,
    /// Runs at work now.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub at_work: u64,
    /// Spent today (UTC), millionths of a dollar.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub micro_usd: u64,
    /// Median of answered calls, milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p50_ms: Option<u64>,
    /// 99th percentile of answered calls, milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub p99_ms: Option<u64>,
    /// When the newest run ended, wall time in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_run_ms: Option<i64>,
    /// When a model last answered, wall time in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_answer_ms: Option<i64>,
    /// Variables to set, one of which is enough.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub variables: Vec<String>,
    /// What helps, by the name of the console's action.
    pub action: String,
    /// The page that says what to do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runbook: Option<String>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's signature")]
fn is_zero(count: &u64) -> bool {
    *count == 0
}

impl Impact {
    /// A finding without facts.
    pub fn new(kind: ImpactKind, cause: ImpactCause, action: &str) -> Self {
        Self {
            kind,
            cause,
            subjects: Vec::new(),
            about: None,
            message: None,
            since_ms: None,
            undecided: 0,
            refused: 0,
            of: 0,
            window_s: 0,
            fell_back: 0,
            fallback: None,
            next_attempt_ms: None,
            backoff_s: None,
            calls: 0,
            calls_of: 0,
            waiting: 0,
            allowed: None,
            limit: None,
            oldest_ms: None,
            decided: 0,
            full: 0,
            at_work: 0,
            micro_usd: 0,
            p50_ms: None,
            p99_ms: None,
            last_run_ms: None,
            last_answer_ms: None,
            variables: Vec::new(),
            action: action.to_owned(),
            runbook: None,
        }
    }

    /// The sentence, without the kind's word.
    pub fn sentence(&self, now: &Zoned) -> String {
        self.parts(now).join(" · ")
    }

    /// The sentence's parts, the most telling first: a narrow screen leaves out the last ones.
    pub fn parts(&self, now: &Zoned) -> Vec<String> {
        let mut parts = vec![self.head(now)];
        parts.extend(self.runs());
        parts.extend(self.help(now));
        parts
    }

    fn head(&self, now: &Zoned) -> String {
        let who = names(&self.subjects);
        let since = self
            .since_ms
            .map_or_else(String::new, |at| format!(" since {}", age(at, now)));
        match self.cause {
            ImpactCause::ProviderRefuses => format!("{who} refuses{since}"),
            ImpactCause::ProviderIsolated => format!("{who} is isolated by an operator{since}"),
            ImpactCause::KeysRefused => format!("{who} refuses every key{since}"),
            ImpactCause::ProviderNotReady => format!(
                "{who} cannot be asked: {}",
                self.message.as_deref().unwrap_or("unknown")
            ),
            ImpactCause::AllProvidersRefuse => format!("no provider answers ({who}){since}"),
            ImpactCause::NoAnswer => format!(
                "no call was answered in the last {}: {} of {} failed or were refused",
                span_s(self.window_s),
                self.calls,
                self.calls_of
            ),
            ImpactCause::CallsFail => format!(
                "{} of {} calls were not answered in the last {}",
                self.calls,
                self.calls_of,
                span_s(self.window_s)
            ),
            ImpactCause::RunsUndecided => "runs end without a decision".to_owned(),
            ImpactCause::RunsRefused => format!(
                "runs were refused, {}",
                self.message.as_deref().unwrap_or("why is unknown")
            ),
            ImpactCause::PoolFull => self.queue(&who, now),
            ImpactCause::RateLimited => format!(
                "{who} answered 429 to {} of {} calls in the last {}",
                self.calls,
                self.calls_of,
                span_s(self.window_s)
            ),
            ImpactCause::SlowAnswers => format!("{who} answers slowly"),
            ImpactCause::Health | ImpactCause::NotKnown => {
                format!("{}{since}", self.message.as_deref().unwrap_or("unknown"))
            }
            ImpactCause::Drained => format!("drained{since}, no run is accepted"),
            ImpactCause::Offline => "models are not asked (--offline), rules alone decide".into(),
            ImpactCause::NoModel => match &self.message {
                Some(why) => format!("no model can be asked ({why}), rules alone decide"),
                None => "no model can be asked, rules alone decide".to_owned(),
            },
            ImpactCause::Simulated => "models are simulated, no decision is evidence".to_owned(),
            ImpactCause::Idle => match self.last_run_ms {
                Some(at) => format!("nothing has run since {}", clock(at, now)),
                None => "nothing has run yet".to_owned(),
            },
            ImpactCause::Working => self.working(),
        }
    }

    fn queue(&self, who: &str, now: &Zoned) -> String {
        let limit = self
            .allowed
            .map_or_else(String::new, |n| format!(" (limit {n})"));
        let oldest = self
            .oldest_ms
            .map_or_else(String::new, |at| format!(", oldest {}", age(at, now)));
        format!(
            "queue: {} of {} calls waited for pool {who}{limit}{oldest}",
            self.calls, self.calls_of
        )
    }

    fn working(&self) -> String {
        if self.decided == 0 {
            return format!(
                "{} at work, none decided in the last hour",
                runs(self.at_work)
            );
        }
        let evidence = if self.full == self.decided {
            "all with full evidence".to_owned()
        } else {
            format!("{} with full evidence", self.full)
        };
        format!(
            "{} decided in the last hour, {evidence}",
            runs(self.decided)
        )
    }

    /// What it means for runs.
    fn runs(&self) -> Vec<String> {
        let mut parts = Vec::new();
        let window = match self.window_s {
            0 => String::new(),
            s => format!(" in the last {}", span_s(s)),
        };
        if self.undecided > 0 {
            parts.push(format!(
                "{} of {} undecided{window}",
                self.undecided,
                runs(self.of)
            ));
        }
        if self.refused > 0 {
            parts.push(format!("{} refused{window}", runs(self.refused)));
        }
        if self.fell_back > 0 {
            let to = self
                .fallback
                .as_ref()
                .map_or_else(String::new, |name| format!(" to {}", clean_line(name, 40)));
            parts.push(format!("{} fell back{to}", self.fell_back));
        }
        match self.cause {
            ImpactCause::Drained if self.at_work > 0 => {
                parts.push(format!("{} at work", runs(self.at_work)));
            }
            ImpactCause::Offline | ImpactCause::NoModel | ImpactCause::Simulated
                if self.decided > 0 =>
            {
                parts.push(format!("{} decided in the last hour", runs(self.decided)));
            }
            _ => {}
        }
        parts
    }

    /// What comes next, and further figures.
    fn help(&self, now: &Zoned) -> Vec<String> {
        let mut parts = Vec::new();
        if let Some(at) = self.next_attempt_ms {
            let left = at - now.timestamp().as_millisecond();
            parts.push(if left > 0 {
                format!("next attempt in {}", span((left + 999) / 1_000 * 1_000))
            } else {
                "the next call is an attempt".to_owned()
            });
        }
        if let Some(s) = self.backoff_s {
            parts.push(format!("backing off {s} s"));
        }
        if self.cause == ImpactCause::RateLimited
            && let (Some(allowed), Some(limit)) = (self.allowed, self.limit)
            && allowed < limit
        {
            parts.push(format!("adaptive limit {allowed} (configured {limit})"));
        }
        if !self.variables.is_empty() {
            parts.push(format!("set {}", self.variables.join(" or ")));
        }
        if self.micro_usd > 0 {
            let note = if self.cause == ImpactCause::Simulated {
                " simulated"
            } else {
                ""
            };
            parts.push(format!("${:.2}{note}", self.micro_usd as f64 / 1e6));
        }
        if self.cause == ImpactCause::SlowAnswers
            && let Some(ms) = self.p50_ms
        {
            parts.push(format!("p50 {}", took(ms)));
        }
        if let Some(ms) = self.p99_ms {
            parts.push(format!("p99 {}", took(ms)));
        }
        if self.cause == ImpactCause::Idle {
            parts.push(match self.last_answer_ms {
                Some(at) => format!("models not checked for {}", age(at, now)),
                None => "models not checked since the start".to_owned(),
            });
        }
        parts
    }
}

fn age(at_ms: i64, now: &Zoned) -> String {
    span(now.timestamp().as_millisecond() - at_ms)
}

/// `openai`, `openai and anthropic`, `openai, anthropic and 2 more`.
fn names(subjects: &[String]) -> String {
    let clean: Vec<String> = subjects.iter().map(|s| clean_line(s, 40)).collect();
    match clean.as_slice() {
        [] => String::new(),
        [one] => one.clone(),
        [one, two] => format!("{one} and {two}"),
        [one, two, rest @ ..] => format!("{one}, {two} and {} more", rest.len()),
    }
}

fn runs(count: u64) -> String {
    format!("{count} run{}", if count == 1 { "" } else { "s" })
}

/// `41 s`, `12 min`, `3 h`, `2 d`.
fn span(ms: i64) -> String {
    match ms.max(0) / 1_000 {
        s if s < 120 => format!("{s} s"),
        s if s < 7_200 => format!("{} min", s / 60),
        s if s < 172_800 => format!("{} h", s / 3_600),
        s => format!("{} d", s / 86_400),
    }
}

/// A window's length: `minute`, `15 min`, `hour`.
fn span_s(seconds: u64) -> String {
    match seconds {
        60 => "minute".to_owned(),
        3_600 => "hour".to_owned(),
        s => span(i64::try_from(s).unwrap_or(i64::MAX / 1_000) * 1_000),
    }
}

/// `850 ms`, `1.9 s`, `30 s`.
fn took(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..10_000 => format!("{:.1} s", ms as f64 / 1_000.0),
        _ => format!("{} s", ms / 1_000),
    }
}

/// The time of day, with the date where that is another day's.
fn clock(at_ms: i64, now: &Zoned) -> String {
    let at = jiff::Timestamp::from_millisecond(at_ms)
        .unwrap_or_default()
        .to_zoned(now.time_zone().clone());
    let form = if at.date() == now.date() {
        "%H:%M"
    } else {
        "%-d %b %H:%M"
    };
    at.strftime(form).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Zoned {
        let at: jiff::Timestamp = "2026-11-27T17:02:41Z".parse().unwrap();
        at.to_zoned(jiff::tz::TimeZone::UTC)
    }

    fn ago(s: i64) -> Option<i64> {
        Some(now().timestamp().as_millisecond() - s * 1_000)
    }

    fn impact(kind: ImpactKind, cause: ImpactCause, subjects: &[&str]) -> Impact {
        Impact {
            subjects: subjects.iter().map(|s| (*s).to_owned()).collect(),
            ..Impact::new(kind, cause, "why")
        }
    }

    #[test]
    fn sentences_are_those_of_the_design() {
        let down = Impact {
            since_ms: ago(41),
            undecided: 12,
            of: 12,
            fell_back: 3,
            next_attempt_ms: ago(-6),
            ..impact(ImpactKind::Down, ImpactCause::ProviderRefuses, &["openai"])
        };
        let slow = Impact {
            calls: 335,
            calls_of: 487,
            allowed: Some(10),
            limit: Some(10),
            oldest_ms: ago(21),
            ..impact(ImpactKind::Slow, ImpactCause::PoolFull, &["openai"])
        };
        let ok = Impact {
            decided: 96,
            full: 96,
            micro_usd: 1_320_000,
            p99_ms: Some(1_900),
            ..impact(ImpactKind::Ok, ImpactCause::Working, &[])
        };
        let idle = Impact {
            last_run_ms: ago(3 * 3_600),
            last_answer_ms: ago(3 * 3_600 + 60),
            ..impact(ImpactKind::Idle, ImpactCause::Idle, &[])
        };
        for (impact, wanted) in [
            (
                &down,
                "openai refuses since 41 s · 12 of 12 runs undecided · 3 fell back · next attempt in 6 s",
            ),
            (
                &slow,
                "queue: 335 of 487 calls waited for pool openai (limit 10), oldest 21 s",
            ),
            (
                &ok,
                "96 runs decided in the last hour, all with full evidence · $1.32 · p99 1.9 s",
            ),
            (
                &idle,
                "nothing has run since 14:02 · models not checked for 3 h",
            ),
        ] {
            assert_eq!(impact.sentence(&now()), wanted);
        }
        assert_eq!(down.parts(&now()).len(), 4);
    }

    #[test]
    fn sentence_of_every_cause_is_harmless_and_its_json_reads_itself() {
        for (kind, cause) in [
            (ImpactKind::Down, ImpactCause::AllProvidersRefuse),
            (ImpactKind::Down, ImpactCause::NoAnswer),
            (ImpactKind::Warn, ImpactCause::CallsFail),
            (ImpactKind::Warn, ImpactCause::RunsUndecided),
            (ImpactKind::Slow, ImpactCause::RateLimited),
            (ImpactKind::Slow, ImpactCause::SlowAnswers),
            (ImpactKind::Drained, ImpactCause::Drained),
            (ImpactKind::Offline, ImpactCause::NoModel),
            (ImpactKind::Simulated, ImpactCause::Simulated),
        ] {
            let impact = Impact {
                since_ms: ago(3),
                window_s: 60,
                ..impact(kind, cause, &["a\u{1b}[31m", "b", "c"])
            };
            let sentence = impact.sentence(&now());
            assert!(
                !sentence.is_empty() && !sentence.contains('\u{1b}'),
                "{sentence}"
            );
            let json = serde_json::to_string(&impact).unwrap();
            assert_eq!(serde_json::from_str::<Impact>(&json).unwrap(), impact);
        }
        let yesterday = Impact {
            last_run_ms: ago(86_400),
            ..impact(ImpactKind::Idle, ImpactCause::Idle, &[])
        };
        assert!(yesterday.sentence(&now()).contains("since 26 Nov 17:02"));
    }
}
