//! Carrying commands out: one arm per command, each ends in a sentence that says what changed.
//!
//! Why apart from the handle: this is the list that an operator's keys, the command line and the API share; a
//! new command is one arm here and one variant in `protocol/command.rs`.

use crate::engine::audit::CommandLine;
use crate::engine::code_host::approvals::is_required;
use crate::engine::handle::Handle;
use crate::engine::models::access::BreakerOf;
use crate::engine::protocol::command::{Command, Refused, Reply};
use crate::model::simulator::Switch;
use crate::resilience::breaker::{BreakerState, BreakerStats};
use crate::text::clean_line;

type Outcome = Result<Reply, Refused>;

/// The caches by name, in the order in which they are listed.
const CACHES: [&str; 3] = ["agents", "knowledge", "registry"];

/// A breaker lets calls through, or is switched off, which no command about it changes.
fn passes(breaker: &BreakerStats) -> bool {
    matches!(breaker.state, BreakerState::Closed | BreakerState::Disabled)
}

#[expect(clippy::unnecessary_wraps, reason = "every arm ends in it")]
fn done(what: impl Into<String>) -> Outcome {
    Ok(Reply::Done { what: what.into() })
}

impl Handle {
    pub(super) async fn dispatch(
        &self,
        command: Command,
        actor: &str,
        correlation: &str,
        about: &CommandLine,
    ) -> Outcome {
        let services = &self.services;
        if services.lifecycle.mode.read_only {
            return Err(Refused::ReadOnly);
        }
        if services.lifecycle.is_stopping() {
            return Err(Refused::Stopping);
        }
        match command {
            Command::Trigger(trigger) => {
                let intake = &services.intake;
                intake
                    .accept(trigger, actor, correlation, Some(about))
                    .await
            }
            Command::RunAgain { run } => {
                let intake = &services.intake;
                let about = Some(about);
                intake.rerun(&run, actor, correlation, about).await
            }
            Command::CancelRun { run } => self.cancel_run(&run).await,
            Command::Drain => self.drain(actor).await,
            Command::OpenIntake => self.open_intake(actor).await,
            Command::Deliver(webhook) => {
                services.webhooks.deliver(webhook, actor, correlation).await
            }
            Command::Decide {
                approval,
                grant,
                reason,
                token,
            } => {
                services
                    .approvals
                    .decide(&approval, grant, &reason, &token)
                    .await
            }
            Command::ClearCache { tag: Some(tag), .. } => self.clear_tag(&tag),
            Command::ClearCache { cache, tag: None } => self.clear_cache(cache.as_deref()),
            Command::ClearEntry { cache, key } => self.clear_entry(&cache, &key),
            Command::ResetBreaker { breaker } => {
                self.reset_breaker(breaker.as_deref(), actor).await
            }
            Command::CloseBreaker { breaker } => self.close_breaker(&breaker, actor).await,
            Command::IsolateBreaker { breaker } => self.isolate_breaker(&breaker, actor).await,
            Command::ResizePool { pool, limit } => self.resize_pool(&pool, limit).await,
            Command::SetFlag { flag, on } => done(services.reloader.set_flag(&flag, on).await?),
            Command::Ask(question) => services.chat.ask(question, correlation).await,
            Command::SetFaults(switch) => self.set_faults(&switch),
            Command::Drill { drill } => done(services.drills.start(&drill)?),
            Command::AcknowledgeRecovery => self.acknowledge_recovery(actor).await,
            Command::AcknowledgeAlert { alert } => self.acknowledge_alert(&alert, actor).await,
            Command::Reload => self.reload().await,
            Command::SetLogLevel { level } => self.set_log_level(&level),
            Command::RevokeDismissal { id } => self.revoke_dismissal(&id, actor).await,
            Command::Remember { items } => {
                let count = services.memory_import.import(items).await?;
                done(format!("{count} items remembered"))
            }
            Command::Forget { id } => {
                services.memory_import.forget(&id).await?;
                done(format!("{} is forgotten", clean_line(&id, 200)))
            }
            Command::SetAgent { agent, on } => self.set_agent(&agent, on).await,
            Command::Prune {
                older_than_days,
                dry_run,
            } => {
                let pruned = services.retention.prune(older_than_days, dry_run).await;
                services.notifier.mark_changed();
                Ok(Reply::Pruned(pruned))
            }
        }
    }

