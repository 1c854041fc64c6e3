//! Carrying commands out: one arm a command, each ends in a sentence that says what changed.
//!
//! Why apart from the handle: this is the list an operator's keys, the command line and later the API
//! share; a new command is one arm here and one variant in `types/command.rs`.

use super::core::Core;
use super::handle::Handle;
use super::reload::reload;
use super::types::command::{Command, Refused, Reply};
use super::{approvals, asking, drills, intake, remembering, webhook};
use crate::model::provider::Live;
use crate::resilience::clock::lock;
use crate::text::clean_line;
use crate::workspace::agent::Agent;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

impl Handle {
    pub(super) async fn dispatch(
        &self,
        command: Command,
        actor: &str,
        correlation: &str,
    ) -> Result<Reply, Refused> {
        let core = &self.core;
        if core.mode.read_only {
            return Err(Refused::ReadOnly);
        }
        if core.stopping.is_cancelled() {
            return Err(Refused::Stopping);
        }
        let now = core.clock.now();
        let done = |what: String| Ok(Reply::Done { what });
        match command {
            Command::Trigger(trigger) => intake::take_in(core, trigger, actor, correlation).await,
            Command::RunAgain { run } => intake::again(core, &run, actor, correlation).await,
            Command::CancelRun { run } => {
                let live = core
                    .live(&run)
                    .ok_or_else(|| Refused::not_found("active run", &run))?;
                core.journal
                    .cancel(&run)
                    .await
                    .map_err(|e| Refused::Journal {
                        reason: e.to_string(),
                    })?;
                live.cancel.cancel();
                core.dirty.notify_one();
                done(format!("{run} is being cancelled"))
            }
            Command::ClearCache { tag: Some(tag), .. } => {
                let gone = core.models.clear_tag(&tag);
                core.dirty.notify_one();
                done(format!(
                    "answers of {} forgotten: {gone}",
                    clean_line(&tag, 80)
                ))
            }
            Command::ClearCache { cache, tag: None } => core
                .clear_cache(cache.as_deref())
                .map(|what| Reply::Done { what }),
            Command::ResetBreaker { breaker } => {
                let reset = core.breakers(breaker.as_deref(), |live| {
                    live.guards.breaker.reset(&format!("reset by {actor}"), now);
                })?;
                done(format!("reset: {}", reset.join(", ")))
            }
            Command::CloseBreaker { breaker } => {
                core.breakers(Some(&breaker), |live| {
                    live.guards
                        .breaker
                        .close(&format!("closed by {actor}"), now);
                })?;
                done(format!(
                    "{breaker} is closed; the next failure may open it again"
                ))
            }
            Command::IsolateBreaker { breaker } => {
                core.breakers(Some(&breaker), |live| {
                    live.guards
                        .breaker
                        .isolate(&format!("isolated by {actor}"), now);
                })?;
                done(format!("{breaker} is isolated until it is reset"))
            }
            Command::ResizePool { pool, limit } => {
                if limit == 0 {
                    return Err(Refused::input("a pool needs room for at least 1 call"));
                }
                let mut found = false;
                core.models.for_each(|_, live| {
                    if **live.guards.pool.name() == *pool {
                        live.guards
                            .pool
                            .resize(crate::resilience::bulkhead::PoolSettings {
                                limit,
                                ..live.guards.pool.settings()
                            });
                        found = true;
                    }
                });
                core.dirty.notify_one();
                if found {
                    done(format!("{pool} lets {limit} calls through at once"))
                } else {
                    Err(Refused::not_found("pool", &pool))
                }
            }
            Command::SetFlag { flag, on } => {
                // Not while settings are read again: one would undo the other.
                let _one_at_a_time = core.reloading.lock().await;
                core.set_flag(&flag, on).map(|what| Reply::Done { what })
            }
            Command::ClearEntry { cache, key } => {
                let gone = match cache.as_str() {
                    "agents" => core.agents_cache.invalidate(&key),
                    "knowledge" => core.knowledge_cache.invalidate(&key),
                    "registry" => core.registry_cache.invalidate(&key),
                    "responses" => core.models.forget(&key),
                    other => return Err(Refused::not_found("cache", other)),
                };
                core.dirty.notify_one();
                if gone {
                    done(format!("one entry of {cache} forgotten"))
                } else {
                    Err(Refused::not_found(&format!("entry of {cache}"), &key))
                }
            }
            Command::Ask(question) => asking::ask(core, question, correlation).await,
            Command::SetFaults(switch) => match &core.simulator {
                Some(simulator) => {
                    simulator.switch(&switch).map_err(Refused::input)?;
                    let whose = switch.provider.as_deref().unwrap_or("every provider");
                    let how = switch.preset.as_deref().unwrap_or("as told");
                    done(format!(
                        "the simulator: {} behaves as '{how}' from now on",
                        clean_line(whose, 60)
                    ))
                }
                None => Err(Refused::input(
                    "there is no simulator; start the engine with --simulate",
                )),
            },
            Command::Drill { drill } => {
                drills::start(core, &drill).map(|what| Reply::Done { what })
            }
            Command::Drain => {
                core.drained.store(true, Relaxed);
                let live: Vec<String> = {
                    let live = lock(&core.live);
                    // First of all they stop; that it is written comes after.
                    live.values().for_each(|run| run.cancel.cancel());
                    live.keys().cloned().collect()
                };
                core.alert(
                    true,
                    format!("drained by {actor}: {} runs stop", live.len()),
                );
                let mut unwritten = None;
                for id in &live {
                    if let Err(error) = core.journal.cancel(id).await {
                        unwritten = Some(error.to_string());
                    }
                }
                self.shown(|picture| picture.drained).await;
                let but = unwritten.map_or_else(String::new, |e| {
                    format!(" (not in the journal yet, a crash would resume them: {e})")
                });
                done(format!(
                    "{} runs are being cancelled{but}; no run is taken in until it is opened again",
                    live.len()
                ))
            }
            Command::OpenIntake => {
                core.drained.store(false, Relaxed);
                core.alert(false, format!("opened by {actor}: runs are taken in again"));
                self.shown(|picture| !picture.drained).await;
                done("runs are taken in again".into())
            }
            Command::Reload => {
                reload(core).await.map_err(Refused::input)?;
                let workspace = core.workspace.load();
                done(format!(
                    "{} agents, {} problems",
                    workspace.agents.len(),
                    workspace.problems.len()
                ))
            }
            Command::SetLogLevel { level } => match &core.log {
                Some(log) => {
                    log.set_level(&level).map_err(Refused::input)?;
                    done(format!("log level is {}", clean_line(&level, 80)))
                }
                None => Err(Refused::input("this engine writes no log")),
            },
            Command::Deliver(hook) => webhook::deliver(core, hook, actor, correlation).await,
            Command::Decide {
                approval,
                grant,
                reason,
                token,
            } => approvals::decide(core, &approval, grant, &reason, &token).await,
            Command::Remember { items } => {
                let count = remembering::import(core, items)
                    .await
                    .map_err(Refused::input)?;
                done(format!("{count} items remembered"))
            }
            Command::Forget { id } => {
                let gone = core.journal.forget(&id).await.map_err(intake::journal)?;
                let seq = gone.ok_or_else(|| Refused::not_found("memory", &id))?;
                core.memory.remove(seq);
                core.dirty.notify_one();
                done(format!("{} is forgotten", clean_line(&id, 200)))
            }
            Command::SetAgent { agent, on: false } => {
                let known = core.agent(&agent)?;
                let kept = core.journal.set_stopped(&known.id, true).await;
                kept.map_err(intake::journal)?;
                lock(&core.stopped).insert(known.id.clone());
                core.dirty.notify_one();
                let what = "where it is wanted, a person decides";
                done(format!("{} is stopped; {what}", known.id))
            }
            Command::SetAgent { agent, on: true } => {
                let known = core.agent(&agent)?;
                core.may_start(&known)?;
                if approvals::needed(&known) {
                    return Err(approvals::hold_start(core, &known).await?);
                }
                let kept = core.journal.set_stopped(&known.id, false).await;
                kept.map_err(intake::journal)?;
                lock(&core.stopped).remove(&known.id);
                core.dirty.notify_one();
                done(format!("{} works", known.id))
            }
        }
    }
}

