//! Everything that can be set: defaults, user's file, workspace's file, environment, flags, in one
//! validated value that knows where each of its parts came from.
//!
//! Why one value: a bound or a timeout that lives in a constant somewhere cannot be found, shown or
//! changed. An unknown key, a value out of range or a word that is no boolean is an error that names
//! the place; it never becomes a default in silence.

mod api;
pub mod env;
mod gateway;
mod github;
mod github_filters;
mod github_secrets;
pub mod layers;
mod misspelt_variables;
mod observability;
mod ranges;
mod retention;
mod workspace_keys;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

pub use api::{ApiSettings, RateLimit};
pub use gateway::GatewaySettings;
pub use github::{ApprovalSettings, GithubSettings, NamedToken, Publish};
pub use github_filters::{Filters, RepositoryFilters, matches_pattern};
pub use observability::{AlertSettings, ConsoleSettings, Targets};
pub use retention::{AuditSettings, BackupSettings, MemorySettings, ReportSettings};

use crate::cache::CacheSettings;
use crate::resilience::breaker::BreakerSettings;
use crate::resilience::bulkhead::PoolSettings;
use crate::resilience::policy::Layers;
use crate::resilience::retry::RetrySettings;
use crate::review::policy::ReviewSettings;
use crate::telemetry::log_files::LogSettings;

/// Where the program runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Environment {
    /// A developer's machine.
    #[default]
    Development,
    /// Before production.
    Staging,
    /// For real.
    Production,
}

impl Environment {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Development => "development",
            Self::Staging => "staging",
            Self::Production => "production",
        }
    }
}

/// Which connections may leave the machine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Egress {
    /// Every one.
    AllowAll,
    /// Those of configured providers.
    #[default]
    DenyByDefault,
    /// None but loopback.
    DenyAll,
}

/// The engine's bounds.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct EngineSettings {
    /// Runs at once; the rest wait in the journal.
    pub max_concurrent_runs: u32,
    /// Longest time of one step, milliseconds.
    pub step_timeout_ms: u64,
    /// Runs kept in the journal.
    pub runs_kept: u32,
    /// Runs that may wait; beyond it a trigger is refused.
    pub queue: u32,
    /// Bytes of redacted diff kept with a run and shown to models.
    pub diff_kept_bytes: usize,
    /// Bytes of diff that one prompt may hold; what does not fit is said in the coverage.
    pub prompt_bytes: usize,
    /// A key that its provider refused is not used for this long, milliseconds; a reload ends it.
    pub key_rest_ms: u64,
}

impl Default for EngineSettings {
    fn default() -> Self {
        Self {
            max_concurrent_runs: 8,
            step_timeout_ms: 120_000,
            runs_kept: 10_000,
            queue: 10_000,
            diff_kept_bytes: 1 << 20,
            prompt_bytes: 200_000,
            key_rest_ms: 600_000,
        }
    }
}

/// The four caches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Caches {
    /// Agent files.
    pub agents: CacheSettings,
    /// Knowledge documents.
    pub knowledge: CacheSettings,
    /// The registry.
    pub registry: CacheSettings,
    /// Models' answers.
    pub responses: CacheSettings,
}

impl Default for Caches {
    fn default() -> Self {
        let minutes = |ttl: u64| CacheSettings {
            ttl_ms: ttl * 60_000,
            ..CacheSettings::default()
        };
        Self {
            agents: minutes(5),
            knowledge: minutes(10),
            registry: minutes(15),
            responses: CacheSettings {
                negative_ms: 60_000,
                ..minutes(10)
            },
        }
    }
}

/// What may be spent on models, US dollars; 0: as much as it takes. What a call could cost at most is set
/// aside before it is made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Budgets {
    /// For one run.
    pub run_usd: f64,
    /// For one day, UTC.
    pub day_usd: f64,
}

/// How the web is searched by models that do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct SearchSettings {
    /// Takes the place of every model of a provider that searches.
    pub model: Option<String>,
    /// Where an answer says it has it from is kept.
    pub citations: bool,
    /// What is looked up must not be older, days; 0: however old.
    pub recency_days: u32,
}

impl Default for SearchSettings {
    fn default() -> Self {
        Self {
            model: None,
            citations: true,
            recency_days: 7,
        }
    }
}

impl SearchSettings {
    /// The shortest span that providers know and that holds those days.
    pub fn recency(&self) -> Option<&'static str> {
        match self.recency_days {
            0 => None,
            1 => Some("day"),
            2..=7 => Some("week"),
            8..=31 => Some("month"),
            _ => Some("year"),
        }
    }
}

