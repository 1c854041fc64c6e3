//! Connects the services: each is given the few others that it needs. One part per area, lower parts first.

use std::collections::BTreeSet;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex};

use crate::engine::agents::AgentControl;
use crate::engine::attachment::Attachments;
use crate::engine::audit::Audit;
use crate::engine::code_host::approvals::Approvals;
use crate::engine::code_host::change::ChangeFetcher;
use crate::engine::code_host::client::GithubClient;
use crate::engine::code_host::comments::Comments;
use crate::engine::code_host::journal_store::PullServices;
use crate::engine::code_host::publisher::Publisher;
use crate::engine::code_host::reconciler::Reconciler;
use crate::engine::code_host::setup_watch::SetupWatch;
use crate::engine::code_host::stats::PublicationStatus;
use crate::engine::code_host::webhook::Webhooks;
use crate::engine::config::caches::WorkspaceCaches;
use crate::engine::config::reload::Reloader;
use crate::engine::config::store::{ConfigStore, SettingsLoader};
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
use crate::engine::models::stream_events::StreamEvents;
use crate::engine::notifier::Notifier;
use crate::engine::observe::health_facts::{HealthFacts, Sources};
use crate::engine::observe::recorder::Recorder;
use crate::engine::observe::snapshot::SnapshotSource;
use crate::engine::retention::Retention;
use crate::engine::retention::storage::Storage;
use crate::engine::runs::completion::Completion;
use crate::engine::runs::executor::Executor;
use crate::engine::runs::intake::Intake;
use crate::engine::runs::recovery::Recovery;
use crate::engine::runs::registry::RunRegistry;
use crate::engine::runs::report::ReportFolder;
use crate::engine::runs::report_writer::ReportWriter;
use crate::engine::runs::scheduler::Scheduler;
use crate::engine::runs::step::StepRunner;
use crate::engine::services::Services;
use crate::state::StateDir;
use crate::telemetry::log_files::LogGuard;

/// What nearly every service needs.
pub struct Ground {
    pub lifecycle: Arc<Lifecycle>,
    pub notifier: Arc<Notifier>,
    pub durable: Arc<Durable>,
    pub store: Arc<ConfigStore>,
    pub caches: Arc<WorkspaceCaches>,
    pub models: Arc<Models>,
    pub registry: Arc<RunRegistry>,
    pub audit: Arc<Audit>,
}

/// What single services need.
pub struct Parts {
    pub state: StateDir,
    pub log: Option<Arc<LogGuard>>,
    pub settings_loader: Option<SettingsLoader>,
    /// The workspace follows the edits of its folder.
    pub follows_folder: bool,
    /// Agents that an operator stopped.
    pub stopped: BTreeSet<String>,
    /// Memory is filled from the journal.
    pub fills: bool,
    /// Where reports go; `None`: nowhere.
    pub reports: Option<ReportFolder>,
}

