//! Whether publishing a decision needs somebody's approval first, and whether a commit was approved before.

use std::sync::Arc;

use crate::engine::code_host::approvals::{Approvals, is_required};
use crate::engine::config::store::ConfigStore;
use crate::engine::durable::Durable;
use crate::engine::protocol::run::{Evidence, Input, Plan, RunResult};
use crate::engine::runs::decision::{by_models, covers_gates};
use crate::journal::{ApprovalRow, JournalError};
use crate::workspace::Workspace;

/// One per engine.
pub struct Publisher {
    /// Settings.
    pub store: Arc<ConfigStore>,
    /// Earlier decisions.
    pub durable: Arc<Durable>,
    /// Makes the approval.
    pub approvals: Arc<Approvals>,
}

impl Publisher {
    /// The approval that publishing a decision waits for; `None`: it waits for nobody.
    pub fn hold(
        &self,
        workspace: &Workspace,
        plan: &Plan,
        input: &Input,
        view: &RunResult,
    ) -> Option<ApprovalRow> {
        let change = input.change.as_ref().filter(|_| !plan.simulated)?;
        let settings = self.store.settings();
        let github = &settings.github;
        let publishes = workspace.trust.is_trusted()
            && !github.dry_run
            && github.lists(&change.pull.repository);
        let holding: Vec<_> = plan
            .agents
            .iter()
            .filter_map(|a| workspace.agent(a))
            .filter(|a| is_required(a))
            .collect();
        if !publishes || holding.is_empty() {
            return None;
        }
        // The registry may leave it to the evidence: then full evidence is the approval.
        let by_evidence = view.evidence == Evidence::Full
            && view.decision.as_ref().is_some_and(|d| d.automated)
            && holding
                .iter()
                .all(|a| a.approval.kind == "automated" && !a.safety.requires_approval);
        if by_evidence {
            return None;
        }
        let action = view
            .decision
            .as_ref()
            .map_or("no decision", |d| d.action.as_str());
        let what = format!("publishing {action} on {}", change.pull.place());
        let agents = holding.iter().map(|a| &***a);
        Some(
            self.approvals
                .request("publish", &view.run_id, what, agents),
        )
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
}
