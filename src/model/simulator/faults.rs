//! What the simulator does wrong, and how often: data, so that it can be written into a file, sent to it
//! while it runs, and picked by name.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// How long until an answer begins.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", untagged)]
pub enum Latency {
    /// Always the same, milliseconds.
    Fixed(u64),
    /// Evenly between the two, milliseconds.
    Between {
        /// Shortest.
        from: u64,
        /// Longest.
        to: u64,
    },
    /// Log-normal, as model servers are: half below `p50`, one in a hundred above `p99`, milliseconds.
    #[serde(rename_all = "camelCase")]
    Spread {
        /// The median.
        p50: u64,
        /// One in a hundred is longer.
        p99: u64,
    },
}

impl Latency {
    /// A latency, by two even random numbers from 0 to 1.
    pub fn draw(self, one: f64, other: f64) -> u64 {
        match self {
            Self::Fixed(ms) => ms,
            Self::Between { from, to } => from + (one * (to.saturating_sub(from)) as f64) as u64,
            Self::Spread { p50, p99 } => {
                let (p50, p99) = (p50.max(1) as f64, p99.max(p50).max(1) as f64);
                // 2.326 standard deviations above the median lies the 99th percentile.
                let sigma = (p99 / p50).ln() / 2.326;
                let radius = (-2.0 * one.max(1e-12).ln()).sqrt();
                let normal = radius * (2.0 * std::f64::consts::PI * other).cos();
                (p50 * (sigma * normal).exp()).min(600_000.0) as u64
            }
        }
    }
}

/// How a refusal says when to come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "form")]
pub enum RetryAfter {
    /// `retry-after-ms`.
    Millis {
        /// Milliseconds.
        ms: u64,
    },
    /// `retry-after`, whole seconds.
    Seconds {
        /// Milliseconds, rounded up.
        ms: u64,
    },
    /// `retry-after`, seconds with a fraction.
    Fraction {
        /// Milliseconds.
        ms: u64,
    },
    /// `retry-after`, an HTTP date.
    Date {
        /// Milliseconds until then.
        ms: u64,
    },
    /// `x-should-retry: false`.
    Never,
}

/// One thing that can go wrong.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "fault")]
pub enum Fault {
    /// An answer of this status.
    #[serde(rename_all = "camelCase")]
    Status {
        /// The status.
        status: u16,
        /// `error.code`.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        code: Option<String>,
        /// When to come back.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        retry_after: Option<RetryAfter>,
    },
    /// 429, and the account's quota is what is used up.
    Quota,
    /// A proxy's page instead of an answer.
    Page,
    /// Nothing comes, not even a status.
    Stall,
    /// A stream that begins with keep-alives and never says anything.
    KeepAlive,
    /// Half of the answer, then nothing more.
    StallMidway,
    /// Half of the answer, then a clean end.
    Truncate,
    /// Half of the answer, then the connection breaks.
    BreakMidway,
    /// The connection breaks before anything is answered.
    Reset,
    /// An error inside an answer that began well.
    ErrorInside,
    /// Bytes that mean nothing.
    Garbage,
    /// An answer that does not end.
    Huge,
    /// It stops at its length.
    CutOff,
    /// The model refuses.
    Refuse,
    /// A complete answer that says nothing.
    Empty,
    /// A complete answer that is none of what was asked for.
    Prose,
    /// The last mark (`[DONE]`) is missing, all else is there. Harmless.
    NoEnd,
    /// Every byte for itself, code points in pieces. Harmless.
    Bytewise,
}

/// A fault and its share.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Share {
    /// Of a hundred answers so many.
    pub percent: f64,
    /// What happens to them.
    #[serde(flatten)]
    pub fault: Fault,
}

/// How one provider behaves.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Faults {
    /// Until an answer begins; a refusal waits as long.
    pub latency: Latency,
    /// Between two pieces of a stream, milliseconds.
    pub piece_ms: u64,
    /// What goes wrong. Shares are taken one after another; what is left of a hundred is answered well.
    pub shares: Vec<Share>,
}

impl Default for Faults {
    fn default() -> Self {
        Self {
            latency: Latency::Between {
                from: 300,
                to: 1_500,
            },
            piece_ms: 20,
            shares: Vec::new(),
        }
    }
}

impl Faults {
    /// No wait and nothing wrong.
    pub fn none() -> Self {
        Self::after(Latency::Fixed(0))
    }