/// Makes all services.
pub fn connect(ground: Ground, mut parts: Parts) -> Services {
    let ground = &ground;
    let ConfigPart {
        reloader,
        agents,
        stream,
    } = config(
        ground,
        parts.settings_loader.take(),
        parts.follows_folder,
        std::mem::take(&mut parts.stopped),
    );
    let memory = memory(ground, parts.fills);
    let publishing = publishing(ground, &agents);
    let health = health(ground, &publishing, &parts);
    let runs = runs(
        ground,
        &reloader,
        &agents,
        &stream,
        &memory,
        &publishing,
        parts.reports.clone(),
    );
    let attachments = Attachments::new(Arc::clone(&ground.notifier));
    Services {
        comments: comments(ground, &publishing, &runs),
        snapshots: snapshots(ground, &publishing, &agents, &attachments, &health, &parts),
        health,
        recorder: Recorder::new(Arc::clone(&ground.lifecycle), Arc::clone(&ground.durable)),
        drills: DrillRunner::new(Arc::clone(&ground.lifecycle), Arc::clone(&ground.notifier)),
        costs: CostLedger::new(
            Arc::clone(&ground.lifecycle),
            Arc::clone(&ground.store),
            Arc::clone(&ground.durable),
            Arc::clone(&ground.models),
        ),
        calls: call_log(&ground.models),
        storage: Storage::new(
            Arc::clone(&ground.lifecycle),
            Arc::clone(&ground.store),
            parts.state.clone(),
            parts.reports.clone(),
        ),
        retention: retention(ground, &memory, &parts.state, parts.reports),
        chat: Chat {
            lifecycle: Arc::clone(&ground.lifecycle),
            notifier: Arc::clone(&ground.notifier),
            store: Arc::clone(&ground.store),
            caches: Arc::clone(&ground.caches),
            models: Arc::clone(&ground.models),
            agents: Arc::clone(&agents),
            stream,
        },
        gateway: gateway(ground),
        webhooks: Webhooks {
            lifecycle: Arc::clone(&ground.lifecycle),
            notifier: Arc::clone(&ground.notifier),
            store: Arc::clone(&ground.store),
            durable: Arc::clone(&ground.durable),
            intake: Arc::clone(&runs.intake),
            status: Arc::clone(&publishing.status),
        },
        scheduler: Arc::new(Scheduler {
            lifecycle: Arc::clone(&ground.lifecycle),
            notifier: Arc::clone(&ground.notifier),
            store: Arc::clone(&ground.store),
            durable: Arc::clone(&ground.durable),
            intake: Arc::clone(&runs.intake),
        }),
        reports: runs.reports,
        intake: runs.intake,
        recovery: runs.recovery,
        approvals: publishing.approvals,
        setup_watch: setup_watch(ground),
        reconciler: publishing.reconciler,
        memory_import: memory.import,
        memory_search: memory.search,
        memory: memory.index,
        state: parts.state,
        log: parts.log,
        lifecycle: Arc::clone(&ground.lifecycle),
        notifier: Arc::clone(&ground.notifier),
        durable: Arc::clone(&ground.durable),
        audit: Arc::clone(&ground.audit),
        store: Arc::clone(&ground.store),
        caches: Arc::clone(&ground.caches),
        models: Arc::clone(&ground.models),
        registry: Arc::clone(&ground.registry),
        attachments,
        reloader,
        agents,
    }
}

fn setup_watch(ground: &Ground) -> Arc<SetupWatch> {
    Arc::new(SetupWatch {
        lifecycle: Arc::clone(&ground.lifecycle),
        notifier: Arc::clone(&ground.notifier),
        store: Arc::clone(&ground.store),
        lookup: ground.models.lookup.clone(),
        raised: Mutex::default(),
    })
}

fn comments(ground: &Ground, publishing: &PublishingPart, runs: &RunsPart) -> Arc<Comments> {
    Arc::new(Comments {
        services: Arc::clone(&publishing.reconciler.services),
        intake: Arc::clone(&runs.intake),
        models: Arc::clone(&ground.models),
        status: Arc::clone(&publishing.status),
    })
}

fn retention(
    ground: &Ground,
    memory: &MemoryPart,
    state: &StateDir,
    reports: Option<ReportFolder>,
) -> Arc<Retention> {
    Arc::new(Retention {
        lifecycle: Arc::clone(&ground.lifecycle),
        notifier: Arc::clone(&ground.notifier),
        store: Arc::clone(&ground.store),
        durable: Arc::clone(&ground.durable),
        memory: Arc::clone(&memory.index),
        state: state.clone(),
        reports,
        turn: tokio::sync::Mutex::default(),
    })
}

/// What follows the settings and the workspace.
struct ConfigPart {
    reloader: Arc<Reloader>,
    agents: Arc<AgentControl>,
    stream: Arc<StreamEvents>,
}

fn config(
    ground: &Ground,
    settings_loader: Option<SettingsLoader>,
    follows_folder: bool,
    stopped: BTreeSet<String>,
) -> ConfigPart {
    let reloader = Reloader::new(
        Arc::clone(&ground.lifecycle),
        Arc::clone(&ground.notifier),
        Arc::clone(&ground.store),
        Arc::clone(&ground.caches),
        Arc::clone(&ground.models),
        settings_loader,
        follows_folder,
    );
    let agents = AgentControl::new(
        Arc::clone(&ground.store),
        Arc::clone(&ground.caches),
        Arc::clone(&ground.durable),
        Arc::clone(&ground.notifier),
        stopped,
    );
    let stream = StreamEvents::new(
        Arc::clone(&ground.lifecycle.clock),
        Arc::clone(&ground.store),
        Arc::clone(&ground.notifier),
    );
    ConfigPart {
        reloader,
        agents,
        stream,
    }
}

