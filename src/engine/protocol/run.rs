//! A run as it is shown, printed and kept: `bsm run --json`, schema 2. Schema 1, of runs that an earlier
//! version decided, has no `decision.cause`.

use serde::{Deserialize, Serialize};

use crate::engine::protocol::github::Change;
use crate::engine::protocol::identity::RunIdentity;
use crate::engine::protocol::phase::Phase;
use crate::model::request::SkippedCandidate;
use crate::model::{Citation, Tokens};
use crate::resilience::policy::Attempt;
use crate::review::documentation::Documentation;
use crate::review::finding::{ChangeSize, Coverage, Finding, Suppressed};
use crate::review::policy::OfflineApproval;
use crate::review::verdict::Verdict;
use crate::text::Untrusted;
use crate::workspace::events::{OutcomeKind, Strategy};

/// What a run ends in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Every gate passed.
    ApproveAndMerge,
    /// A health check found nothing.
    Pass,
    /// A person must look.
    ManualReview,
    /// Something must be changed.
    RequestChanges,
    /// It must not be merged.
    BlockPr,
}

impl Action {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ApproveAndMerge => "approve_and_merge",
            Self::Pass => "pass",
            Self::ManualReview => "manual_review",
            Self::RequestChanges => "request_changes",
            Self::BlockPr => "block_pr",
        }
    }

    /// The exit code of `bsm run`.
    pub fn exit_code(self) -> u8 {
        match self {
            Self::ApproveAndMerge | Self::Pass => 0,
            Self::ManualReview => 10,
            Self::RequestChanges => 20,
            Self::BlockPr => 30,
        }
    }
}

/// What a decision rests on, in one word that scripts can go by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Cause {
    /// A rule found something, or the change itself silences a rule.
    Finding,
    /// A model objects where the rules do not.
    ModelObjects,
    /// Rules and every model approve.
    AllApprove,
    /// No model looked; the change is proven to be documentation and nothing else.
    DocumentationOnly,
    /// No rule objects, and no model looked.
    RulesOnly,
    /// Simulated models approve: no evidence.
    Simulated,
    /// A model, an agent, a rule or the change itself was wanted and could not be had.
    EvidencePartial,
    /// Not all of the change could be read.
    Coverage,
    /// The workspace that says how to review is not trusted.
    PolicyUntrusted,
    /// There is no change, or an empty one.
    NothingToReview,
    /// No agent is there for the event.
    NoAgent,
    /// The run was cancelled.
    Cancelled,
    /// The run was set aside after crashes.
    Quarantined,
}

impl Cause {
    /// All of them, in the order of the documents.
    pub const ALL: [Self; 13] = [
        Self::Finding,
        Self::ModelObjects,
        Self::AllApprove,
        Self::DocumentationOnly,
        Self::RulesOnly,
        Self::Simulated,
        Self::EvidencePartial,
        Self::Coverage,
        Self::PolicyUntrusted,
        Self::NothingToReview,
        Self::NoAgent,
        Self::Cancelled,
        Self::Quarantined,
    ];

    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Finding => "finding",
            Self::ModelObjects => "model_objects",
            Self::AllApprove => "all_approve",
            Self::DocumentationOnly => "documentation_only",
            Self::RulesOnly => "rules_only",
            Self::Simulated => "simulated",
            Self::EvidencePartial => "evidence_partial",
            Self::Coverage => "coverage",
            Self::PolicyUntrusted => "policy_untrusted",
            Self::NothingToReview => "nothing_to_review",
            Self::NoAgent => "no_agent",
            Self::Cancelled => "cancelled",
            Self::Quarantined => "quarantined",
        }
    }
}

/// The decision and the rule that fired (domain rules 1 to 6).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// What to do.
    pub action: Action,
    /// What it rests on; `None` only in runs of schema 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<Cause>,
    /// Why, in a sentence.
    pub reason: Untrusted,
    /// Which rule, 1 to 6.
    pub rule: u8,
    /// True when no person is needed any more.
    pub automated: bool,
}

impl Decision {
    /// A person must look, whatever was found: the run did not come to its end.
    pub fn unfinished(cause: Cause, reason: impl Into<String>) -> Self {
        Self {
            action: Action::ManualReview,
            cause: Some(cause),
            reason: Untrusted::new(reason),
            rule: 6,
            automated: false,
        }
    }

