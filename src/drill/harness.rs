//! What a drill stands on: a simulator, a service with default settings, and two providers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, stream};
use tokio::time::MissedTickBehavior;

use crate::cache::Source;
use crate::model::prompt::Prompt;
use crate::model::provider::ProviderContext;
use crate::model::request::{CompletionOutcome, CompletionRequest, Origin};
use crate::model::service::ModelService;
use crate::model::simulator::{Faults, Simulator, SimulatorSettings};
use crate::model::{Message, Role};
use crate::outbound::egress::system_lookup;
use crate::resilience::clock::{Clock, SystemClock};
use crate::resilience::deadline::Deadline;
use crate::resilience::policy::{Attempt, LayerSet};
use crate::settings::Settings;
use crate::settings::env::Env;
use crate::workspace::models::ModelTable;

/// The provider that a drill makes trouble for.
pub const SICK: &str = "sick";
/// The one that is well.
pub const WELL: &str = "well";

/// `first` is the sick provider's model with the well one's as its fallback, `alone` has none, `other` is
/// the well one's. There is no default: everybody would fall back to it.
const TABLE: &str = r"
version: 1
providers:
  sick: {kind: chat, baseUrl: SIMULATOR/sick/v1}
  well: {kind: chat, baseUrl: SIMULATOR/well/v1}
models:
  first: {provider: sick}
  alone: {provider: sick}
  other: {provider: well}
fallbacks: {first: [other]}
default: nobody
";

pub struct Harness {
    pub simulator: Simulator,
    pub service: Arc<ModelService>,
    pub settings: Settings,
    table: ModelTable,
    clock: Arc<dyn Clock>,
    say: Say,
    asked: AtomicU64,
}

/// One question's end.
pub struct Ended {
    /// When it was asked, after the drill's begin.
    pub at: Instant,
    /// What it took.
    pub took: Duration,
    /// The provider that answered, and where the answer came from.
    pub answer: Option<(String, Source)>,
    /// A short name of why there is none.
    pub error: Option<String>,
    /// Every attempt and refusal.
    pub trace: Vec<Attempt>,
}

impl Ended {
    pub fn ok(&self) -> bool {
        self.answer.is_some()
    }

    pub fn by(&self, provider: &str) -> bool {
        self.answer.as_ref().is_some_and(|(p, _)| p == provider)
    }
}

impl Harness {
    pub async fn new(say: Say) -> Result<Self, String> {
        let simulator = Simulator::start(SimulatorSettings {
            faults: Faults::none(),
            ..SimulatorSettings::default()
        })
        .await
        .map_err(|e| format!("the drill's simulator cannot start: {e}"))?;
        let url = simulator.url().as_str().trim_end_matches('/').to_owned();
        let table: ModelTable = serde_yaml::from_str(&TABLE.replace("SIMULATOR", &url))
            .map_err(|e| format!("the drill's models: {e}"))?;
        let settings = Settings::default();
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let service = with_surroundings(&settings, &clock, |around| {
            ModelService::new(Arc::new(table.clone()), around)
        });
        Ok(Self {
            simulator,
            service: Arc::new(service),
            settings,
            table,
            clock,
            say,
            asked: AtomicU64::new(0),
        })
    }

    /// Other clocks for the sick provider.
    pub fn clocks(&self, first_token: Duration, total: Duration) {
        let mut table = self.table.clone();
        if let Some(sick) = table.providers.get_mut(SICK) {
            sick.timeouts.first_token_ms = millis(first_token);
            sick.timeouts.total_ms = millis(total);
        }
        with_surroundings(&self.settings, &self.clock, |around| {
            self.service.rebuild(Arc::new(table), around);
        });
    }

    pub fn say(&self, line: impl Into<String>) {
        (self.say)(line.into());
    }

    pub fn now(&self) -> Instant {
        self.clock.now()
    }

    /// The layers of a provider.
    pub fn guards(&self, provider: &str) -> Option<LayerSet> {
        let mut found = None;
        self.service.for_each(|name, live| {
            if name == provider {
                found = Some(live.guards.clone());
            }
        });
        found
    }

    /// Questions that reached a provider.
    pub fn reached(&self, provider: &str) -> u64 {
        self.simulator.asked(provider).asked
    }

    /// Asks a question that nobody has asked before.
    pub async fn ask(&self, model: &str, time: Duration) -> Ended {
        let number = self.asked.fetch_add(1, Relaxed);
        self.ask_this(model, &format!("question {number}"), time)
            .await
    }

    /// Asks this question.
    pub async fn ask_this(&self, model: &str, text: &str, time: Duration) -> Ended {
        let at = self.clock.now();
        let asked = self.service.ask(question(model, text, at, time)).await;
        let took = self.clock.now() - at;
        let CompletionOutcome { result, trace, .. } = asked;
        let (answer, error) = match result {
            Ok((answer, source)) => (Some((answer.provider.clone(), source)), None),
            Err(error) => (None, Some(error.class())),
        };
        Ended {
            at,
            took,
            answer,
            error,
            trace,
        }
    }

    /// So many new questions, so many at once.
    pub async fn many(
        &self,
        count: usize,
        at_once: usize,
        model: &str,
        time: Duration,
    ) -> Vec<Ended> {
        stream::iter(0..count)
            .map(|_| self.ask(model, time))
            .buffer_unordered(at_once)
            .collect()
            .await
    }

    /// New questions at a fixed rate, however long the answers take.
    pub async fn at_rate(
        &self,
        a_second: u32,
        lasting: Duration,
        model: &str,
        time: Duration,
    ) -> Vec<Ended> {
        let mut tick = tokio::time::interval(Duration::from_secs(1) / a_second);
        tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let count = (lasting.as_secs_f64() * f64::from(a_second)) as usize;
        let ticks = stream::unfold(tick, |mut tick| async move {
            tick.tick().await;
            Some(((), tick))
        });
        ticks
            .take(count)
            .map(|()| self.ask(model, time))
            .buffer_unordered(count.max(1))
            .collect()
            .await
    }
}

/// A question as an agent's step asks it.
pub fn question(model: &str, text: &str, now: Instant, time: Duration) -> CompletionRequest {
    let prompt = Prompt {
        system: "Answer with a verdict.".into(),
        messages: vec![Message::new(Role::User, text.to_owned())],
        left_out: Vec::new(),
    };
    CompletionRequest {
        wanted: Some(model.to_owned()),
        task: "drill".into(),
        max_output_tokens: 500,
        tenant: "drill".into(),
        origin: Origin {
            run: String::new(),
            agent: "drill".into(),
            correlation: "drill".into(),
        },
        ..CompletionRequest::for_verdict(Arc::new(prompt), Deadline::after(now, time))
    }
}

fn with_surroundings<T>(
    settings: &Settings,
    clock: &Arc<dyn Clock>,
    make: impl FnOnce(&ProviderContext<'_>) -> T,
) -> T {
    make(&ProviderContext {
        settings,
        env: &Env::default(),
        simulator: None,
        clock,
        lookup: &system_lookup(),
    })
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

/// Says a line about what happens.
pub type Say = Arc<dyn Fn(String) + Send + Sync>;

/// How thorough a drill is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Length {
    /// Seconds.
    Short,
    /// Minutes, with the waits of real life.
    Full,
}
