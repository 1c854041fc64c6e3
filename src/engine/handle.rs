//! The engine in this process: carries commands in and snapshots out, and stops in bounded time.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use tokio::sync::watch;

use crate::engine::attachment::Attachment;
use crate::engine::audit::CommandLine;
use crate::engine::builder::{self, EngineConfig, StartError};
use crate::engine::protocol::command::{Envelope, Refused, Reply};
use crate::engine::protocol::correlation::{is_correlation, new_correlation};
use crate::engine::protocol::event::EventStream;
use crate::engine::protocol::forward::{ForwardError, ForwardReply, ForwardRequest};
use crate::engine::protocol::query::{Answer, Capabilities, Query, QueryError};
use crate::engine::protocol::run::RunResult;
use crate::engine::protocol::snapshot::Snapshot;
use crate::engine::services::Services;
use crate::engine::{Operator, finished};
use crate::journal::Journal;
use crate::settings::GatewaySettings;
use crate::text::clean_line;

/// A running engine.
#[derive(Clone)]
pub struct Handle {
    pub(in crate::engine) services: Arc<Services>,
    snapshots: watch::Receiver<Arc<Snapshot>>,
}

impl Handle {
    /// Starts an engine. Must be called inside tokio.
    ///
    /// # Errors
    /// When journal, state directory, workspace or simulator cannot be used.
    pub async fn start(config: EngineConfig) -> Result<Self, StartError> {
        let (services, snapshots) = builder::start(config).await?;
        Ok(Self {
            services,
            snapshots,
        })
    }

    /// Stops: no new runs; running ones are parked in the journal and resume at the next start. Returns within
    /// `limit` and a little.
    pub async fn stop(&self, limit: Duration) {
        let unfinished = self.services.registry.ids();
        self.services.lifecycle.stop(limit).await;
        let journal = self.services.durable.journal.clone();
        for id in unfinished {
            // A run that ended in the meantime is not touched.
            let _ = journal.park(&id).await;
        }
        let _ = tokio::task::spawn_blocking(move || journal.close()).await;
    }

    /// Waits until a run has ended and returns it; `None` when the engine stops first.
    pub async fn finished(&self, id: &str) -> Option<RunResult> {
        tokio::select! {
            run = finished(self, id) => run,
            () = self.services.lifecycle.stopping.cancelled() => None,
        }
    }

    /// The redacted diff that a run was made about; empty where none is kept.
    pub async fn reviewed_diff(&self, run: &str) -> String {
        let row = self.services.durable.journal.run(run).await;
        row.ok()
            .flatten()
            .map_or_else(String::new, |row| row.new.diff)
    }

    /// Asks the code host now what is missing there; alerts say it.
    pub async fn look_at_setup(&self) {
        self.services.setup_watch.look().await;
    }

    /// For tests: rows as a crash would leave them.
    #[doc(hidden)]
    pub fn journal(&self) -> &Journal {
        &self.services.durable.journal
    }

    /// For tests: the outbox looks now.
    #[doc(hidden)]
    pub fn wake_outbox(&self) {
        self.services.reconciler.status.wake_outbox.notify_one();
    }

    /// For tests and drills: one pass of retention as it comes every ten minutes, if the clock allows it; how
    /// many items it removed.
    #[doc(hidden)]
    pub async fn retention_pass(&self) -> u64 {
        let pruned = self.services.retention.due_pass().await;
        pruned.removed.iter().map(|r| r.items).sum()
    }

    /// The newest snapshot.
    pub(super) fn newest(&self) -> Arc<Snapshot> {
        self.snapshots.borrow().clone()
    }

    /// Waits until the snapshot shows it, at most a second: a caller that looks after the answer must not see
    /// what was before the command.
    pub(super) async fn shown(&self, what: impl Fn(&Snapshot) -> bool) {
        self.services.notifier.mark_changed();
        let mut snapshots = self.snapshots.clone();
        let seen = snapshots.wait_for(|snapshot| what(snapshot));
        let _ = tokio::time::timeout(Duration::from_secs(1), seen).await;
    }

