//! The workspace that comes with the binary: useful at once, anywhere. Its files are those of this
//! repository's own `agents/` and `data/`.

macro_rules! files {
    ($($path:literal),* $(,)?) => {
        &[$(($path, include_str!(concat!("../../", $path)))),*]
    };
}

/// Every file of the built-in workspace: path and text.
pub const FILES: &[(&str, &str)] = files![
    "agents/registry.yaml",
    "agents/events.yaml",
    "agents/models.yaml",
    "data/agents/index.json",
    "data/agents/governance-agent.yaml",
    "data/agents/governance-review-agent.yaml",
    "data/agents/code-review-agent.yaml",
    "data/agents/security-agent.yaml",
    "data/agents/integrity-agent.yaml",
    "data/agents/pr-merge-agent.yaml",
    "data/agents/legal-agent.yaml",
    "data/agents/bsu-audit-agent.yaml",
    "data/agents/bsu-autonomous-architect.yaml",
    "data/agents/runner.yaml",
    "data/agents/security.yaml",
    "data/knowledge/index.json",
    "data/knowledge/review-policy.md",
];

/// The sample diffs, for a first run: name and text.
pub const SAMPLES: &[(&str, &str)] = &[
    ("risky", include_str!("../../assets/samples/risky.diff")),
    ("docs", include_str!("../../assets/samples/docs.diff")),
    ("code", include_str!("../../assets/samples/code.diff")),
];

/// The text of a built-in file; empty where there is none.
pub fn text(path: &str) -> &'static str {
    FILES
        .iter()
        .find(|(p, _)| *p == path)
        .map_or("", |(_, text)| text)
}

/// A built-in file, parsed. A test keeps all of them parsable.
pub fn parse<T: serde::de::DeserializeOwned + Default>(path: &str) -> T {
    serde_yaml::from_str(text(path)).unwrap_or_default()
}

/// Hash over all built-in files.
pub fn hash() -> String {
    let all: String = FILES
        .iter()
        .map(|(path, text)| format!("{path}\0{text}"))
        .collect();
    crate::state::short_hash(all.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn built_in_files_every_one_is_parsed() {
        for (path, text) in FILES.iter().filter(|(p, _)| !p.ends_with(".md")) {
            let parsed: Result<serde_json::Value, _> = serde_yaml::from_str(text);
            assert!(parsed.is_ok(), "{path}: {parsed:?}");
        }
    }
}