impl Core {
    /// An agent of the workspace.
    pub(super) fn agent(&self, id: &str) -> Result<Arc<Agent>, Refused> {
        let workspace = self.workspace.load();
        let agent = workspace.agent(id).cloned();
        agent.ok_or_else(|| Refused::not_found("agent", id))
    }

    /// Whether the registry lets an agent start here and now.
    pub(super) fn may_start(&self, agent: &Agent) -> Result<(), Refused> {
        let forbidden = |reason: String| Err(Refused::Forbidden { reason });
        let settings = self.settings.load();
        if settings.safe_mode && agent.safety.mode == "destructive" {
            return forbidden(format!("safe mode: {} is destructive", agent.id));
        }
        let workspace = self.workspace.load();
        let entry = workspace.registry.as_ref().and_then(|r| r.entry(&agent.id));
        let profiles = entry
            .and_then(|e| e.startup.as_ref())
            .map(|s| &s.allowed_profiles);
        let here = settings.environment.word();
        match profiles {
            Some(allowed) if !allowed.iter().any(|p| p == here) => {
                forbidden(format!("{} may not start in {here}", agent.id))
            }
            _ => Ok(()),
        }
    }

    /// Does something to one provider's breaker, or to all; the names of those it was done to.
    fn breakers(&self, name: Option<&str>, act: impl Fn(&Live)) -> Result<Vec<String>, Refused> {
        let mut done = Vec::new();
        self.models.for_each(|provider, live| {
            if name.is_none_or(|n| n == provider) {
                act(live);
                done.push(provider.to_owned());
            }
        });
        self.dirty.notify_one();
        match name {
            Some(name) if done.is_empty() => Err(Refused::not_found("breaker", name)),
            _ => Ok(done),
        }
    }

