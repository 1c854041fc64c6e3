//! The model service with what its providers are built from: environment, simulator, name lookup, clock.

use std::sync::Arc;
use std::time::Instant;

use crate::cache::Source;
use crate::engine::notifier::Notifier;
use crate::engine::protocol::event::Event;
use crate::model::provider::{ProviderContext, ProviderRuntime};
use crate::model::service::ModelService;
use crate::model::simulator::Simulator;
use crate::outbound::egress::{Lookup, system_lookup};
use crate::resilience::breaker::{Breaker, BreakerState};
use crate::resilience::bulkhead::PoolSettings;
use crate::resilience::clock::Clock;
use crate::resilience::deployment::Deployment;
use crate::settings::env::Env;
use crate::settings::{Flags, Settings};
use crate::workspace::models::ModelTable;

/// One per engine.
pub struct Models {
    /// Answers questions.
    pub service: ModelService,
    /// Under `--simulate`: every provider is this server.
    pub simulator: Option<Simulator>,
    /// Host names to addresses.
    pub lookup: Lookup,
    clock: Arc<dyn Clock>,
    env: Env,
    notifier: Arc<Notifier>,
}

impl Models {
    /// Over a table of providers and models.
    pub fn new(
        table: &ModelTable,
        settings: &Settings,
        env: Env,
        simulator: Option<Simulator>,
        clock: Arc<dyn Clock>,
        notifier: Arc<Notifier>,
    ) -> Arc<Self> {
        let lookup = system_lookup();
        let around = ProviderContext {
            settings,
            env: &env,
            simulator: simulator.as_ref().map(Simulator::url),
            clock: &clock,
            lookup: &lookup,
        };
        let service = ModelService::new(Arc::new(table.clone()), &around);
        let alerts = Arc::clone(&notifier);
        service.observe_breakers(Arc::new(move |name, transition| {
            let state = transition.to.as_str();
            let text = format!("{name} {state}: {}", transition.cause);
            match transition.to {
                // Half-open is neither well nor worse: what opened it is not over.
                BreakerState::Open | BreakerState::HalfOpen => {
                    alerts.raise("breaker-open", name, text);
                }
                BreakerState::Isolated => {
                    alerts.resolve("breaker-open", name, text.clone());
                    alerts.raise("breaker-isolated", name, text);
                }
                BreakerState::Closed | BreakerState::Disabled => {
                    alerts.resolve("breaker-isolated", name, text.clone());
                    alerts.resolve("breaker-open", name, text);
                }
            }
            alerts.publish(Event::Breaker {
                name: name.to_owned(),
                transition: transition.clone(),
            });
        }));
        Arc::new(Self {
            service,
            simulator,
            lookup,
            clock,
            env,
            notifier,
        })
    }

    /// Takes a new table or new settings; breakers, pools and limiters keep their state.
    pub fn rebuild(&self, table: &ModelTable, settings: &Settings) {
        let around = ProviderContext {
            settings,
            env: &self.env,
            simulator: self.simulator.as_ref().map(Simulator::url),
            clock: &self.clock,
            lookup: &self.lookup,
        };
        self.service.rebuild(Arc::new(table.clone()), &around);
    }

    /// Takes new settings of breakers and pools.
    pub fn reconfigure_layers(&self, old: &Settings, new: &Settings, now: Instant) {
        self.service.for_each(|_, provider| {
            provider.guards.breaker.reconfigure(new.breaker, now);
            provider.deployments.reconfigure(new.breaker, now);
            // A pool that an operator has resized keeps that size until its own setting changes.
            let name = provider.guards.pool.name();
            if new.pool(name) != old.pool(name) {
                provider.guards.pool.reconfigure(new.pool(name));
            }
        });
    }

    /// Switches layers on or off.
    pub fn apply_flags(&self, flags: Flags, now: Instant) {
        self.service.for_each(|_, provider| {
            provider
                .guards
                .breaker
                .set_enabled(flags.circuit_breaker, now);
            provider.deployments.set_enabled(flags.circuit_breaker, now);
        });
        self.service.set_flags(flags);
    }

    /// Does something to the breaker of one provider or deployment (`provider/model`), or to those of all
    /// providers; returns the names.
    pub fn for_breakers(&self, name: Option<&str>, act: impl Fn(BreakerOf<'_>)) -> Vec<String> {
        let mut done = Vec::new();
        self.service.for_each(|provider, live| {
            if name.is_none_or(|n| n == provider) {
                act(BreakerOf::Provider(live));
                done.push(provider.to_owned());
            }
            for deployment in live.deployments.list() {
                if name.is_some_and(|n| n == &**deployment.name()) {
                    act(BreakerOf::Deployment(&deployment));
                    done.push(deployment.name().to_string());
                }
            }
        });
        self.notifier.mark_changed();
        done
    }

    /// Changes how many calls a pool lets through at once; false when there is no such pool.
    pub fn resize_pool(&self, pool: &str, limit: u32) -> bool {
        let mut found = false;
        self.service.for_each(|_, live| {
            if **live.guards.pool.name() == *pool {
                live.guards.pool.resize(PoolSettings {
                    limit,
                    ..live.guards.pool.settings()
                });
                found = true;
            }
        });
        self.notifier.mark_changed();
        found
    }

    /// Alerts about keys that providers refused since the last time.
    pub fn report_refused_keys(&self) {
        for text in self.service.key_news() {
            self.notifier.alert(true, text);
        }
    }
}

/// Whose breaker it is.
#[derive(Clone, Copy)]
pub enum BreakerOf<'a> {
    /// A provider's. What is done to it is done to its deployments too, but for isolating.
    Provider(&'a ProviderRuntime),
    /// That of one model at a provider.
    Deployment(&'a Deployment),
}

impl BreakerOf<'_> {
    /// The breaker itself.
    pub fn breaker(&self) -> &Breaker {
        match self {
            Self::Provider(live) => &live.guards.breaker,
            Self::Deployment(deployment) => deployment.breaker(),
        }
    }

    /// Closes it, forgets what it counted, and ends pauses.
    pub fn reset(&self, cause: &str, now: Instant) {
        self.breaker().reset(cause, now);
        match self {
            Self::Provider(live) => live.deployments.reset(cause, now),
            Self::Deployment(deployment) => deployment.resume(),
        }
    }

    /// Closes it and keeps what it counted.
    pub fn close(&self, cause: &str, now: Instant) {
        self.breaker().close(cause, now);
        if let Self::Provider(live) = self {
            for deployment in live.deployments.list() {
                deployment.breaker().close(cause, now);
            }
        }
    }
}

/// Where an answer came from, in a word, and whether it was past its time to live.
pub fn source_name(source: Source) -> (&'static str, bool) {
    match source {
        Source::Hit(_) => ("cache", false),
        Source::Stale(_) | Source::StaleOnError(_) => ("stale", true),
        Source::Shared => ("shared", false),
        Source::Loaded => ("loaded", false),
    }
}
