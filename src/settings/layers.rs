//! Merges the layers and remembers where each value came from.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use super::Settings;
use super::env::{Env, boolean};
use super::misspelt_variables::misspelt;
use super::workspace_keys::refused;
use crate::text::clean_line;

/// Where a value came from; the order is that of precedence, weakest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// Built in.
    Default,
    /// The user's own file.
    User(String),
    /// The workspace's file.
    Workspace(String),
    /// A variable.
    Environment(String),
    /// The command line.
    Flag,
}

impl Origin {
    /// In words.
    pub fn summary(&self) -> String {
        match self {
            Self::Default => "default".into(),
            Self::User(file) | Self::Workspace(file) => file.clone(),
            Self::Environment(name) => format!("${name}"),
            Self::Flag => "flag".into(),
        }
    }
}

/// One line of `bsm config`.
#[derive(Debug, Clone, PartialEq)]
pub struct Effective {
    /// Dotted key.
    pub key: String,
    /// Its value.
    pub value: Value,
    /// Where it came from.
    pub origin: Origin,
}

/// Settings with the origin of every value.
#[derive(Debug, Clone)]
pub struct Loaded {
    /// The value.
    pub settings: Settings,
    /// Every key.
    pub effective: Vec<Effective>,
    /// What was ignored, and why.
    pub warnings: Vec<String>,
}

/// Variables with names of their own; all other keys are `BSM_` and the key in capitals.
const NAMED: &[(&str, &str)] = &[
    ("NODE_ENV", "environment"),
    ("BSM_ENV", "environment"),
    ("LOG_LEVEL", "logs.level"),
    ("OPENAI_MODEL", "defaultModel"),
    ("DEFAULT_MODEL", "defaultModel"),
    ("FALLBACK_ENABLED", "fallback"),
    ("PERPLEXITY_MODEL", "search.model"),
    ("PERPLEXITY_CITATIONS", "search.citations"),
    ("PERPLEXITY_RECENCY_DAYS", "search.recencyDays"),
    ("SAFE_MODE", "safeMode"),
    ("EGRESS_POLICY", "egress"),
    ("EGRESS_ALLOWED_HOSTS", "egressAllowedHosts"),
    ("CORS_ORIGINS", "api.cors"),
    ("RATE_LIMIT_MAX", "api.rateLimit.max"),
    ("RATE_LIMIT_WINDOW_MS", "api.rateLimit.windowMs"),
    ("MAX_AGENT_INPUT_LENGTH", "api.maxAgentInput"),
    ("LAN_ONLY", "api.lanOnly"),
    ("MOBILE_MODE", "api.mobileMode"),
    ("GITHUB_REPO", "github.repositories"),
    ("GITHUB_API_URL", "github.apiUrl"),
    ("ASYNC_FILE_IO_ENABLED", "flags.asyncFileIo"),
    ("CIRCUIT_BREAKER_ENABLED", "flags.circuitBreaker"),
    ("CACHE_STAMPEDE_PROTECTION", "flags.cacheStampedeProtection"),
];

/// A file's text with the name it is shown by.
pub struct File<'a> {
    /// For messages.
    pub name: &'a str,
    /// YAML.
    pub text: &'a str,
}

/// Merges defaults, the user's file, the workspace's file, environment and flags (dotted key → value). What a
/// workspace may not set, and what one that is not `trusted` may not, is left out with a warning.
///
/// # Errors
/// A sentence: file, line and column, or the variable, and what is wanted.
pub fn load(
    user: Option<File<'_>>,
    workspace: Option<File<'_>>,
    trusted: bool,
    env: &Env,
    flags: &[(&str, Value)],
) -> Result<Loaded, String> {
    let defaults = serde_json::to_value(Settings::default()).map_err(|e| e.to_string())?;
    let known: BTreeMap<String, Value> = flatten(&defaults);
    let mut merged = defaults;
    let mut origins: BTreeMap<String, Origin> = BTreeMap::new();
    let mut warnings = Vec::new();
    if let Some(file) = user {
        for (key, value) in read(&file)? {
            put(
                &mut merged,
                &mut origins,
                &key,
                value,
                Origin::User(file.name.to_owned()),
            );
        }
    }
    if let Some(file) = workspace {
        for (key, value) in read(&file)? {
            if let Some(why) = refused(&key, &value, trusted) {
                warnings.push(format!("{}: {key} is ignored: {why}", file.name));
                continue;
            }
            put(
                &mut merged,
                &mut origins,
                &key,
                value,
                Origin::Workspace(file.name.to_owned()),
            );
        }
    }
    let named = NAMED.iter().map(|(name, _)| (*name).to_owned());
    let all = known.keys().map(|key| variable_of(key)).chain(named);
    if let Some((wrong, meant)) = misspelt(all, env) {
        return Err(format!(
            "${wrong} is no variable of BSM; did you mean ${meant}?"
        ));
    }
    for (variable, key) in variables(&known, env) {
        let Some(text) = env.get(&variable) else {
            continue;
        };
        let value = typed(&variable, text, known.get(&key))?;
        put(
            &mut merged,
            &mut origins,
            &key,
            value,
            Origin::Environment(variable),
        );
    }
    for (key, value) in flags {
        put(&mut merged, &mut origins, key, value.clone(), Origin::Flag);
    }
    let settings: Settings = serde_json::from_value(merged.clone())
        .map_err(|e| blame(&merged, &origins, &e.to_string()))?;
    settings.check()?;
    let effective = flatten(&serde_json::to_value(&settings).map_err(|e| e.to_string())?)
        .into_iter()
        .map(|(key, value)| {
            let origin = origins.get(&key).cloned().unwrap_or(Origin::Default);
            Effective { key, value, origin }
        })
        .collect();
    Ok(Loaded {
        settings,
        effective,
        warnings,
    })
}