    /// The cause's word; `unknown` for a run of schema 1.
    pub fn cause_word(&self) -> &'static str {
        self.cause.map_or("unknown", Cause::as_str)
    }
}

/// What the verdicts rest on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Evidence {
    /// Rules and models.
    Full,
    /// Rules alone, by choice or because no provider is configured.
    Offline,
    /// A model was wanted and could not be had, or its answer proves nothing.
    Partial,
    /// Rules and simulated models: no evidence of anything.
    Simulated,
}

impl Evidence {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::Offline => "offline",
            Self::Partial => "partial",
            Self::Simulated => "simulated",
        }
    }
}

/// Where a step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum StepStatus {
    /// Not begun.
    Queued,
    /// At work.
    Running,
    /// Rules and, where wanted, model.
    Succeeded,
    /// Rules only, although a model was wanted.
    Degraded,
    /// No verdict.
    Failed,
    /// Stopped.
    Cancelled,
}

impl StepStatus {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Succeeded => "succeeded",
            Self::Degraded => "degraded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }

    /// True when nothing more will happen to it.
    pub fn is_over(self) -> bool {
        !matches!(self, Self::Queued | Self::Running)
    }
}

/// One agent's part in a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    /// The agent.
    pub agent_id: String,
    /// Where it stands.
    pub status: StepStatus,
    /// What it concludes.
    pub verdict: Option<Verdict>,
    /// What it found.
    pub findings: Vec<Finding>,
    /// The model that answered.
    pub model: Option<String>,
    /// The model that was wanted, where another one that the operator does not list as its equal answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub substitute_for: Option<String>,
    /// Calls sent for it.
    pub attempts: u32,
    /// Tokens of all its attempts, answered or not.
    pub tokens: Tokens,
    /// US dollars.
    pub cost_usd: f64,
    /// Why it has no model's verdict, or none at all.
    pub error: Option<Untrusted>,
    /// The answer came from the cache past its time to live.
    #[serde(default)]
    pub stale: bool,
    /// Where the answer came from: `loaded`, `cache`, `shared`, `stale`.
    #[serde(default)]
    pub source: Option<String>,
    /// Wall time, milliseconds.
    pub started_at: Option<i64>,
    /// Milliseconds.
    pub duration_ms: Option<u64>,
    /// Every attempt and refusal.
    #[serde(default)]
    pub trace: Vec<Attempt>,
    /// What it waited for and did with providers, oldest first: at most 48 spans, of more the first and the
    /// newest.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub phases: Vec<Phase>,
    /// Files that did not fit into its model's prompt.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<Untrusted>,
    /// Models that were not asked, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skipped: Vec<SkippedCandidate>,
    /// Where its model says it has it from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub citations: Vec<Citation>,
    /// What its model found and somebody dismissed before.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub suppressed: Vec<Suppressed>,
}

impl Step {
    /// A step that has not begun.
    pub fn queued(agent_id: &str) -> Self {
        Self {
            agent_id: agent_id.to_owned(),
            status: StepStatus::Queued,
            verdict: None,
            findings: Vec::new(),
            model: None,
            substitute_for: None,
            attempts: 0,
            tokens: Tokens::default(),
            cost_usd: 0.0,
            error: None,
            stale: false,
            source: None,
            started_at: None,
            duration_ms: None,
            trace: Vec::new(),
            phases: Vec::new(),
            left_out: Vec::new(),
            skipped: Vec::new(),
            citations: Vec::new(),
            suppressed: Vec::new(),
        }
    }
}

/// Where a run stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum RunState {
    /// Waiting for its turn.
    Queued,
    /// At work.
    Running,
    /// Ended with a decision.
    Finished,
    /// Stopped.
    Cancelled,
    /// No agent was selected, or it was quarantined.
    Failed,
}