/// Every attempt at a provider is noted.
fn call_log(models: &Models) -> Arc<CallLog> {
    let calls = Arc::new(CallLog::default());
    let seen = Arc::clone(&calls);
    models
        .service
        .observe(Box::new(move |attempt| seen.add(attempt)));
    calls
}

/// What is remembered of past reviews.
struct MemoryPart {
    index: Arc<MemoryIndex>,
    search: Arc<MemorySearch>,
    import: MemoryImport,
}

fn memory(ground: &Ground, fills: bool) -> MemoryPart {
    let index = MemoryIndex::new(
        Arc::clone(&ground.lifecycle),
        Arc::clone(&ground.notifier),
        Arc::clone(&ground.durable),
        fills,
    );
    MemoryPart {
        search: Arc::new(MemorySearch {
            durable: Arc::clone(&ground.durable),
            index: Arc::clone(&index),
        }),
        import: MemoryImport {
            lifecycle: Arc::clone(&ground.lifecycle),
            notifier: Arc::clone(&ground.notifier),
            store: Arc::clone(&ground.store),
            durable: Arc::clone(&ground.durable),
            index: Arc::clone(&index),
        },
        index,
    }
}

/// What goes to GitHub.
struct PublishingPart {
    client: Arc<GithubClient>,
    status: Arc<PublicationStatus>,
    approvals: Arc<Approvals>,
    publisher: Arc<Publisher>,
    reconciler: Arc<Reconciler>,
}

fn publishing(ground: &Ground, agents: &Arc<AgentControl>) -> PublishingPart {
    let client = GithubClient::new(
        Arc::clone(&ground.lifecycle),
        Arc::clone(&ground.store),
        ground.models.lookup.clone(),
    );
    let status = PublicationStatus::new(Arc::clone(&ground.durable), Arc::clone(&ground.notifier));
    let approvals = Arc::new(Approvals {
        lifecycle: Arc::clone(&ground.lifecycle),
        notifier: Arc::clone(&ground.notifier),
        store: Arc::clone(&ground.store),
        durable: Arc::clone(&ground.durable),
        agents: Arc::clone(agents),
        status: Arc::clone(&status),
    });
    PublishingPart {
        publisher: Arc::new(Publisher {
            store: Arc::clone(&ground.store),
            durable: Arc::clone(&ground.durable),
            approvals: Arc::clone(&approvals),
        }),
        reconciler: Arc::new(Reconciler {
            services: Arc::new(PullServices {
                lifecycle: Arc::clone(&ground.lifecycle),
                notifier: Arc::clone(&ground.notifier),
                store: Arc::clone(&ground.store),
                durable: Arc::clone(&ground.durable),
                registry: Arc::clone(&ground.registry),
                client: Arc::clone(&client),
                last_write: Mutex::default(),
            }),
            approvals: Arc::clone(&approvals),
            status: Arc::clone(&status),
            was_dry: AtomicBool::new(true),
        }),
        client,
        status,
        approvals,
    }
}

/// Runs, from their acceptance to their end.
struct RunsPart {
    reports: Arc<ReportWriter>,
    intake: Arc<Intake>,
    recovery: Arc<Recovery>,
}

