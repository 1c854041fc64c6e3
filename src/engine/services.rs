//! The engine's services by name. Only the builder, the handle, the commands and the queries know all of
//! them; each service is given the few others that it needs.

use std::sync::Arc;

use crate::engine::agents::AgentControl;
use crate::engine::attachment::Attachments;
use crate::engine::audit::Audit;
use crate::engine::code_host::approvals::Approvals;
use crate::engine::code_host::comments::Comments;
use crate::engine::code_host::reconciler::Reconciler;
use crate::engine::code_host::setup_watch::SetupWatch;
use crate::engine::code_host::webhook::Webhooks;
use crate::engine::config::caches::WorkspaceCaches;
use crate::engine::config::reload::Reloader;
use crate::engine::config::store::ConfigStore;
use crate::engine::drill_runner::DrillRunner;
use crate::engine::durable::Durable;
use crate::engine::lifecycle::Lifecycle;
use crate::engine::memory::import::MemoryImport;
use crate::engine::memory::index::MemoryIndex;
use crate::engine::memory::search::MemorySearch;
use crate::engine::models::access::Models;
use crate::engine::models::call_log::CallLog;
use crate::engine::models::chat::Chat;
use crate::engine::models::cost_ledger::CostLedger;
use crate::engine::models::gateway::Gateway;
use crate::engine::notifier::Notifier;
use crate::engine::observe::health_facts::HealthFacts;
use crate::engine::observe::recorder::Recorder;
use crate::engine::observe::snapshot::SnapshotSource;
use crate::engine::retention::Retention;
use crate::engine::retention::storage::Storage;
use crate::engine::runs::intake::Intake;
use crate::engine::runs::recovery::Recovery;
use crate::engine::runs::registry::RunRegistry;
use crate::engine::runs::report_writer::ReportWriter;
use crate::engine::runs::scheduler::Scheduler;
use crate::state::StateDir;
use crate::telemetry::log_files::LogGuard;

/// One of each per engine.
pub struct Services {
    pub lifecycle: Arc<Lifecycle>,
    pub notifier: Arc<Notifier>,
    pub durable: Arc<Durable>,
    pub audit: Arc<Audit>,
    pub attachments: Arc<Attachments>,
    pub state: StateDir,
    pub log: Option<Arc<LogGuard>>,

    pub store: Arc<ConfigStore>,
    pub caches: Arc<WorkspaceCaches>,
    pub reloader: Arc<Reloader>,
    pub agents: Arc<AgentControl>,

    pub models: Arc<Models>,
    pub calls: Arc<CallLog>,
    pub chat: Chat,
    pub gateway: Gateway,
    pub costs: Arc<CostLedger>,

    pub registry: Arc<RunRegistry>,
    pub reports: Arc<ReportWriter>,
    pub intake: Arc<Intake>,
    pub recovery: Arc<Recovery>,
    pub scheduler: Arc<Scheduler>,

    pub approvals: Arc<Approvals>,
    pub reconciler: Arc<Reconciler>,
    pub comments: Arc<Comments>,
    pub setup_watch: Arc<SetupWatch>,
    pub webhooks: Webhooks,

    pub memory: Arc<MemoryIndex>,
    pub memory_search: Arc<MemorySearch>,
    pub memory_import: MemoryImport,

    pub health: Arc<HealthFacts>,
    pub snapshots: Arc<SnapshotSource>,
    pub recorder: Arc<Recorder>,
    pub retention: Arc<Retention>,
    pub storage: Arc<Storage>,
    pub drills: Arc<DrillRunner>,
}
