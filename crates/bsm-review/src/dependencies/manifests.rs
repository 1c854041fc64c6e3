//! How people write what they depend on: `Cargo.toml`, `pyproject.toml`, `package.json`, requirements, `go.mod`.
//!
//! Why apart from lock files: a line of these may mean something else entirely, unless the hunk shows the
//! section that it stands in. Where it does not, only what can hardly be anything else counts.

use serde_json::Value;

use super::formats::{Reader, opened, unquoted};
use super::versions::is_single;
use crate::dependencies::format::Format;
use crate::dependencies::registry::Registry;

impl Reader {
    pub(super) fn go_mod(&mut self, text: &str, number: u32, touched: bool) {
        let text = text.split("//").next().unwrap_or(text).trim();
        if let Some((module, target)) = text.split_once("=>") {
            let module = module.trim().trim_start_matches("replace ").trim();
            let module = module.split_whitespace().next().unwrap_or(module);
            let target = target.trim();
            let source = if target.starts_with(['.', '/']) {
                format!("path:{target}")
            } else {
                format!("git+https://{}", target.replacen(' ', "#", 1))
            };
            self.whole(module, None, Some(&source), number, touched);
            return;
        }
        let text = text.strip_prefix("require ").unwrap_or(text);
        if let [module, version] = text.split_whitespace().collect::<Vec<_>>()[..]
            && version.starts_with('v')
            && module.contains('.')
        {
            self.whole(module, Some(version), None, number, touched);
        }
    }

    pub(super) fn requirement(&mut self, text: &str, number: u32, touched: bool) {
        let text = text.split(" #").next().unwrap_or(text).trim();
        let text = text.trim_end_matches('\\').trim_end();
        let text = text
            .strip_prefix("-e ")
            .or_else(|| text.strip_prefix("--editable "))
            .unwrap_or(text);
        if text.is_empty() || text.starts_with(['#', '-']) {
            return;
        }
        let text = text.split(" --hash").next().unwrap_or(text);
        let text = text.split(';').next().unwrap_or(text).trim();
        let is_place = |t: &str| t.contains("://") || t.starts_with(['.', '/']);
        let named = text
            .split_once('@')
            .filter(|(name, place)| !name.contains([':', '/']) && is_place(place.trim_start()));
        if let Some((name, place)) = named {
            let name = name.split('[').next().unwrap_or(name);
            self.whole(name, None, Some(place.trim()), number, touched);
        } else if is_place(text) {
            let name = text
                .rsplit_once("egg=")
                .map_or_else(|| text.rsplit('/').next().unwrap_or(text), |(_, name)| name);
            self.whole(name, None, Some(text), number, touched);
        } else {
            let end = text
                .find(|c: char| !(c.is_ascii_alphanumeric() || "-_.".contains(c)))
                .unwrap_or(text.len());
            let (name, version) = text.split_at(end);
            let version = match version.find(|c: char| "=<>~!".contains(c)) {
                Some(at) => version[at..].trim_start_matches("=="),
                None => "*",
            };
            if !name.is_empty() {
                self.whole(name, Some(version), None, number, touched);
            }
        }
    }