    pub(super) fn apply_flags(&self) {
        let flags = self.settings.load().flags;
        let now = self.clock.now();
        self.models.for_each(|_, live| {
            live.guards.breaker.set_enabled(flags.circuit_breaker, now);
        });
        self.models.set_flags(flags);
        self.agents_cache
            .set_protected(flags.cache_stampede_protection);
        self.knowledge_cache
            .set_protected(flags.cache_stampede_protection);
        self.registry_cache
            .set_protected(flags.cache_stampede_protection);
    }

    pub(super) fn set_flag(&self, flag: &str, on: bool) -> Result<String, Refused> {
        let mut settings = (**self.settings.load()).clone();
        match flag {
            "asyncFileIo" => settings.flags.async_file_io = on,
            "circuitBreaker" => settings.flags.circuit_breaker = on,
            "cacheStampedeProtection" => settings.flags.cache_stampede_protection = on,
            "rateLimiter" => settings.flags.rate_limiter = on,
            "bulkhead" => settings.flags.bulkhead = on,
            "retry" => settings.flags.retry = on,
            "safeMode" => {
                settings.safe_mode = on;
                *lock(&self.safe_mode) = Some(on);
                let models = Arc::new(self.workspace.load().models.clone());
                self.models.rebuild(models, &self.surroundings(&settings));
            }
            other => return Err(Refused::not_found("flag", other)),
        }
        self.settings.store(Arc::new(settings));
        self.apply_flags();
        self.dirty.notify_one();
        Ok(format!("{flag} is {}", if on { "on" } else { "off" }))
    }

    pub(super) fn clear_cache(&self, name: Option<&str>) -> Result<String, Refused> {
        let mut cleared = Vec::new();
        let wants = |n: &str| name.is_none_or(|w| w == n || w == "all");
        if wants("agents") {
            cleared.push(format!("agents {}", self.agents_cache.clear()));
        }
        if wants("knowledge") {
            cleared.push(format!("knowledge {}", self.knowledge_cache.clear()));
        }
        if wants("registry") {
            cleared.push(format!("registry {}", self.registry_cache.clear()));
        }
        if wants("responses") {
            cleared.push(format!("responses {}", self.models.clear_cache()));
        }
        self.dirty.notify_one();
        if cleared.is_empty() {
            return Err(Refused::not_found("cache", name.unwrap_or_default()));
        }
        Ok(format!("entries cleared: {}", cleared.join(", ")))
    }
}
