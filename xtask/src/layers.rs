//! The layers of `docs/architecture.md`, lowest first: a file uses files of its own layer and of those below.

/// Each layer, and the folders or files that belong to it (`crates/NAME` or the first part beneath `src`).
const LAYERS: [(&str, &[&str]); 6] = [
    ("base", &["crates/bsm-base"]),
    (
        "packages",
        &[
            "crates/bsm-resilience",
            "crates/bsm-cache",
            "crates/bsm-similarity",
            "crates/bsm-wire",
            "crates/bsm-review",
        ],
    ),
    (
        "parts",
        &[
            "filter",
            "state",
            "settings",
            "outbound",
            "telemetry",
            "workspace",
            "journal",
            "code_host",
            "model",
            "drill",
        ],
    ),
    ("engine", &["engine"]),
    ("faces", &["console", "api"]),
    ("command line", &["cli", "lib", "main"]),
];

/// The number of a file's layer and its name.
pub fn of(file: &str) -> Option<(usize, &'static str)> {
    let part = part(file);
    LAYERS
        .iter()
        .enumerate()
        .find(|(_, (_, parts))| parts.contains(&part))
        .map(|(n, (name, _))| (n, *name))
}

/// The part that a file belongs to.
pub fn part(file: &str) -> &str {
    let parts: Vec<&str> = file.splitn(4, '/').collect();
    match parts.as_slice() {
        ["crates", name, ..] => &file[..7 + name.len()],
        ["src", name, ..] => name.strip_suffix(".rs").unwrap_or(name),
        _ => file,
    }
}

/// What a face may use: the engine's seam and data, not what lies beneath it.
pub fn is_behind_the_seam(user: &str, used: &str) -> bool {
    if !matches!(part(user), "console" | "api") {
        return false;
    }
    match part(used) {
        "journal" | "model" | "workspace" | "code_host" | "drill" | "outbound" => true,
        "engine" => {
            let seam = [
                "src/engine/mod.rs",
                "src/engine/protocol/",
                "src/engine/exporters/",
            ];
            !seam.iter().any(|s| used.starts_with(s))
        }
        _ => false,
    }
}
