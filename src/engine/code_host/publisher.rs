//! What of a decision is published at GitHub, whether an approval must come first, and whether a merge is
//! proved.

use std::sync::Arc;

use crate::code_host::{Publication, Pull};
use crate::engine::code_host::approvals::{Approvals, is_required};
use crate::engine::code_host::client::GithubClient;
use crate::engine::code_host::publications;
use crate::engine::config::store::ConfigStore;
use crate::engine::durable::Durable;
use crate::engine::notifier::Notifier;
use crate::engine::protocol::run::{Action, Evidence, Input, Plan, RunResult};
use crate::engine::runs::decision::GATES;
use crate::journal::{ApprovalRow, JournalError, NewPublication, OutboxState};
use crate::workspace::Workspace;

/// What a decision adds to the outbox, and what it waits for.
#[derive(Default)]
pub struct Publishing {
    /// In this order.
    pub publications: Vec<NewPublication>,
    /// They are held until somebody decides on it.
    pub approval: Option<ApprovalRow>,
}

/// One per engine.
pub struct Publisher {
    /// Alerts.
    pub notifier: Arc<Notifier>,
    /// Settings.
    pub store: Arc<ConfigStore>,
    /// Earlier decisions.
    pub durable: Arc<Durable>,
    /// Tokens.
    pub client: Arc<GithubClient>,
    /// Makes the approval.
    pub approvals: Arc<Approvals>,
}

impl Publisher {
    /// What a decision publishes: of a webhook's run, with a token for its repository, never under the
    /// simulator.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub async fn plan(
        &self,
        workspace: &Workspace,
        plan: &Plan,
        input: &Input,
        view: &RunResult,
    ) -> Result<Publishing, JournalError> {
        let Some(change) = input.change.as_ref().filter(|_| !plan.simulated) else {
            return Ok(Publishing::default());
        };
        let place = change.pull.place();
        // Only what the operator trusts decides what is done with the operator's token.
        if !workspace.trust.is_trusted() {
            self.notifier.alert(
                true,
                format!(
                    "nothing is published on {place}: the workspace is not trusted (bsm trust)"
                ),
            );
            return Ok(Publishing::default());
        }
        let settings = self.store.settings();
        let dry = settings.github.dry_run;
        if !dry && self.client.token(&change.pull.repository).is_none() {
            return Ok(Publishing::default());
        }
        // A run of the gates is its own proof; another one needs theirs.
        let merges = covers_gates(plan) || self.is_proved(&change.pull).await?;
        let all = publications::of(view, &change.pull, settings.github.publish, merges);
        let holding: Vec<_> = plan
            .agents
            .iter()
            .filter_map(|a| workspace.agent(a))
            .filter(|a| is_required(a))
            .collect();
        // The registry may leave it to the evidence: then full evidence is the approval.
        let by_evidence = view.evidence == Evidence::Full
            && view.decision.as_ref().is_some_and(|d| d.automated)
            && holding
                .iter()
                .all(|a| a.approval.kind == "automated" && !a.safety.requires_approval);
        let held = !holding.is_empty() && !by_evidence && !dry;
        let state = match (dry, held) {
            (true, _) => OutboxState::Dry,
            (_, true) => OutboxState::Held,
            _ => OutboxState::Waiting,
        };
        let approval = (held && !all.is_empty()).then(|| {
            let kinds: Vec<&str> = all.iter().map(Publication::kind).collect();
            let action = view
                .decision
                .as_ref()
                .map_or("no decision", |d| d.action.as_str());
            let what = format!("publishing {action} on {place} ({})", kinds.join(", "));
            let agents = holding.iter().map(|a| &***a);
            self.approvals
                .request("publish", &view.run_id, what, agents)
        });
        let pull = serde_json::to_string(&change.pull)?;
        let publications = all
            .iter()
            .map(|publication| {
                Ok(NewPublication {
                    pull: pull.clone(),
                    publication: serde_json::to_string(publication)?,
                    state,
                })
            })
            .collect::<Result<_, JournalError>>()?;
        Ok(Publishing {
            publications,
            approval,
        })
    }

    /// Whether the four gates have approved this very commit, in a run that is kept.
    ///
    /// # Errors
    /// The journal cannot be read.
    pub async fn approved_before(&self, input: &Input) -> Result<bool, JournalError> {
        let Some(sha) = &input.head_sha else {
            return Ok(false);
        };
        let plans = self.durable.journal.approving_plans(sha).await?;
        Ok(plans
            .iter()
            .filter_map(|p| serde_json::from_str::<Plan>(p).ok())
            .any(|plan| by_models(&plan) && covers_gates(&plan)))
    }

    /// Whether a merge is proved: the newest run of the four gates on this very pull request and commit
    /// approved it with models. A newer one that did not is the last word.
    async fn is_proved(&self, pull: &Pull) -> Result<bool, JournalError> {
        let decided = self
            .durable
            .journal
            .decided(&pull.repository, pull.number, &pull.head_sha)
            .await?;
        let newest = decided
            .iter()
            .filter_map(|(plan, action)| Some((serde_json::from_str::<Plan>(plan).ok()?, action)))
            .find(|(plan, _)| !plan.simulated && covers_gates(plan));
        Ok(newest.is_some_and(|(plan, action)| {
            by_models(&plan) && action == Action::ApproveAndMerge.as_str()
        }))
    }
}

fn covers_gates(plan: &Plan) -> bool {
    GATES
        .iter()
        .all(|gate| plan.agents.iter().any(|a| a == gate))
}

/// Models were asked, real ones: what rules alone or simulated models say proves nothing.
fn by_models(plan: &Plan) -> bool {
    plan.models_wanted && !plan.offline && !plan.simulated
}