    /// A run or a webhook that could not be kept counts against availability, and is a reason.
    fn note_refusal(&self, command: &str, refused: &Refused) {
        let Refused::Journal { reason } = refused else {
            return;
        };
        if matches!(command, "trigger" | "run_again" | "deliver") {
            let services = &self.services;
            services.durable.note_refused(reason);
            services.registry.count_not_kept(services.lifecycle.now());
        }
    }

    /// A command from its arguments to its line in the audit trail.
    async fn carry_out(&self, envelope: Envelope) -> Result<Reply, Refused> {
        let Envelope {
            command,
            actor,
            correlation,
        } = envelope;
        let correlation = correlation
            .filter(|c| is_correlation(c))
            .unwrap_or_else(new_correlation);
        let redactor = self.services.store.redactor();
        let (name, object) = (
            command.name(),
            clean_line(&redactor.text(&command.object()), 200),
        );
        let about = CommandLine::new(&actor, name, &object, &correlation);
        let result = self.dispatch(command, &actor, &correlation, &about).await;
        let outcome = match &result {
            Ok(Reply::Accepted { run, .. }) => run.clone(),
            Ok(Reply::Done { what }) => what.clone(),
            Ok(Reply::Pruned(pruned)) => pruned.summary(),
            Ok(Reply::Delivered { outcome, note, .. }) => format!("{}: {note}", outcome.as_str()),
            Ok(Reply::Answered { model, source, .. }) => format!("answered by {model} ({source})"),
            Err(refused) => {
                self.note_refusal(name, refused);
                let redactor = self.services.store.redactor();
                redactor.text(&format!("refused: {refused}"))
            }
        };
        let audit = &self.services.audit;
        if let Some((line, record)) = about.kept(&outcome) {
            audit.write_kept(line, record).await;
        } else {
            let now_ms = self.services.lifecycle.wall_ms();
            audit.write(about.line(now_ms, &outcome)).await;
        }
        tracing::info!(
            corr = correlation,
            actor,
            command = name,
            object,
            result = outcome,
            "command"
        );
        result
    }
}

impl Operator for Handle {
    fn snapshots(&self) -> watch::Receiver<Arc<Snapshot>> {
        self.snapshots.clone()
    }

    fn events(&self) -> EventStream {
        self.services.notifier.subscribe()
    }

    fn send(&self, envelope: Envelope) -> BoxFuture<'_, Result<Reply, Refused>> {
        let engine = self.clone();
        // On the engine's own runtime, and to its end: a console that stalls or leaves neither slows a
        // command down nor cuts it off before its line in the audit trail.
        async move {
            let lifecycle = Arc::clone(&engine.services.lifecycle);
            let work = lifecycle.spawn(async move { engine.carry_out(envelope).await });
            work.await.unwrap_or(Err(Refused::Stopping))
        }
        .boxed()
    }

    fn query(&self, query: Query) -> BoxFuture<'_, Result<Answer, QueryError>> {
        let engine = self.clone();
        async move {
            let lifecycle = Arc::clone(&engine.services.lifecycle);
            let work = lifecycle.spawn_detached(async move { engine.answer(query).await });
            work.await.unwrap_or_else(|_| {
                Err(QueryError::Unavailable {
                    reason: "the engine stops".into(),
                })
            })
        }
        .boxed()
    }

    fn forward(&self, wanted: ForwardRequest) -> BoxFuture<'_, Result<ForwardReply, ForwardError>> {
        // Not to its end: a reader who leaves needs no answer.
        self.services.gateway.forward(wanted).boxed()
    }

    fn knows_program(&self, name: &str) -> bool {
        self.services.gateway.knows_program(name)
    }

    fn gateway_settings(&self) -> GatewaySettings {
        self.services.gateway.settings()
    }

    fn attach(&self, who: String) -> Attachment {
        self.services.attachments.attach(clean_line(&who, 40))
    }

    fn watch_file(&self, path: &std::path::Path) {
        self.services.durable.files.adopt(path);
    }

    fn forget_file(&self, path: &std::path::Path) {
        self.services.durable.files.forget(path);
    }

    fn capabilities(&self) -> Capabilities {
        let mode = &self.services.lifecycle.mode;
        Capabilities {
            read_only: mode.read_only,
            local_paths: true,
            saves: !mode.no_save,
        }
    }
}