/// What was accepted and is pinned for the whole run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Plan {
    /// How agents run.
    pub strategy: Strategy,
    /// What it may end in.
    pub outcome: OutcomeKind,
    /// The agents, in order.
    pub agents: Vec<String>,
    /// Longest step, milliseconds.
    pub step_timeout_ms: u64,
    /// The event has a rule of its own (not the default's).
    pub own_rule: bool,
    /// Models are not asked, by choice.
    pub offline: bool,
    /// A provider could be asked at intake: without a model's verdict a step lacks evidence.
    pub models_wanted: bool,
    /// Under the simulator.
    pub simulated: bool,
    /// Hash of agents, events, models, settings at intake.
    pub policy_hash: String,
    /// Hash of the rule packs at intake.
    pub rules_hash: String,
    /// Every rule compiled.
    pub rules_complete: bool,
    /// Percent of the files that must have been looked at for an approval.
    #[serde(default = "everything")]
    pub coverage_floor: u8,
    /// The user trusts what says how to review (the built-in policy always is). A plan of an earlier
    /// version does not say, and then nothing is approved.
    #[serde(default)]
    pub policy_trusted: bool,
    /// What may be approved without a model.
    #[serde(default = "OfflineApproval::none")]
    pub offline_approval: OfflineApproval,
}

fn everything() -> u8 {
    100
}

/// What the rules saw, redacted.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Input {
    /// The payload.
    pub payload: serde_json::Value,
    /// What the rules found.
    pub findings: Vec<Finding>,
    /// How much they looked at.
    pub coverage: Coverage,
    /// Lines and files.
    pub size: ChangeSize,
    /// The commit it is about, where the payload names one.
    #[serde(default)]
    pub head_sha: Option<String>,
    /// What the folder or the range says it is about; what the payload says goes before it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<RunIdentity>,
    /// There was a diff with at least one file.
    pub has_diff: bool,
    /// It needed one and there was none.
    pub nothing_to_review: bool,
    /// A diff was wanted and could not be had; why.
    pub missing: Option<String>,
    /// Files whose text was too much to keep; no model can see them.
    pub not_kept: Vec<Untrusted>,
    /// The pull request that a webhook was about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub change: Option<Change>,
    /// Accepted findings.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub suppressed: Vec<Suppressed>,
    /// Remarks of the look at it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// Whether it is documentation and nothing else.
    #[serde(default)]
    pub documentation: Documentation,
}

/// Version of [`RunResult`] as JSON. 2: `decision.cause`, evidence `simulated`, columns and identities of
/// findings.
pub const SCHEMA_VERSION: u32 = 2;

/// A whole run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RunResult {
    /// [`SCHEMA_VERSION`]; 1 in runs that an earlier version decided.
    pub schema_version: u32,
    /// `job_<epoch ms>_<random>`.
    pub run_id: String,
    /// Carried by every line about it.
    pub correlation_id: String,
    /// The event whose rule applied.
    pub event: String,
    /// The event asked for, where it has no rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub requested_event: Option<Untrusted>,
    /// Where it stands.
    pub state: RunState,
    /// How agents ran.
    pub strategy: Strategy,
    /// Under the simulator.
    pub simulated: bool,
    /// What it rests on.
    pub evidence: Evidence,
    /// Some answer was stale.
    pub stale: bool,
    /// How much was looked at.
    pub coverage: Coverage,
    /// Lines and files.
    pub size: ChangeSize,
    /// The decision; `None` while it runs.
    pub decision: Option<Decision>,
    /// Its agents.
    pub agents: Vec<Step>,
    /// Accepted findings: by an inline ignore, `.bsmignore` or the baseline.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub suppressed: Vec<Suppressed>,
    /// The report's path, once it is written.
    pub report: Option<String>,
    /// Accepted, wall time in milliseconds.
    pub created_at: i64,
    /// Milliseconds of work since its last start.
    pub duration_ms: Option<u64>,
    /// Remarks: resumed, policy changed since, …
    #[serde(default)]
    pub notes: Vec<String>,
    /// Whether the change is documentation and nothing else, and why not.
    #[serde(default)]
    pub documentation: Documentation,
}

impl RunResult {
    /// US dollars of all its steps.
    pub fn cost_usd(&self) -> f64 {
        self.agents.iter().map(|s| s.cost_usd).sum()
    }

    /// All of it as JSON with indentation: the document of `GET /api/runs/ID` and of `bsm runs show ID --json`,
    /// safe to show in a terminal.
    ///
    /// # Errors
    /// Never for a run that this program made.
    pub fn to_json_text(&self) -> Result<String, serde_json::Error> {
        crate::text::json_pretty(self)
    }
}
