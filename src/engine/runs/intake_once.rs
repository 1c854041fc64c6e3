//! Runs that somebody asked for in a comment: asked twice, they run once.

use sha2::{Digest as _, Sha256};

use crate::code_host::Pull;
use crate::engine::protocol::command::{Refused, Reply, Trigger};
use crate::engine::runs::intake::{Intake, PreparedRun};

impl Intake {
    /// Accepts a run about a pull request, whose change is fetched later; returns its id.
    ///
    /// # Errors
    /// As [`Self::accept`].
    pub async fn accept_pull(
        &self,
        trigger: Trigger,
        pull: Pull,
        actor: &str,
        correlation: &str,
    ) -> Result<String, Refused> {
        let prepared = self
            .prepare(trigger, Some(pull), actor, correlation)
            .await?;
        self.admit_known(&prepared).await
    }

    /// Accepts a kept run once more; twice with the same `key` it runs once. Returns the new one's id.
    ///
    /// # Errors
    /// As [`Self::rerun`].
    pub async fn rerun_once(
        &self,
        id: &str,
        key: &str,
        actor: &str,
        correlation: &str,
    ) -> Result<String, Refused> {
        let mut prepared = self.prepare_rerun(id, actor, correlation).await?;
        prepared.new.idempotency = Some(crate::state::hex(&Sha256::digest(key)));
        self.admit_known(&prepared).await
    }

    async fn admit_known(&self, prepared: &PreparedRun) -> Result<String, Refused> {
        match self.admit(prepared, false, None).await? {
            Reply::Accepted { run, .. } => Ok(run),
            _ => Ok(prepared.new.id.clone()),
        }
    }
}
