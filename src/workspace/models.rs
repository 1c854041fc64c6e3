//! Providers, models, routes: `agents/models.yaml`, or the built-in table where it is absent.
//!
//! Why so careful with providers: an address and the name of a key together are a way to send the key
//! somewhere. An untrusted workspace's providers are ignored aloud; a trusted one's get a key only
//! where the pair of variable and host is the built-in table's or the user's own.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::trust::Trust;
use super::{Problem, built_in, locate};
use crate::files::Root;
use crate::resilience::limiter::RateSettings;

/// Where it is.
pub const FILE: &str = "agents/models.yaml";

/// The wire form a provider speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ProviderKind {
    /// OpenAI's chat completions and everything compatible.
    Chat,
    /// Chat completions with search.
    Perplexity,
    /// Anthropic's messages.
    Anthropic,
}

/// The four clocks of a call, milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Timeouts {
    /// Until the connection stands.
    pub connect_ms: u64,
    /// Until the first token.
    pub first_token_ms: u64,
    /// Between two pieces of the answer.
    pub idle_ms: u64,
    /// All of it.
    pub total_ms: u64,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect_ms: 5_000,
            first_token_ms: 30_000,
            idle_ms: 15_000,
            total_ms: 30_000,
        }
    }
}

/// A provider.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Provider {
    /// Its wire form.
    pub kind: ProviderKind,
    /// Where it is; nothing is appended but the route.
    pub base_url: String,
    /// Variables that may hold its key, first set one wins; none: it needs no key.
    #[serde(default)]
    pub key_env: Vec<String>,
    /// Further headers.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// Name of its pool; its own name where absent.
    #[serde(default)]
    pub pool: Option<String>,
    /// Places in the queue before its pool.
    #[serde(default)]
    pub queue: Option<u32>,
    /// Its quotas.
    #[serde(default)]
    pub limits: RateSettings,
    /// Its clocks.
    #[serde(default)]
    pub timeouts: Timeouts,
}

/// Prices in US dollars.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct Prices {
    /// A million prompt tokens.
    pub input_per_m: f64,
    /// A million answer tokens.
    pub output_per_m: f64,
    /// A request.
    pub per_request: f64,
}

/// Which name the limit of the answer's tokens has.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TokenParameter {
    /// The older name.
    #[default]
    MaxTokens,
    /// The newer one.
    MaxCompletionTokens,
}

/// A model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Model {
    /// Its provider's name.
    pub provider: String,
    /// Tokens it can read.
    #[serde(default = "context")]
    pub context_tokens: u32,
    /// Tokens it may write.
    #[serde(default = "output")]
    pub max_output_tokens: u32,
    /// Name of that limit on the wire.
    #[serde(default)]
    pub parameter: TokenParameter,
    /// What it costs.
    #[serde(default)]
    pub prices: Prices,
}

fn context() -> u32 {
    128_000
}

fn output() -> u32 {
    1_200
}

/// The table.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ModelTable {
    /// 1.
    #[serde(default)]
    pub version: u32,
    /// By name.
    #[serde(default)]
    pub providers: BTreeMap<String, Provider>,
    /// By name.
    #[serde(default)]
    pub models: BTreeMap<String, Model>,
    /// Task → complexity (or `any`) → models in order.
    #[serde(default)]
    pub routes: BTreeMap<String, BTreeMap<String, Vec<String>>>,
    /// Model → what to ask when it fails.
    #[serde(default)]
    pub fallbacks: BTreeMap<String, Vec<String>>,
    /// The model where no route says otherwise.
    pub default: String,
    /// Providers this workspace brought itself (trusted): their keys must be bound by the user.
    #[serde(skip)]
    pub from_workspace: bool,
}

impl ModelTable {
    /// The candidates for a task, in order, without doubles: what is wanted, the route, their
    /// fallbacks, the default.
    pub fn candidates(
        &self,
        wanted: Option<&str>,
        task: &str,
        complexity: &str,
        fall_back: bool,
    ) -> Vec<String> {
        let route = self
            .routes
            .get(task)
            .and_then(|r| r.get(complexity).or_else(|| r.get("any")));
        let first = wanted
            .map(str::to_owned)
            .into_iter()
            .chain(route.into_iter().flatten().cloned());
        let mut names: Vec<String> = Vec::new();
        let mut push = |name: String| {
            if !names.contains(&name) {
                names.push(name);
            }
        };
        for name in first {
            push(name);
        }
        push(self.default.clone());
        if fall_back {
            let mut at = 0;
            while at < names.len() {
                for next in self.fallbacks.get(&names[at]).into_iter().flatten() {
                    if !names.contains(next) {
                        names.push(next.clone());
                    }
                }
                at += 1;
            }
        }
        names
    }
}

/// Loads the table; where it is absent or broken, the built-in one.
pub fn load(root: &Root, trust: Trust, problems: &mut Vec<Problem>) -> ModelTable {
    let help = "Mend the YAML at this place; until then the built-in models are used.";
    let Some((mut table, text)) = super::read::<ModelTable>(root, FILE, help, problems) else {
        return built_in::models();
    };
    super::expect_version_1(table.version, FILE, &text, problems);
    let built_in = built_in::models();
    if trust == Trust::Trusted {
        table.from_workspace = true;
    } else {
        for (name, provider) in &table.providers {
            if built_in.providers.get(name) != Some(provider) {
                let message = format!(
                    "provider {} is ignored: the workspace is not trusted",
                    crate::text::clean_line(name, 60)
                );
                let help = "Its address and key names take effect after you looked at them and ran `bsm trust`.";
                problems.push(Problem::warning(
                    FILE,
                    locate::key(&text, name),
                    message,
                    help,
                ));
            }
        }
        table.providers = built_in.providers;
    }
    for (name, model) in &table.models {
        if !table.providers.contains_key(&model.provider) {
            let message = format!(
                "model {} names provider {}, which is not there",
                crate::text::clean_line(name, 60),
                crate::text::clean_line(&model.provider, 60)
            );
            problems.push(Problem::warning(
                FILE,
                locate::key(&text, name),
                message,
                "Add the provider, or name another.",
            ));
        }
    }
    let named = table
        .routes
        .values()
        .flat_map(BTreeMap::values)
        .flatten()
        .chain(table.fallbacks.values().flatten())
        .chain([&table.default]);
    let unknown: std::collections::BTreeSet<&String> =
        named.filter(|n| !table.models.contains_key(*n)).collect();
    for name in unknown {
        let message = format!(
            "model {} is named but not described under models",
            crate::text::clean_line(name, 60)
        );
        problems.push(Problem::warning(
            FILE,
            locate::key(&text, "models"),
            message,
            "Describe it, or take its name out of routes and fallbacks.",
        ));
    }
    table
}