    async fn revoke_dismissal(&self, id: &str, actor: &str) -> Outcome {
        let services = &self.services;
        let at_ms = services.lifecycle.wall_ms();
        let journal = &services.durable.journal;
        if !journal.revoke_dismissal(id, actor, at_ms).await? {
            return Err(Refused::not_found("dismissal that holds", id));
        }
        let id = clean_line(id, 80);
        done(format!(
            "{id} is taken back; the next decision counts its finding again"
        ))
    }

    async fn cancel_run(&self, run: &str) -> Outcome {
        let live = self
            .services
            .registry
            .get(run)
            .ok_or_else(|| Refused::not_found("active run", run))?;
        self.services.durable.journal.cancel(run).await?;
        live.cancel.cancel();
        self.services.notifier.mark_changed();
        done(format!("{run} is being cancelled"))
    }

    async fn drain(&self, actor: &str) -> Outcome {
        let services = &self.services;
        services.lifecycle.set_drained(true);
        // They stop first; that it is written comes after.
        let cancelled = services.registry.cancel_all();
        let text = format!("drained by {actor}: {} runs stop", cancelled.len());
        services.notifier.raise("drained", "intake", text);
        let mut unwritten = None;
        for id in &cancelled {
            if let Err(error) = services.durable.journal.cancel(id).await {
                unwritten = Some(error.to_string());
            }
        }
        self.shown(|snapshot| snapshot.drained).await;
        let but = unwritten.map_or_else(String::new, |e| {
            format!(" (not in the journal yet, a crash would resume them: {e})")
        });
        done(format!(
            "{} runs are being cancelled{but}; no run is accepted until it is opened again",
            cancelled.len()
        ))
    }

    async fn open_intake(&self, actor: &str) -> Outcome {
        self.services.lifecycle.set_drained(false);
        let text = format!("opened by {actor}: runs are accepted again");
        self.services.notifier.resolve("drained", "intake", text);
        self.shown(|snapshot| !snapshot.drained).await;
        done("runs are accepted again")
    }

    async fn acknowledge_recovery(&self, actor: &str) -> Outcome {
        let services = &self.services;
        if !services.durable.acknowledge(actor).await? {
            return Err(Refused::input("the journal needs no acknowledgement"));
        }
        services.models.service.spend().set_frozen(false);
        services.reconciler.status.wake_outbox.notify_one();
        services.notifier.alert(
            false,
            format!("the recovered journal was acknowledged by {actor}"),
        );
        done("acknowledged: schedules, publications and spending go on")
    }

    async fn acknowledge_alert(&self, id: &str, actor: &str) -> Outcome {
        let alert = self
            .services
            .notifier
            .acknowledge(id, &clean_line(actor, 40));
        let alert = alert.ok_or_else(|| Refused::not_found("alert", id))?;
        let (by, seen) = (alert.acknowledged_by, alert.acknowledged_ms);
        self.shown(|s| {
            s.alerts
                .iter()
                .all(|a| a.id != id || a.acknowledged_ms == seen)
        })
        .await;
        let by = by.unwrap_or_default();
        done(format!(
            "acknowledged by {by}: {}",
            clean_line(&alert.text, 200)
        ))
    }

    fn clear_tag(&self, tag: &str) -> Outcome {
        let gone = self.services.models.service.clear_tag(tag);
        self.services.notifier.mark_changed();
        done(format!(
            "answers of {} forgotten: {gone}",
            clean_line(tag, 80)
        ))
    }

    fn clear_cache(&self, name: Option<&str>) -> Outcome {
        let wants = |n: &str| name.is_none_or(|w| w == n || w == "all");
        let mut cleared: Vec<String> = CACHES
            .into_iter()
            .filter(|cache| wants(cache))
            .filter_map(|cache| Some(format!("{cache} {}", self.services.caches.clear(cache)?)))
            .collect();
        if wants("responses") {
            let gone = self.services.models.service.clear_cache();
            cleared.push(format!("responses {gone}"));
        }
        self.services.notifier.mark_changed();
        if cleared.is_empty() {
            return Err(Refused::not_found("cache", name.unwrap_or_default()));
        }
        done(format!("entries cleared: {}", cleared.join(", ")))
    }

    fn clear_entry(&self, cache: &str, key: &str) -> Outcome {
        let gone = match cache {
            "responses" => Some(self.services.models.service.forget(key)),
            other => self.services.caches.remove(other, key),
        };
        let gone = gone.ok_or_else(|| Refused::not_found("cache", cache))?;
        self.services.notifier.mark_changed();
        if gone {
            done(format!("one entry of {cache} forgotten"))
        } else {
            Err(Refused::not_found(&format!("entry of {cache}"), key))
        }
    }

