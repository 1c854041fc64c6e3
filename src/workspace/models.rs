//! Providers, models, routes: `agents/models.yaml`, or the built-in table where it is absent.
//!
//! Why so careful with providers: an address and the name of a key together are a way to send the key
//! somewhere. An untrusted workspace's providers are ignored aloud; a trusted one's get a key only
//! where the pair of variable and host is the built-in table's or the user's own.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::built_in;
use super::groups::Group;
use super::trust::Trust;
use crate::file_set::FileSet;
use crate::resilience::limiter::RateSettings;
use crate::workspace::problem::Problem;
use crate::workspace::yaml_position;

/// Where it is.
pub const FILE: &str = "agents/models.yaml";

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
    /// Its wire form: `chat`, `perplexity`, `anthropic`. What this program speaks is in `model::wire`.
    pub kind: String,
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
    /// It sends its answer while it makes it.
    #[serde(default = "yes")]
    pub stream: bool,
    /// What it speaks natively; what its kind speaks where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wires: Option<Vec<NativeWire>>,
}

/// A protocol that a provider speaks natively. The gateway passes it through untouched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NativeWire {
    /// OpenAI chat completions.
    Chat,
    /// OpenAI text completions.
    Completions,
    /// OpenAI embeddings.
    Embeddings,
    /// OpenAI Responses.
    Responses,
    /// Anthropic Messages, with its counting of tokens.
    Messages,
    /// Gemini's `generateContent`.
    Gemini,
}

impl Provider {
    /// The protocols that it speaks natively.
    pub fn native_wires(&self) -> &[NativeWire] {
        use NativeWire::{Chat, Completions, Embeddings, Messages};
        match (&self.wires, self.kind.as_str()) {
            (Some(wires), _) => wires,
            (None, "anthropic") => &[Messages],
            (None, "perplexity") => &[Chat],
            (None, _) => &[Chat, Completions, Embeddings],
        }
    }
}

fn yes() -> bool {
    true
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

/// How far a model can be held to a form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Structured {
    /// To a JSON schema.
    Schema,
    /// To JSON, of whatever form.
    Object,
    /// Not at all; the prompt alone asks for it.
    None,
}

/// A model in a route: its name, or its name with the share of questions that it gets.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Entry {
    /// Always where it stands.
    Always(String),
    /// A model on trial.
    Share {
        /// Its name.
        model: String,
        /// Percent of questions for which it stands where it is written; for the rest it comes last.
        percent: u8,
    },
}

impl Entry {
    /// The model's name.
    pub fn model(&self) -> &String {
        match self {
            Self::Always(model) | Self::Share { model, .. } => model,
        }
    }
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
    /// How far it can be held to a form; what its provider's kind can do where absent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub structured: Option<Structured>,
    /// The name by which its provider knows it, where that is another one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub upstream_name: Option<String>,
}

fn context() -> u32 {
    128_000
}

fn output() -> u32 {
    1_200
}

/// What follows when a model, or its provider's content policy, refuses a question.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum OnRefusal {
    /// The refusal stands.
    #[default]
    Stop,
    /// The next model is asked.
    FallBack,
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
    pub models: BTreeMap<String, Arc<Model>>,
    /// Task → complexity (or `any`) → models in order.
    #[serde(default)]
    pub routes: BTreeMap<String, BTreeMap<String, Vec<Entry>>>,
    /// Model → what to ask when it fails.
    #[serde(default)]
    pub fallbacks: BTreeMap<String, Vec<String>>,
    /// Public names of the gateway for several deployments, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub groups: BTreeMap<String, Group>,
    /// Model → models whose answer is as good as its own: one of them approves as it would.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub equals: BTreeMap<String, Vec<String>>,
    /// What a refusal by content leads to.
    #[serde(default)]
    pub on_refusal: OnRefusal,
    /// The model where no route says otherwise.
    pub default: String,
    /// Providers this workspace brought itself (trusted): their keys must be bound by the user.
    #[serde(skip)]
    pub from_workspace: bool,
}

/// What a choice of models depends on.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// A model that is wanted before the route's.
    pub model: Option<&'a str>,
    /// The task.
    pub task: &'a str,
    /// `low`, `medium`, `high`, `critical`.
    pub complexity: &'a str,
    /// The answer needs the web: the route `search` comes first.
    pub search: bool,
    /// Ask further models where one fails.
    pub fall_back: bool,
    /// 0 to 99, the same for all questions of one run: decides who gets a model on trial.
    pub draw: u8,
}

impl ModelTable {
    /// The built-in providers and models.
    pub fn built_in() -> Self {
        built_in::parse(FILE)
    }