    /// Nothing wrong, after a wait, and all of it at once.
    pub fn after(latency: Latency) -> Self {
        Self {
            latency,
            piece_ms: 0,
            shares: Vec::new(),
        }
    }

    /// With one more fault.
    #[must_use]
    pub fn with(mut self, percent: f64, fault: Fault) -> Self {
        self.shares.push(Share { percent, fault });
        self
    }

    /// What no provider could do.
    fn check(&self) -> Result<(), String> {
        let ordered = match self.latency {
            Latency::Fixed(_) => true,
            Latency::Between { from, to } => from <= to,
            Latency::Spread { p50, p99 } => p50 <= p99,
        };
        if !ordered {
            return Err("latency: the first figure must not be above the second".into());
        }
        let good = |p: f64| (0.0..=100.0).contains(&p);
        let sum: f64 = self.shares.iter().map(|s| s.percent).sum();
        if !self.shares.iter().all(|s| good(s.percent)) || !good(sum) {
            return Err("percent: each and all together from 0 to 100".into());
        }
        for share in &self.shares {
            if let Fault::Status { status, .. } = share.fault
                && !(300..600).contains(&status)
            {
                return Err(format!("status: {status} is none from 300 to 599"));
            }
        }
        Ok(())
    }

    /// The fault that a number from 0 to 100 falls upon.
    pub fn pick(&self, draw: f64) -> Option<&Fault> {
        let mut below = 0.0;
        self.shares.iter().find_map(|share| {
            below += share.percent;
            (draw < below).then_some(&share.fault)
        })
    }
}

/// Behaviour by name, with what it is.
pub const PRESETS: &[(&str, &str)] = &[
    ("healthy", "answers after 0.3 to 1.5 s"),
    ("instant", "answers at once"),
    ("outage", "503 at once, always"),
    ("down", "breaks every connection"),
    ("slow", "answers after 29 s"),
    ("flaky", "503 for about half of the questions"),
    ("rate-limited", "429 with retry-after for four of ten"),
    ("quota", "429: the account's quota is used up"),
    ("stall", "nothing comes, not even a status"),
    ("stall-midway", "half of an answer, then nothing"),
    ("truncated", "half of an answer, then the end"),
    ("garbage", "bytes that mean nothing"),
    ("drip", "a piece every 400 ms"),
    ("huge", "answers that do not end"),
    ("brownout", "5 to 10 s, and 529 for every fifth"),
    ("unauthorized", "401, always"),
];

/// A preset by its name.
pub fn preset(name: &str) -> Option<Faults> {
    let status = |status, retry_after| Fault::Status {
        status,
        code: None,
        retry_after,
    };
    let at_once = || Faults::none();
    Some(match name {
        "healthy" => Faults::default(),
        "instant" => at_once(),
        "outage" => at_once().with(100.0, status(503, None)),
        "down" => at_once().with(100.0, Fault::Reset),
        "slow" => Faults::after(Latency::Fixed(29_000)),
        "flaky" => {
            Faults::after(Latency::Between { from: 20, to: 80 }).with(50.0, status(503, None))
        }
        "rate-limited" => at_once().with(40.0, status(429, Some(RetryAfter::Millis { ms: 500 }))),
        "quota" => at_once().with(100.0, Fault::Quota),
        "stall" => at_once().with(100.0, Fault::Stall),
        "stall-midway" => at_once().with(100.0, Fault::StallMidway),
        "truncated" => at_once().with(100.0, Fault::Truncate),
        "garbage" => at_once().with(100.0, Fault::Garbage),
        "drip" => Faults {
            piece_ms: 400,
            ..at_once()
        },
        "huge" => at_once().with(100.0, Fault::Huge),
        "brownout" => Faults::after(Latency::Between {
            from: 5_000,
            to: 10_000,
        })
        .with(20.0, status(529, None)),
        "unauthorized" => at_once().with(100.0, status(401, None)),
        _ => return None,
    })
}

/// A change of behaviour: by name, or all of it. Of one provider, or of all.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Switch {
    /// Milliseconds after the simulator's start; 0: at once.
    pub at_ms: u64,
    /// Whose; none: everybody's.
    pub provider: Option<String>,
    /// By name.
    pub preset: Option<String>,
    /// Or in full.
    pub faults: Option<Faults>,
}