    async fn reset_breaker(&self, name: Option<&str>, actor: &str) -> Outcome {
        let now = self.services.lifecycle.now();
        let cause = format!("reset by {actor}");
        let reset = self.breakers(name, |of| of.reset(&cause, now))?;
        let cleared = |b: &BreakerStats| passes(b) && b.failures_in_row == 0;
        self.breakers_shown(&reset, cleared).await;
        done(format!("reset: {}", reset.join(", ")))
    }

    async fn close_breaker(&self, name: &str, actor: &str) -> Outcome {
        let now = self.services.lifecycle.now();
        let cause = format!("closed by {actor}");
        let closed = self.breakers(Some(name), |of| of.close(&cause, now))?;
        self.breakers_shown(&closed, passes).await;
        done(format!(
            "{name} is closed; the next failure may open it again"
        ))
    }

    async fn isolate_breaker(&self, name: &str, actor: &str) -> Outcome {
        let now = self.services.lifecycle.now();
        let cause = format!("isolated by {actor}");
        let isolated = self.breakers(Some(name), |of| of.breaker().isolate(&cause, now))?;
        self.breakers_shown(&isolated, |b| {
            b.state == BreakerState::Isolated || b.state == BreakerState::Disabled
        })
        .await;
        done(format!("{name} is isolated until it is reset"))
    }

    /// Waits until the snapshot shows these breakers as they are after a command.
    async fn breakers_shown(&self, names: &[String], is: impl Fn(&BreakerStats) -> bool) {
        let named = |b: &&BreakerStats| names.iter().any(|name| **name == *b.name);
        self.shown(|snapshot| snapshot.breakers.iter().filter(named).all(&is))
            .await;
    }

    /// Does something to one breaker (`provider` or `provider/model`), or to all; the names of those it was
    /// done to.
    fn breakers(
        &self,
        name: Option<&str>,
        act: impl Fn(BreakerOf<'_>),
    ) -> Result<Vec<String>, Refused> {
        let changed = self.services.models.for_breakers(name, act);
        match name {
            Some(name) if changed.is_empty() => Err(Refused::not_found("breaker", name)),
            _ => Ok(changed),
        }
    }

    async fn resize_pool(&self, pool: &str, limit: u32) -> Outcome {
        if limit == 0 {
            return Err(Refused::input("a pool needs room for at least 1 call"));
        }
        if !self.services.models.resize_pool(pool, limit) {
            return Err(Refused::not_found("pool", pool));
        }
        self.shown(|snapshot| {
            let mut pools = snapshot.pools.iter().filter(|p| *p.name == *pool);
            pools.all(|p| p.limit == limit)
        })
        .await;
        done(format!("{pool} lets {limit} calls through at once"))
    }

    fn set_faults(&self, switch: &Switch) -> Outcome {
        let Some(simulator) = &self.services.models.simulator else {
            return Err(Refused::input(
                "there is no simulator; start the engine with --simulate",
            ));
        };
        simulator.switch(switch).map_err(Refused::input)?;
        let whose = switch.provider.as_deref().unwrap_or("every provider");
        let how = switch.preset.as_deref().unwrap_or("as told");
        done(format!(
            "the simulator: {} behaves as '{how}' from now on",
            clean_line(whose, 60)
        ))
    }

    async fn reload(&self) -> Outcome {
        let reloaded = self.services.reloader.reload().await;
        reloaded.map_err(Refused::input)?;
        let workspace = self.services.store.workspace();
        done(format!(
            "{} agents, {} problems",
            workspace.agents.len(),
            workspace.problems.len()
        ))
    }

    fn set_log_level(&self, level: &str) -> Outcome {
        let Some(log) = &self.services.log else {
            return Err(Refused::input("this engine writes no log"));
        };
        log.set_level(level).map_err(Refused::input)?;
        done(format!("log level is {}", clean_line(level, 80)))
    }

    async fn set_agent(&self, agent: &str, on: bool) -> Outcome {
        let agents = &self.services.agents;
        let agent = agents.agent(agent)?;
        if on {
            agents.may_start(&agent).await?;
            if is_required(&agent) {
                return Err(self.services.approvals.hold_start(&agent).await?);
            }
        }
        agents.set_stopped(&agent.id, !on).await?;
        done(if on {
            format!("{} works", agent.id)
        } else {
            let what = "where it is wanted, a person decides";
            format!("{} is stopped; {what}", agent.id)
        })
    }
}
