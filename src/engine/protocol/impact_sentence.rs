//! The sentence that the facts of an [`Impact`] make, in plain English: for people on every face.

use jiff::Zoned;

use crate::engine::protocol::impact::{Impact, ImpactCause};
use crate::text::clean_line;

impl Impact {
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
    use crate::engine::protocol::impact::ImpactKind;

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