    pub(super) fn toml_manifest(&mut self, text: &str, number: u32, touched: bool) {
        let python = self.format == Format::TomlManifest(Registry::PyPi);
        let text = text.trim();
        let is_header = text.starts_with('[')
            && text.ends_with(']')
            && (!text.contains('"') || text.starts_with("[target."));
        if is_header {
            self.flush();
            let section = text.trim_matches(['[', ']']).to_owned();
            if let Some((table, name)) = section.rsplit_once('.')
                && is_dependency_table(table)
            {
                self.begin(name, number, touched);
            }
            self.section = Some(section);
            self.open.clear();
            return;
        }
        if python && self.python_list(text, number, touched) {
            return;
        }
        let Some((key, value)) = text.split_once('=') else {
            return;
        };
        let (key, value) = (key.trim().trim_matches('"'), value.trim());
        if !self.current.name.is_empty() {
            // Inside a table of its own.
            match key {
                "version" => self.current.version = Some(unquoted(value)),
                "git" => self.current.source = Some(format!("git+{}", unquoted(value))),
                "path" => self.current.source = Some(format!("path:{}", unquoted(value))),
                "package" => self.current.name = unquoted(value),
                "rev" | "tag" => {
                    if let Some(source) = &mut self.current.source {
                        source.push_str(&format!("?{key}={}", unquoted(value)));
                    }
                }
                _ => return,
            }
            self.current.touched |= touched;
            return;
        }
        // `name.git = "…"`; with `name.workspace = true` the version stands elsewhere.
        if let Some((name, part)) = key.split_once('.') {
            let source = match part {
                "git" => format!("git+{}", unquoted(value)),
                "path" => format!("path:{}", unquoted(value)),
                _ => return,
            };
            self.whole(name, None, Some(&source), number, touched);
            return;
        }
        let listed = match &self.section {
            Some(section) => is_dependency_table(section),
            // A Python project says too many other things in this form.
            None => !is_package_key(key) && (!python || value.starts_with(['{', '^', '~', '>'])),
        };
        if !listed || key == "python" || key.contains(' ') {
            return;
        }
        if value.starts_with('{') {
            self.inline_table(key, value, number, touched);
        } else if value.starts_with(['"', '\'']) && is_version(&unquoted(value)) {
            self.whole(key, Some(&unquoted(value)), None, number, touched);
        }
    }

    /// `{ version = "1", git = "…" }`
    fn inline_table(&mut self, key: &str, value: &str, number: u32, touched: bool) {
        let Ok(table) = format!("v = {value}").parse::<toml::Table>() else {
            return;
        };
        let field = |name: &str| table["v"].get(name)?.as_str().map(str::to_owned);
        let mut source = field("git")
            .map(|g| format!("git+{g}"))
            .or_else(|| field("path").map(|p| format!("path:{p}")))
            .or_else(|| field("url"));
        if let Some(source) = &mut source {
            for fixed in ["rev", "tag"] {
                if let Some(value) = field(fixed) {
                    source.push_str(&format!("?{fixed}={value}"));
                }
            }
        }
        // Another package under this name.
        let name = field("package").unwrap_or_else(|| key.to_owned());
        if source.is_some() || field("version").is_some() {
            let version = field("version");
            self.whole(
                &name,
                version.as_deref(),
                source.as_deref(),
                number,
                touched,
            );
        }
    }

    /// `dependencies = ["name>=1", …]`, on one line or several. True when the line was part of a list.
    fn python_list(&mut self, text: &str, number: u32, touched: bool) -> bool {
        let grouped = self
            .section
            .as_deref()
            .is_some_and(|s| s == "project.optional-dependencies" || s == "dependency-groups");
        if let Some((key, value)) = text.split_once('=')
            && value.trim_start().starts_with('[')
        {
            let key = key.trim().trim_matches('"');
            let names = grouped
                || key == "dependencies"
                || (key == "requires"
                    && self.section.as_deref().is_none_or(|s| s == "build-system"))
                || key.ends_with("-dependencies");
            self.open = vec![if names { "list" } else { "other" }.to_owned()];
            if let Ok(table) = format!("v = {}", value.trim()).parse::<toml::Table>() {
                self.open.clear();
                for item in table["v"].as_array().into_iter().flatten() {
                    if let Some(item) = item.as_str().filter(|_| names) {
                        self.requirement(item, number, touched);
                    }
                }
            }
            return true;
        }
        if text.starts_with(']') {
            self.open.clear();
            return true;
        }
        let Some(item) = text.strip_prefix(['"', '\'']) else {
            return false;
        };
        let item = item.split(['"', '\'']).next().unwrap_or(item);
        let inside = self.open.last().cloned();
        let inside = inside.as_deref();
        let has_range = item.starts_with(|c: char| c.is_ascii_alphanumeric())
            && item.contains(['=', '<', '>', '~', '@']);
        if inside == Some("list") || (inside.is_none() && has_range) {
            self.requirement(item, number, touched);
        }
        inside.is_some() || has_range
    }