/// Parses a file strictly (unknown keys, doubles and types with line and column), then flattens it.
fn read(file: &File<'_>) -> Result<BTreeMap<String, Value>, String> {
    if file
        .text
        .lines()
        .all(|l| l.trim().is_empty() || l.trim().starts_with('#'))
    {
        return Ok(BTreeMap::new());
    }
    if let Some(line) = crate::workspace::too_deep(file.text) {
        return Err(format!(
            "{}:{line}: nested deeper than 100 brackets",
            file.name
        ));
    }
    let fail = |e: &serde_yaml::Error| {
        let place = e
            .location()
            .map_or_else(String::new, |at| format!(":{}:{}", at.line(), at.column()));
        let what = crate::workspace::without_values(&e.to_string());
        format!("{}{place}: {}", file.name, clean_line(&what, 300))
    };
    serde_yaml::from_str::<Settings>(file.text).map_err(|e| fail(&e))?;
    let value: Value = serde_yaml::from_str(file.text).map_err(|e| fail(&e))?;
    Ok(flatten(&value))
}

/// Which variables set which keys: those with names of their own last, so that they win.
fn variables(known: &BTreeMap<String, Value>, env: &Env) -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = known
        .keys()
        .map(|key| (variable_of(key), key.clone()))
        .collect();
    let named: BTreeSet<&str> = NAMED.iter().map(|(_, key)| *key).collect();
    all.sort_by_key(|(_, key)| named.contains(key.as_str()));
    all.extend(
        NAMED
            .iter()
            .map(|(name, key)| ((*name).to_owned(), (*key).to_owned())),
    );
    all.retain(|(name, _)| env.get(name).is_some());
    all
}

/// `breaker.openMs` → `BSM_BREAKER_OPEN_MS`.
pub fn variable_of(key: &str) -> String {
    let mut name = String::from("BSM_");
    for c in key.chars() {
        match c {
            '.' => name.push('_'),
            c if c.is_ascii_uppercase() => {
                name.push('_');
                name.push(c);
            }
            c => name.push(c.to_ascii_uppercase()),
        }
    }
    name
}

/// A variable's text as the type of the default it replaces.
fn typed(name: &str, text: &str, default: Option<&Value>) -> Result<Value, String> {
    let shown = clean_line(text, 40);
    match default {
        Some(Value::Bool(_)) => boolean(name, text).map(Value::Bool),
        Some(Value::Number(n)) if n.is_f64() => text
            .parse::<f64>()
            .map(Value::from)
            .map_err(|_| format!("{name} is '{shown}': want a number")),
        Some(Value::Number(_)) => text
            .parse::<u64>()
            .map(Value::from)
            .map_err(|_| format!("{name} is '{shown}': want a whole number, 0 or more")),
        Some(Value::Array(_)) => Ok(text
            .split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty())
            .map(Value::from)
            .collect()),
        _ => Ok(Value::String(text.to_owned())),
    }
}

fn put(
    merged: &mut Value,
    origins: &mut BTreeMap<String, Origin>,
    key: &str,
    value: Value,
    origin: Origin,
) {
    let mut at = merged;
    for part in key.split('.') {
        if !at.is_object() {
            *at = Value::Object(serde_json::Map::new());
        }
        let Value::Object(map) = at else { return };
        at = map.entry(part).or_insert(Value::Null);
    }
    *at = value;
    origins.insert(key.to_owned(), origin);
}