/// Switches that can be changed while running.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Flags {
    /// Reports are written on the async path; off: on a blocking thread.
    pub async_file_io: bool,
    /// Breakers decide.
    pub circuit_breaker: bool,
    /// One load for all who ask.
    pub cache_stampede_protection: bool,
    /// Rate limits towards providers are kept.
    pub rate_limiter: bool,
    /// Pools are kept.
    pub bulkhead: bool,
    /// A failed call is made again.
    pub retry: bool,
}

impl Flags {
    /// The layers that a call goes through.
    pub fn layers(self) -> Layers {
        Layers {
            limiter: self.rate_limiter,
            pool: self.bulkhead,
            retry: self.retry,
        }
    }
}

impl Default for Flags {
    fn default() -> Self {
        Self {
            async_file_io: true,
            circuit_breaker: true,
            cache_stampede_protection: true,
            rate_limiter: true,
            bulkhead: true,
            retry: true,
        }
    }
}

/// All of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Settings {
    /// development, staging, production.
    pub environment: Environment,
    /// No outbound connection at all but loopback.
    pub safe_mode: bool,
    /// Which connections may leave the machine.
    pub egress: Egress,
    /// Hosts, beside the configured providers' own, that may be connected to; those with private or
    /// link-local addresses only if they are listed here.
    pub egress_allowed_hosts: Vec<String>,
    /// What may be spent.
    pub budgets: Budgets,
    /// Replaces the default model of the workspace.
    pub default_model: Option<String>,
    /// Ask other models when one fails.
    pub fallback: Fallback,
    /// Models that search the web.
    pub search: SearchSettings,
    /// The engine.
    pub engine: EngineSettings,
    /// Every breaker.
    pub breaker: BreakerSettings,
    /// Pools by name; a provider's own name, or `default` for those not listed.
    pub pools: BTreeMap<String, PoolSettings>,
    /// The caches.
    pub cache: Caches,
    /// The retry loop.
    pub retry: RetrySettings,
    /// Targets.
    pub targets: Targets,
    /// Alerts.
    pub alerts: AlertSettings,
    /// The log files.
    pub logs: LogSettings,
    /// The console.
    pub console: ConsoleSettings,
    /// The HTTP face.
    pub api: ApiSettings,
    /// Other programs' requests to models.
    pub gateway: GatewaySettings,
    /// Webhooks, and what is published.
    pub github: GithubSettings,
    /// How changes are looked at.
    pub review: ReviewSettings,
    /// Past reviews.
    pub memory: MemorySettings,
    /// Report files: how much is kept.
    pub reports: ReportSettings,
    /// The audit trail: how much is kept.
    pub audit: AuditSettings,
    /// Copies of the journal: how many are kept.
    pub backups: BackupSettings,
    /// Who may approve what the registry holds back.
    pub approvers: Vec<NamedToken>,
    /// How long such an action waits.
    pub approvals: ApprovalSettings,
    /// Feature flags.
    pub flags: Flags,
    /// Workspaces of other users that may be used all the same: their folders, or `*`. Only the user's own
    /// file and the environment may say this.
    pub safe_directories: Vec<String>,
    /// Hosts that a key may be sent to, beside the built-in providers' own: variable → hosts. Only the
    /// user's own file and the environment may say this.
    pub key_hosts: BTreeMap<String, Vec<String>>,
}

/// A switch that is on by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Fallback(pub bool);

impl Default for Fallback {
    fn default() -> Self {
        Self(true)
    }
}

impl Settings {
    /// The pool settings for a provider's pool.
    pub fn pool(&self, name: &str) -> PoolSettings {
        let built_in = match name {
            "perplexity" => PoolSettings {
                limit: 5,
                ..PoolSettings::default()
            },
            _ => PoolSettings::default(),
        };
        self.pools
            .get(name)
            .or_else(|| self.pools.get("default"))
            .copied()
            .unwrap_or(built_in)
    }

    /// The pool of one provider's forwarded calls: long streams are the rule there.
    pub fn gateway_pool(&self) -> PoolSettings {
        let built_in = PoolSettings {
            limit: 256,
            queue: 1_024,
            ..PoolSettings::default()
        };
        self.pools.get("gateway").copied().unwrap_or(built_in)
    }

    /// True when nothing may leave the machine.
    pub fn loopback_only(&self) -> bool {
        self.safe_mode || self.egress == Egress::DenyAll
    }
}
