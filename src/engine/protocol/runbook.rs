//! The runbooks, inside the program: whoever has only a terminal and an outage has no repository at hand.

/// A page's name and its text, Markdown.
macro_rules! page {
    ($name:literal) => {
        (
            $name,
            include_str!(concat!("../../../docs/runbooks/", $name, ".md")),
        )
    };
}

/// Every page of `docs/runbooks`, by name.
pub const RUNBOOKS: [(&str, &str); 22] = [
    page!("approvals"),
    page!("breaker-open"),
    page!("budget"),
    page!("cache"),
    page!("clock"),
    page!("disk-full"),
    page!("drained"),
    page!("engine-down"),
    page!("engine-restarting"),
    page!("evidence-partial"),
    page!("health-degraded"),
    page!("journal"),
    page!("latency"),
    page!("log-lines-lost"),
    page!("outbox"),
    page!("pool-full"),
    page!("provider-not-ready"),
    page!("queue-growing"),
    page!("runs-failing"),
    page!("state-files"),
    page!("webhooks"),
    page!("workspace"),
];

/// Codes of alerts that health has no reason for, and their pages. Codes of reasons have theirs in the judge.
pub const ALERT_CODES: [(&str, &str); 13] = [
    ("latency-high", "latency"),
    ("undecided-runs", "runs-failing"),
    ("pool-full", "pool-full"),
    ("rate-limited", "latency"),
    ("cache-load", "cache"),
    ("hit-rate-low", "cache"),
    ("approval-waiting", "approvals"),
    ("publication-refused", "outbox"),
    ("workspace-not-trusted", "workspace"),
    ("policy-broken", "workspace"),
    ("code-host-settings", "webhooks"),
    ("code-host-setup", "webhooks"),
    ("repository-renamed", "webhooks"),
];

/// A page's text by its name, or by its path in the repository.
pub fn text(name: &str) -> Option<&'static str> {
    let name = short_name(name);
    let found = RUNBOOKS.iter().find(|(page, _)| *page == name);
    found.map(|(_, text)| *text)
}

/// `pool-full` of `docs/runbooks/pool-full.md`.
pub fn short_name(path: &str) -> &str {
    let file = path.rsplit('/').next().unwrap_or(path);
    file.strip_suffix(".md").unwrap_or(file)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn table_has_every_page_of_the_folder_and_every_code_a_page() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/runbooks");
        let files: BTreeSet<String> = std::fs::read_dir(folder)
            .unwrap()
            .map(|e| e.unwrap().file_name().into_string().unwrap())
            .map(|name| short_name(&name).to_owned())
            .collect();
        let table: BTreeSet<String> = RUNBOOKS.iter().map(|(n, _)| (*n).to_owned()).collect();
        assert_eq!(files, table);
        for (code, page) in ALERT_CODES {
            assert!(text(page).is_some(), "{code}: {page}");
        }
        assert!(text("docs/runbooks/pool-full.md").is_some_and(|t| t.starts_with("# ")));
        assert_eq!(text("nothing"), None);
    }
}