    pub(super) fn package_json(&mut self, text: &str, number: u32, touched: bool) {
        let text = text.trim();
        if text == "{" {
            self.at_root = true;
            return;
        }
        if let Some(key) = opened(text) {
            self.open.push(key.to_owned());
            return;
        }
        if text.starts_with('}') {
            if self.open.pop().is_none() {
                // What closes here the hunk did not show; around it is the top.
                self.at_root = true;
            }
            return;
        }
        // One member a line or several, with objects in them or not.
        let Ok(Value::Object(members)) =
            serde_json::from_str::<Value>(&format!("{{{}}}", text.trim_end_matches(',')))
        else {
            return;
        };
        for (key, value) in &members {
            match value {
                Value::Object(inside) if is_dependency_object(key) => {
                    for (name, value) in inside {
                        self.package(name, value, number, touched);
                    }
                }
                Value::String(text) => {
                    let listed = match (self.open.last(), self.at_root) {
                        (Some(_), _) => self.open.iter().any(|o| is_dependency_object(o)),
                        (None, true) => false,
                        (None, false) => !is_package_key(key) && is_version(text),
                    };
                    if listed {
                        self.package(key, value, number, touched);
                    }
                }
                _ => {}
            }
        }
    }

    fn package(&mut self, name: &str, value: &Value, number: u32, touched: bool) {
        let Some(value) = value.as_str().map(str::trim) else {
            return;
        };
        if let Some(other) = value.strip_prefix("npm:") {
            // Another package under this name.
            let at = other.char_indices().skip(1).find(|(_, c)| *c == '@');
            let (other, version) =
                at.map_or((other, "*"), |(at, _)| (&other[..at], &other[at + 1..]));
            self.whole(other, Some(version), None, number, touched);
            return;
        }
        let local = ["file:", "link:", "portal:", "./", "../", "/"];
        let source = if value.starts_with("workspace:") || value.starts_with("catalog:") {
            return;
        } else if local.iter().any(|p| value.starts_with(p)) {
            format!("path:{}", value.split_once(':').map_or(value, |(_, p)| p))
        } else if value.contains("://") || value.starts_with("git") {
            value.replacen("github:", "git+https://github.com/", 1)
        } else if value.contains('/') && !value.contains(' ') {
            format!("git+https://github.com/{value}")
        } else {
            self.whole(name, Some(value), None, number, touched);
            return;
        };
        self.whole(name, None, Some(&source), number, touched);
    }
}

fn is_dependency_table(section: &str) -> bool {
    section.ends_with("dependencies") || section.starts_with("patch.") || section == "replace"
}

fn is_dependency_object(key: &str) -> bool {
    key.ends_with("ependencies") || matches!(key, "overrides" | "resolutions")
}

/// Keys of a manifest that name no dependency.
fn is_package_key(key: &str) -> bool {
    const KEYS: &[&str] = &[
        "name",
        "version",
        "edition",
        "rust-version",
        "license",
        "description",
        "resolver",
        "main",
        "type",
        "node",
        "npm",
        "pnpm",
        "yarn",
        "vscode",
        "opt-level",
        "codegen-units",
        "panic",
        "lto",
        "requires-python",
        "python",
        "python_version",
        "minversion",
        "target-version",
        "readme",
        "path",
        "author",
        "homepage",
        "build",
        "test",
        "start",
        "lint",
        "id",
        "types",
        "module",
        "links",
        "package",
        "packageManager",
        "threshold",
        "limit",
        "icon",
        "browser",
        "debug",
        "strip",
    ];
    KEYS.contains(&key)
}

/// It is a version, or begins as a range does.
fn is_version(text: &str) -> bool {
    let text = text.trim();
    let first = text.trim_start_matches(['^', '~', '=', '>', '<', ' ']);
    matches!(text, "*" | "latest" | "x")
        || is_single(text)
        || first
            .strip_prefix('v')
            .unwrap_or(first)
            .starts_with(|c: char| c.is_ascii_digit())
}
