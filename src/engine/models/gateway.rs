//! A request of another program, passed on as it is: the gateway's way to the models.
//!
//! Why apart from `chat`: no agent, no workspace, no words of ours are added; what comes back is the
//! provider's.

use std::collections::BTreeSet;
use std::sync::Arc;

use bsm_wire::error::ErrorKind;

use crate::engine::config::store::ConfigStore;
use crate::engine::lifecycle::Lifecycle;
use crate::engine::models::access::Models;
use crate::engine::notifier::Notifier;
use crate::engine::protocol::forward::{ForwardError, ForwardReply, ForwardRequest};
use crate::settings::GatewaySettings;
use crate::text::clean_line;

/// Forwards other programs' requests. One per engine.
pub struct Gateway {
    /// Clock and mode.
    pub lifecycle: Arc<Lifecycle>,
    /// The snapshot's signal.
    pub notifier: Arc<Notifier>,
    /// Settings and the redactor.
    pub store: Arc<ConfigStore>,
    /// Who answers.
    pub models: Arc<Models>,
    /// The programs that the settings named at the start.
    pub programs: BTreeSet<String>,
}

impl Gateway {
    /// Whether a program may use the gateway. One whose entry was removed from the settings may not, from the
    /// next reload on.
    pub fn knows_program(&self, name: &str) -> bool {
        let settings = self.store.settings();
        let named = settings.api.gateway_tokens.iter().any(|t| t.name == name);
        named || !self.programs.contains(name)
    }

    /// Its settings at this moment.
    pub fn settings(&self) -> GatewaySettings {
        self.store.settings().gateway.clone()
    }

    /// Forwards one request.
    ///
    /// # Errors
    /// Models may not be asked, there is no such model, or nobody answered.
    pub async fn forward(&self, wanted: ForwardRequest) -> Result<ForwardReply, ForwardError> {
        if self.lifecycle.mode.offline {
            let message = "models are not asked: the engine runs --offline";
            return Err(ForwardError::invalid(ErrorKind::Permission, message));
        }
        if self.lifecycle.mode.read_only {
            let message = "models are not asked: the engine is read-only";
            return Err(ForwardError::invalid(ErrorKind::Permission, message));
        }
        let replied = self.models.service.forward(wanted).await;
        self.models.report_refused_keys();
        self.notifier.mark_changed();
        replied.map_err(|error| ForwardError {
            message: clean_line(&self.store.redactor().text(&error.message), 1_000),
            ..error
        })
    }
}