fn runs(
    ground: &Ground,
    reloader: &Arc<Reloader>,
    agents: &Arc<AgentControl>,
    stream: &Arc<StreamEvents>,
    memory: &MemoryPart,
    publishing: &PublishingPart,
    folder: Option<ReportFolder>,
) -> RunsPart {
    let reports = ReportWriter::new(
        Arc::clone(&ground.lifecycle),
        Arc::clone(&ground.notifier),
        Arc::clone(&ground.store),
        Arc::clone(&ground.durable),
        folder,
    );
    let completion = Arc::new(Completion {
        lifecycle: Arc::clone(&ground.lifecycle),
        notifier: Arc::clone(&ground.notifier),
        durable: Arc::clone(&ground.durable),
        registry: Arc::clone(&ground.registry),
        approvals: Arc::clone(&publishing.approvals),
        status: Arc::clone(&publishing.status),
        memory: Arc::clone(&memory.index),
        reports: Arc::clone(&reports),
    });
    let changes = Arc::new(ChangeFetcher {
        lifecycle: Arc::clone(&ground.lifecycle),
        notifier: Arc::clone(&ground.notifier),
        shares: ChangeFetcher::shares(),
        store: Arc::clone(&ground.store),
        durable: Arc::clone(&ground.durable),
        client: Arc::clone(&publishing.client),
    });
    let steps = Arc::new(StepRunner {
        lifecycle: Arc::clone(&ground.lifecycle),
        store: Arc::clone(&ground.store),
        models: Arc::clone(&ground.models),
        agents: Arc::clone(agents),
        memory: Arc::clone(&memory.search),
        stream: Arc::clone(stream),
    });
    let executor = Arc::new(Executor {
        lifecycle: Arc::clone(&ground.lifecycle),
        notifier: Arc::clone(&ground.notifier),
        store: Arc::clone(&ground.store),
        reloader: Arc::clone(reloader),
        caches: Arc::clone(&ground.caches),
        durable: Arc::clone(&ground.durable),
        registry: Arc::clone(&ground.registry),
        models: Arc::clone(&ground.models),
        changes,
        steps,
        publisher: Arc::clone(&publishing.publisher),
        memory: Arc::clone(&memory.index),
        completion: Arc::clone(&completion),
    });
    RunsPart {
        reports,
        intake: Arc::new(Intake {
            lifecycle: Arc::clone(&ground.lifecycle),
            notifier: Arc::clone(&ground.notifier),
            store: Arc::clone(&ground.store),
            reloader: Arc::clone(reloader),
            audit: Arc::clone(&ground.audit),
            durable: Arc::clone(&ground.durable),
            registry: Arc::clone(&ground.registry),
            models: Arc::clone(&ground.models),
            executor: Arc::clone(&executor),
        }),
        recovery: Arc::new(Recovery {
            lifecycle: Arc::clone(&ground.lifecycle),
            notifier: Arc::clone(&ground.notifier),
            store: Arc::clone(&ground.store),
            durable: Arc::clone(&ground.durable),
            registry: Arc::clone(&ground.registry),
            executor,
            publisher: Arc::clone(&publishing.publisher),
            completion,
        }),
    }
}

/// What health is judged by.
fn health(ground: &Ground, publishing: &PublishingPart, parts: &Parts) -> Arc<HealthFacts> {
    let mut folders = Vec::new();
    if !ground.lifecycle.mode.no_save {
        folders.push(("the state directory", parts.state.path().to_path_buf()));
    }
    if let Some(reports) = &parts.reports {
        folders.push(("the reports", reports.base.join(&reports.relative)));
    }
    HealthFacts::new(Sources {
        lifecycle: Arc::clone(&ground.lifecycle),
        notifier: Arc::clone(&ground.notifier),
        durable: Arc::clone(&ground.durable),
        registry: Arc::clone(&ground.registry),
        publications: Arc::clone(&publishing.status),
        store: Arc::clone(&ground.store),
        audit: Arc::clone(&ground.audit),
        log: parts.log.clone(),
        folders,
    })
}

fn snapshots(
    ground: &Ground,
    publishing: &PublishingPart,
    agents: &Arc<AgentControl>,
    attachments: &Arc<Attachments>,
    health: &Arc<HealthFacts>,
    parts: &Parts,
) -> Arc<SnapshotSource> {
    Arc::new(SnapshotSource {
        lifecycle: Arc::clone(&ground.lifecycle),
        notifier: Arc::clone(&ground.notifier),
        store: Arc::clone(&ground.store),
        caches: Arc::clone(&ground.caches),
        durable: Arc::clone(&ground.durable),
        registry: Arc::clone(&ground.registry),
        models: Arc::clone(&ground.models),
        publications: Arc::clone(&publishing.status),
        agents: Arc::clone(agents),
        attachments: Arc::clone(attachments),
        audit: Arc::clone(&ground.audit),
        log: parts.log.clone(),
        state_dir: parts.state.path().to_path_buf(),
        raised: Mutex::default(),
        health: Arc::clone(health),
        since: Mutex::default(),
    })
}

/// The gateway, with the programs that the settings let use it.
fn gateway(ground: &Ground) -> Gateway {
    let settings = ground.store.settings();
    let tokens = settings.api.gateway_tokens.iter();
    Gateway {
        lifecycle: Arc::clone(&ground.lifecycle),
        notifier: Arc::clone(&ground.notifier),
        store: Arc::clone(&ground.store),
        models: Arc::clone(&ground.models),
        programs: tokens.map(|token| token.name.clone()).collect(),
    }
}