    /// The candidates in order, without doubles: the web's where it is needed, what is wanted, the route,
    /// the default, models on trial that were not drawn, and everybody's fallbacks.
    pub fn candidates(&self, wanted: Wanted<'_>) -> Vec<String> {
        let route = |task: &str| {
            let route = self.routes.get(task);
            route
                .and_then(|r| r.get(wanted.complexity).or_else(|| r.get("any")))
                .into_iter()
                .flatten()
        };
        let drawn = |entry: &&Entry| match entry {
            Entry::Always(_) => true,
            Entry::Share { percent, .. } => wanted.draw < *percent,
        };
        let on_trial = route(wanted.task).filter(|e| !drawn(e));
        let search = route(SEARCH).filter(|_| wanted.search);
        let first = search
            .filter(drawn)
            .map(Entry::model)
            .cloned()
            .chain(wanted.model.map(str::to_owned))
            .chain(route(wanted.task).filter(drawn).map(Entry::model).cloned())
            .chain([self.default.clone()])
            .chain(on_trial.map(Entry::model).cloned());
        let mut names: Vec<String> = Vec::new();
        for name in first {
            if !names.contains(&name) {
                names.push(name);
            }
        }
        let mut at = 0;
        while wanted.fall_back && at < names.len() {
            for next in self.fallbacks.get(&names[at]).into_iter().flatten() {
                if !names.contains(next) {
                    names.push(next.clone());
                }
            }
            at += 1;
        }
        names
    }
}

impl ModelTable {
    /// Whether a model's answer counts as that of the one that was wanted: the model that is named; where
    /// none is, those of the route; where that is empty, the default; and their equals.
    pub fn counts_as_wanted(&self, wanted: Wanted<'_>, model: &str) -> bool {
        let routed = |task: &str| {
            let route = self.routes.get(task);
            let entries = route.and_then(|r| r.get(wanted.complexity).or_else(|| r.get("any")));
            let entries = entries.into_iter().flatten();
            entries.map(|e| e.model().as_str()).collect::<Vec<_>>()
        };
        let mut meant: Vec<&str> = if wanted.search {
            routed(SEARCH)
        } else {
            Vec::new()
        };
        match wanted.model {
            Some(named) => meant.push(named),
            None => meant.extend(routed(wanted.task)),
        }
        if meant.is_empty() {
            meant.push(&self.default);
        }
        meant.iter().any(|name| {
            let equals = self.equals.get(*name).into_iter().flatten();
            *name == model || equals.into_iter().any(|e| e == model)
        })
    }
}

/// The route of questions that need the web.
const SEARCH: &str = "search";

/// Loads the table; where it is absent or broken, the built-in one.
pub fn load(root: &FileSet, trust: Trust, problems: &mut Vec<Problem>) -> ModelTable {
    let help = "Mend the YAML at this place; until then the built-in models are used.";
    let Some((mut table, text)) =
        crate::workspace::yaml_file::read::<ModelTable>(root, FILE, help, problems)
    else {
        return ModelTable::built_in();
    };
    crate::workspace::yaml_file::expect_version_1(table.version, FILE, &text, problems);
    let built_in = ModelTable::built_in();
    if trust.is_trusted() {
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
                    yaml_position::key(&text, name),
                    message,
                    help,
                ));
            }
        }
        let table_differs = ModelTable {
            providers: BTreeMap::new(),
            ..table.clone()
        } != ModelTable {
            providers: BTreeMap::new(),
            ..built_in.clone()
        };
        if table_differs {
            let message =
                "models, prices, routes and fallbacks are ignored: the workspace is not trusted";
            let help = "The built-in table is used. Look at this one, then run `bsm trust`.";
            problems.push(Problem::warning(FILE, None, message, help));
        }
        return built_in;
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
                yaml_position::key(&text, name),
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
        .map(Entry::model)
        .chain(table.fallbacks.values().flatten())
        .chain(
            table
                .groups
                .values()
                .flat_map(|g| &g.members)
                .map(|m| &m.model),
        )
        .chain([&table.default]);
    let is_known = |n: &&String| table.models.contains_key(*n) || table.groups.contains_key(*n);
    let unknown: std::collections::BTreeSet<&String> = named.filter(|n| !is_known(n)).collect();
    for name in unknown {
        let message = format!(
            "model {} is named but not described under models",
            crate::text::clean_line(name, 60)
        );
        problems.push(Problem::warning(
            FILE,
            yaml_position::key(&text, "models"),
            message,
            "Describe it, or take its name out of routes, groups and fallbacks.",
        ));
    }
    table
}