/// Leaves of a tree by dotted key. An empty map or a list is a leaf.
fn flatten(value: &Value) -> BTreeMap<String, Value> {
    fn walk(prefix: &str, value: &Value, out: &mut BTreeMap<String, Value>) {
        match value {
            Value::Object(map) if !map.is_empty() => {
                for (key, value) in map {
                    let key = if prefix.is_empty() {
                        key.clone()
                    } else {
                        format!("{prefix}.{key}")
                    };
                    walk(&key, value, out);
                }
            }
            Value::Object(_) => {}
            other => {
                out.insert(prefix.to_owned(), other.clone());
            }
        }
    }
    let mut out = BTreeMap::new();
    walk("", value, &mut out);
    out
}

/// Names the layer whose value could not be used.
fn blame(merged: &Value, origins: &BTreeMap<String, Origin>, error: &str) -> String {
    let flat = flatten(merged);
    for (key, origin) in origins.iter().rev() {
        let mut alone = serde_json::json!({});
        put(
            &mut alone,
            &mut BTreeMap::new(),
            key,
            flat.get(key).cloned().unwrap_or(Value::Null),
            Origin::Default,
        );
        if let Err(error) = serde_json::from_value::<Settings>(alone) {
            return format!(
                "{} ({key}): {}",
                origin.summary(),
                clean_line(&error.to_string(), 200)
            );
        }
    }
    clean_line(error, 200)
}

/// Reads a settings file if it is there.
pub fn read_file(path: &Path) -> Result<Option<String>, String> {
    match std::fs::read_to_string(path) {
        Ok(text) if text.len() > 1 << 20 => Err(format!("{}: larger than 1 MiB", path.display())),
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("{}: {error}", path.display())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(user: &str, workspace: &str, env: Env) -> Result<Loaded, String> {
        load(
            Some(File {
                name: "user",
                text: user,
            }),
            Some(File {
                name: "bsm.yaml",
                text: workspace,
            }),
            true,
            &env,
            &[],
        )
    }

    fn origin(loaded: &Loaded, key: &str) -> String {
        loaded
            .effective
            .iter()
            .find(|e| e.key == key)
            .unwrap()
            .origin
            .summary()
    }

    #[test]
    fn each_layer_wins_over_the_one_below() {
        let user = "breaker: {failures: 7, openMs: 2000}\nengine: {maxConcurrentRuns: 3}\n";
        let workspace = "breaker: {failures: 9}\npools: {openai: {limit: 4}}\n";
        let loaded = with(
            user,
            workspace,
            Env::of([("BSM_BREAKER_OPEN_MS", "3000"), ("LOG_LEVEL", "debug")]),
        )
        .unwrap();
        let s = &loaded.settings;
        assert_eq!(
            (
                s.breaker.failures,
                s.breaker.open_ms,
                s.engine.max_concurrent_runs
            ),
            (9, 3_000, 3)
        );
        assert_eq!(
            (
                s.pool("openai").limit,
                s.pool("perplexity").limit,
                s.logs.level.as_str()
            ),
            (4, 5, "debug")
        );
        assert_eq!(origin(&loaded, "breaker.failures"), "bsm.yaml");
        assert_eq!(origin(&loaded, "breaker.openMs"), "$BSM_BREAKER_OPEN_MS");
        assert_eq!(origin(&loaded, "engine.maxConcurrentRuns"), "user");
        assert_eq!(origin(&loaded, "retry.attempts"), "default");
    }

    #[test]
    fn wrong_input_is_named_never_a_default() {
        let none = Env::default;
        assert!(
            with("breaker:\n  failurs: 7\n", "", none())
                .unwrap_err()
                .starts_with("user:2:3: "),
            "{:?}",
            with("breaker:\n  failurs: 7\n", "", none())
        );
        assert!(
            with("", "breaker: {failures: many}\n", none())
                .unwrap_err()
                .starts_with("bsm.yaml:1:")
        );
        assert!(
            with("", "", Env::of([("SAFE_MODE", "maybe")]))
                .unwrap_err()
                .contains("SAFE_MODE")
        );
        assert!(
            with("", "", Env::of([("BSM_RETRY_ATTEMPTS", "-1")]))
                .unwrap_err()
                .contains("BSM_RETRY_ATTEMPTS")
        );
        assert!(
            with("", "", Env::of([("BSM_ENV", "prod")]))
                .unwrap_err()
                .contains("$BSM_ENV")
        );
        assert!(
            with("retry: {attempts: 0}", "", none())
                .unwrap_err()
                .contains("retry.attempts")
        );
        assert!(with("a: 1\na: 2\n", "", none()).is_err());
    }

    #[test]
    fn a_workspace_cannot_loosen_where_keys_go() {
        let loaded = with(
            "",
            "egress: allow_all\nkeyHosts: {OPENAI_API_KEY: [evil.example]}\n",
            Env::default(),
        )
        .unwrap();
        assert_eq!(loaded.settings.egress, super::super::Egress::DenyByDefault);
        assert!(loaded.settings.key_hosts.is_empty());
        assert_eq!(loaded.warnings.len(), 2);
    }
}
