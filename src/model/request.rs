//! A question, for whom it is asked, and how it ended.

use std::sync::Arc;
use std::time::Duration;

use super::RequestOptions;
use super::error::ModelError;
use crate::cache::Source;
use crate::model::answer::Answer;
use crate::model::prompt::Question;
use crate::model::provider_request::Format;
use crate::model::stream_fanout::Subscriber;
use crate::model::tokens::Tokens;
use crate::resilience::Rejection;
use crate::resilience::bulkhead::Lane;
use crate::resilience::deadline::Deadline;
use crate::resilience::policy::{Attempt, Classify as _};
use crate::review::verdict;

/// What an answer is for. Answers for one purpose are never given for another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// An agent's verdict in a run.
    Verdict,
    /// A person's question.
    Chat,
}

/// One question.
#[derive(Clone)]
pub struct CompletionRequest {
    /// A model that is wanted before the route's.
    pub wanted: Option<String>,
    /// The task.
    pub task: String,
    /// `low`, `medium`, `high`, `critical`.
    pub complexity: String,
    /// It needs the web.
    pub search: bool,
    /// What is asked.
    pub question: Arc<dyn Question>,
    /// The form of the answer.
    pub format: Format,
    /// What is asked for beyond words.
    pub extras: Arc<RequestOptions>,
    /// Randomness, 0 to 2; none: the model's own.
    pub temperature: Option<f64>,
    /// Longest answer, tokens; a model's own limit may be lower.
    pub max_output_tokens: u32,
    /// What it is for.
    pub purpose: Purpose,
    /// For whom; answers are never shared between tenants.
    pub tenant: String,
    /// When all of it must be over.
    pub deadline: Deadline,
    /// How urgent.
    pub lane: Lane,
    /// For whom.
    pub origin: Origin,
    /// Says whether a complete answer is what was asked for; only such answers are cached.
    pub validate: fn(&Answer) -> Result<(), String>,
    /// Hears the answer while it comes.
    pub listener: Option<Subscriber>,
}

impl CompletionRequest {
    /// A question whose answer must be a verdict, as reviews ask it: the rest is the asker's to set.
    pub fn for_verdict(question: Arc<dyn Question>, deadline: Deadline) -> Self {
        Self {
            wanted: None,
            task: String::new(),
            complexity: "low".into(),
            search: false,
            question,
            format: Format::Json {
                name: "verdict".into(),
                description: None,
                schema: verdict::schema(),
                strict: true,
            },
            extras: RequestOptions::none(),
            temperature: Some(STEADY),
            max_output_tokens: LONGEST_VERDICT,
            purpose: Purpose::Verdict,
            tenant: "engine".into(),
            deadline,
            lane: Lane::Run,
            origin: Origin::default(),
            validate: |answer| {
                verdict::parse(answer.text.raw())
                    .map(drop)
                    .map_err(|e| e.to_string())
            },
            listener: None,
        }
    }
}

/// Randomness of reviews and of our own answers: twice asked is nearly the same.
pub const STEADY: f64 = 0.2;
/// Tokens of the longest verdict; what a model thinks before it counts too.
const LONGEST_VERDICT: u32 = 4_096;

/// For whom a question is asked.
#[derive(Debug, Clone, Default)]
pub struct Origin {
    /// The run.
    pub run: String,
    /// The agent.
    pub agent: String,
    /// The correlation id.
    pub correlation: String,
}

/// A candidate that was not asked, and why.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct SkippedCandidate {
    /// The model.
    pub model: String,
    /// Why.
    pub reason: String,
}

/// Why there is no answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AskError {
    /// No candidate can be asked at all.
    #[error("no model can be asked: {}; routes, fallbacks and default in agents/models.yaml say which", reasons(.0))]
    NoCandidate(Vec<SkippedCandidate>),
    /// It would cost more than may be spent; whose budget, and how much is left of it.
    #[error("{0}")]
    OverBudget(String),
    /// Refused here.
    #[error("{0}")]
    Rejected(Rejection),
    /// The last provider's error.
    #[error("{0}")]
    Model(ModelError),
    /// The load itself broke.
    #[error("{0}")]
    Broken(String),
}

impl AskError {
    /// A short name for counters and lists.
    pub fn class(&self) -> String {
        match self {
            Self::NoCandidate(_) => "no_candidate".into(),
            Self::OverBudget(_) => "over_budget".into(),
            Self::Rejected(rejection) => rejection.reason.summary().into(),
            Self::Model(error) => error.class().into_owned(),
            Self::Broken(_) => "broken".into(),
        }
    }
}

fn reasons(skips: &[SkippedCandidate]) -> String {
    let mut parts: Vec<String> = skips
        .iter()
        .map(|s| format!("{} ({})", s.model, s.reason))
        .collect();
    parts.truncate(4);
    parts.join(", ")
}

/// What a question has used, answered or not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Tokens of all its attempts.
    pub tokens: Tokens,
    /// Their price, millionths of a dollar.
    pub micro_usd: u64,
}

/// How a question ended.
pub struct CompletionOutcome {
    /// The answer and where it came from.
    pub result: Result<(Arc<Answer>, Source), AskError>,
    /// Attempts and refusals; empty for a cached answer.
    pub trace: Vec<Attempt>,
    /// Candidates that were not asked.
    pub skips: Vec<SkippedCandidate>,
    /// What it used; nothing for an answer that another caller's question brought.
    pub used: Usage,
    /// Time in it that was not the provider's.
    pub added: Duration,
}

/// An attempt as it becomes known, those of background refreshes too.
#[derive(Debug)]
pub struct Observed<'a> {
    /// For whom.
    pub origin: &'a Origin,
    /// When it was sent, or refused after waiting; wall time in milliseconds.
    pub at_ms: i64,
    /// The model that was asked.
    pub model: &'a str,
    /// The attempt.
    pub attempt: &'a Attempt,
    /// What it used.
    pub used: Usage,
}

/// Somebody who wants to see every attempt.
pub type Observer = Box<dyn Fn(&Observed<'_>) + Send + Sync>;
