//! The gate: which decisions let a pipeline pass.
//!
//! Why two: without a model code is never approved, and a pipeline that always fails is switched off. `findings`
//! asks less: that the rules could read everything and object to nothing. A person still approves.

use std::sync::Arc;

use clap::ValueEnum;

use crate::cli::context::Setup;
use crate::engine::protocol::run::{Action, Cause, Decision, RunResult};
use crate::engine::protocol::snapshot::Mode;
use crate::model::provider::ProviderContext;
use crate::model::service::ModelService;
use crate::outbound::egress::system_lookup;
use crate::resilience::clock::{Clock, SystemClock};

/// What is asked of a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Gate {
    /// Only an approval passes
    Approval,
    /// What no rule objects to passes too, though no model looked
    Findings,
}

impl Gate {
    /// The gate that was asked for, else the one that fits; and why, in words.
    pub(super) fn choose(asked: Option<Self>, counts_on_models: bool) -> (Self, &'static str) {
        match (asked, counts_on_models) {
            (Some(gate), _) => (gate, "asked for by --gate"),
            (None, true) => (Self::Approval, "because a model is configured"),
            (None, false) => (
                Self::Findings,
                "because no model is configured: rules decide, and a reviewer still approves",
            ),
        }
    }

    /// The word.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Approval => "approval",
            Self::Findings => "findings",
        }
    }

    /// Whether a decision passes. A run without one never does.
    pub(super) fn passes(self, decision: Option<&Decision>) -> bool {
        let Some(decision) = decision else {
            return false;
        };
        let rules_only =
            decision.action == Action::ManualReview && decision.cause == Some(Cause::RulesOnly);
        decision.action.exit_code() == 0 || (self == Self::Findings && rules_only)
    }

    /// The exit code of the command.
    pub(super) fn exit_code(self, result: &RunResult, interrupted: bool) -> u8 {
        match &result.decision {
            _ if interrupted => 130,
            decision if self.passes(decision.as_ref()) => 0,
            Some(decision) => decision.action.exit_code(),
            None => 1,
        }
    }
}

/// Answers of models are counted on: some provider can be asked, or was set up and cannot.
pub(super) fn counts_on_models(setup: &Setup, mode: &Mode) -> bool {
    let (clock, lookup): (Arc<dyn Clock>, _) = (Arc::new(SystemClock), system_lookup());
    let around = ProviderContext {
        settings: &setup.loaded.settings,
        env: &setup.env,
        simulator: None,
        clock: &clock,
        lookup: &lookup,
    };
    let table = Arc::new(setup.workspace().models);
    !mode.offline && (mode.simulated || ModelService::new(table, &around).wanted())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gate_passes_exactly_what_the_documents_say() {
        let approvals = [Action::ApproveAndMerge, Action::Pass];
        let actions = [
            Action::ApproveAndMerge,
            Action::Pass,
            Action::ManualReview,
            Action::RequestChanges,
            Action::BlockPr,
        ];
        for action in actions {
            for cause in Cause::ALL {
                let decision = Decision {
                    action,
                    ..Decision::unfinished(cause, "r")
                };
                let approved = approvals.contains(&action);
                assert_eq!(Gate::Approval.passes(Some(&decision)), approved);
                let rules_only = action == Action::ManualReview && cause == Cause::RulesOnly;
                assert_eq!(
                    Gate::Findings.passes(Some(&decision)),
                    approved || rules_only,
                    "{} {}",
                    action.as_str(),
                    cause.as_str()
                );
            }
        }
        assert!(!Gate::Approval.passes(None) && !Gate::Findings.passes(None));
    }
}