/// How everybody behaves.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Behaviour {
    /// Who has none of their own.
    pub all: Faults,
    /// By provider.
    pub providers: BTreeMap<String, Faults>,
}

impl Behaviour {
    /// One provider's.
    pub fn of(&self, provider: &str) -> &Faults {
        self.providers.get(provider).unwrap_or(&self.all)
    }

    /// Takes a change in.
    ///
    /// # Errors
    /// A sentence, when it names no preset, or neither or both.
    pub fn switch(&mut self, switch: &Switch) -> Result<(), String> {
        let faults = match (&switch.preset, &switch.faults) {
            (Some(name), None) => preset(name).ok_or_else(|| {
                let known: Vec<&str> = PRESETS.iter().map(|(n, _)| *n).collect();
                let shown = crate::text::clean_line(name, 40);
                format!(
                    "there is no preset '{shown}'; there are {}",
                    known.join(", ")
                )
            })?,
            (None, Some(faults)) => faults.clone(),
            _ => return Err("either preset or faults is needed, and not both".into()),
        };
        faults.check()?;
        match &switch.provider {
            Some(provider) => {
                self.providers.insert(provider.clone(), faults);
            }
            None => {
                self.providers.clear();
                self.all = faults;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_preset_is_there_and_survives_json_and_yaml() {
        for (name, _) in PRESETS {
            let faults = preset(name).unwrap();
            let json = serde_json::to_string(&faults).unwrap();
            assert_eq!(
                serde_json::from_str::<Faults>(&json).unwrap(),
                faults,
                "{json}"
            );
            let yaml = serde_yaml::to_string(&faults).unwrap();
            assert_eq!(
                serde_yaml::from_str::<Faults>(&yaml).unwrap(),
                faults,
                "{yaml}"
            );
        }
        assert_eq!(preset("nothing"), None);
    }

    #[test]
    fn shares_and_latencies_fall_as_they_are_written() {
        let faults = Faults::none()
            .with(10.0, Fault::Quota)
            .with(5.0, Fault::Reset);
        let picked = |draw| faults.pick(draw).cloned();
        assert_eq!(picked(9.9), Some(Fault::Quota));
        assert_eq!(picked(14.9), Some(Fault::Reset));
        assert_eq!(picked(15.0), None);
        let spread = Latency::Spread {
            p50: 100,
            p99: 1_000,
        };
        let mut drawn: Vec<u64> = (0..100)
            .flat_map(|i| {
                (0..100).map(move |j| {
                    spread.draw((f64::from(i) + 0.5) / 100.0, (f64::from(j) + 0.5) / 100.0)
                })
            })
            .collect();
        drawn.sort_unstable();
        assert!((90..=110).contains(&drawn[5_000]), "{}", drawn[5_000]);
        assert!((800..=1_250).contains(&drawn[9_900]), "{}", drawn[9_900]);
    }

    #[test]
    fn a_switch_is_one_providers_or_everybodys() {
        let mut behaviour = Behaviour::default();
        let switch = |provider: Option<&str>, preset: &str| Switch {
            provider: provider.map(str::to_owned),
            preset: Some(preset.into()),
            ..Switch::default()
        };
        behaviour.switch(&switch(Some("a"), "outage")).unwrap();
        assert_ne!(behaviour.of("a"), behaviour.of("b"));
        behaviour.switch(&switch(None, "down")).unwrap();
        assert_eq!(behaviour.of("a"), behaviour.of("b"));
        assert!(
            behaviour
                .switch(&switch(None, "\x1b[2J"))
                .unwrap_err()
                .contains("outage")
        );
        assert!(behaviour.switch(&Switch::default()).is_err());
        let status = |status| Fault::Status {
            status,
            code: None,
            retry_after: None,
        };
        for bad in [
            Faults::after(Latency::Between { from: 2, to: 1 }),
            Faults::after(Latency::Spread { p50: 2, p99: 1 }),
            Faults::none().with(150.0, Fault::Quota),
            Faults::none().with(-1.0, Fault::Quota),
            Faults::none()
                .with(60.0, Fault::Quota)
                .with(60.0, Fault::Reset),
            Faults::none().with(1.0, status(42)),
        ] {
            let switch = Switch {
                faults: Some(bad.clone()),
                ..Switch::default()
            };
            assert!(behaviour.switch(&switch).is_err(), "{bad:?}");
        }
    }
}
