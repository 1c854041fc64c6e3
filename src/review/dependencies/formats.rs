//! How manifests and lock files write a dependency, line by line.
//!
//! Why by lines: a hunk is a piece of a file, so no parser of the whole format could read it. A line begins
//! an entry, adds to it, or is not about dependencies.

use super::Entry;

/// Where packages of a format come from, as far as their names are known here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Registry {
    Crates,
    Npm,
    PyPi,
    Other,
}

/// A kind of file that names dependencies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// `Cargo.lock`, `poetry.lock`, `uv.lock`, `pdm.lock`: `[[package]]` tables.
    TomlLock(Registry),
    /// `package-lock.json`, `npm-shrinkwrap.json`.
    NpmLock,
    /// `yarn.lock`, both forms.
    YarnLock,
    /// `pnpm-lock.yaml`.
    PnpmLock,
    /// `composer.lock`.
    ComposerLock,
    /// `Gemfile.lock`.
    GemLock,
    /// `go.sum`.
    GoSum,
    /// `go.mod`.
    GoMod,
    /// `requirements*.txt`.
    Requirements,
    /// `Cargo.toml`, `pyproject.toml`.
    TomlManifest(Registry),
    /// `package.json`.
    PackageJson,
}

impl Format {
    pub(super) fn of(path: &str) -> Option<Self> {
        let name = path.rsplit('/').next().unwrap_or(path);
        Some(match name {
            "Cargo.lock" => Self::TomlLock(Registry::Crates),
            "poetry.lock" | "uv.lock" | "pdm.lock" => Self::TomlLock(Registry::PyPi),
            "package-lock.json" | "npm-shrinkwrap.json" => Self::NpmLock,
            "yarn.lock" => Self::YarnLock,
            "pnpm-lock.yaml" => Self::PnpmLock,
            "composer.lock" => Self::ComposerLock,
            "Gemfile.lock" => Self::GemLock,
            "go.sum" => Self::GoSum,
            "go.mod" => Self::GoMod,
            "Cargo.toml" => Self::TomlManifest(Registry::Crates),
            "pyproject.toml" => Self::TomlManifest(Registry::PyPi),
            "package.json" => Self::PackageJson,
            _ if name.starts_with("requirements") && name.ends_with(".txt") => Self::Requirements,
            _ => return None,
        })
    }

    pub(super) fn is_lock(self) -> bool {
        !matches!(
            self,
            Self::GoMod | Self::Requirements | Self::TomlManifest(_) | Self::PackageJson
        )
    }

    /// Its entries have checksums as a rule, so that one that goes is worth a word.
    pub(super) fn keeps_checksums(self) -> bool {
        matches!(
            self,
            Self::TomlLock(Registry::Crates) | Self::NpmLock | Self::YarnLock | Self::PnpmLock
        )
    }

    pub(super) fn registry(self) -> Registry {
        match self {
            Self::TomlLock(registry) | Self::TomlManifest(registry) => registry,
            Self::NpmLock | Self::YarnLock | Self::PnpmLock | Self::PackageJson => Registry::Npm,
            Self::Requirements => Registry::PyPi,
            Self::ComposerLock | Self::GemLock | Self::GoSum | Self::GoMod => Registry::Other,
        }
    }
}

/// Reads one side of a hunk.
pub(super) struct Reader {
    format: Format,
    current: Entry,
    /// The table or object that the lines stand in, where the hunk shows it.
    section: Option<String>,
    out: Vec<Entry>,
}

impl Reader {
    pub(super) fn new(format: Format) -> Self {
        Self {
            format,
            current: Entry::default(),
            section: None,
            out: Vec::new(),
        }
    }

    /// `touched`: the line stands only on this side.
    pub(super) fn line(&mut self, text: &str, number: u32, touched: bool) {
        match self.format {
            Format::TomlLock(_) => self.toml_lock(text, number, touched),
            Format::NpmLock => self.npm_lock(text, number, touched),
            Format::YarnLock => self.yarn_lock(text, number, touched),
            Format::PnpmLock => self.pnpm_lock(text, number, touched),
            Format::ComposerLock => self.composer_lock(text, number, touched),
            Format::GemLock => {
                let name_version = text
                    .strip_prefix("    ")
                    .filter(|t| !t.starts_with(' '))
                    .and_then(|t| t.strip_suffix(')'))
                    .and_then(|t| t.split_once(" ("));
                if let Some((name, version)) = name_version {
                    self.whole(name, Some(version), None, number, touched);
                }
            }
            Format::GoSum => {
                if let [module, version, sum] =
                    text.split_whitespace().collect::<Vec<_>>().as_slice()
                    && !version.ends_with("/go.mod")
                {
                    self.whole(module, Some(version), None, number, touched);
                    if let Some(last) = self.out.last_mut() {
                        last.checksum = Some((*sum).to_owned());
                    }
                }
            }
            Format::GoMod => self.go_mod(text, number, touched),
            Format::Requirements => self.requirement(text, number, touched),
            Format::TomlManifest(_) => self.toml_manifest(text, number, touched),
            Format::PackageJson => self.package_json(text, number, touched),
        }
    }

    pub(super) fn finish(mut self) -> Vec<Entry> {
        self.flush();
        self.out
    }

    fn flush(&mut self) {
        let entry = std::mem::take(&mut self.current);
        if !entry.name.is_empty() {
            self.out.push(entry);
        }
    }

    fn begin(&mut self, name: &str, number: u32, touched: bool) {
        self.flush();
        name.clone_into(&mut self.current.name);
        self.current.line = number;
        self.current.touched = touched;
    }

    fn whole(
        &mut self,
        name: &str,
        version: Option<&str>,
        source: Option<&str>,
        number: u32,
        touched: bool,
    ) {
        self.out.push(Entry {
            name: name.trim().to_owned(),
            version: version.map(|v| v.trim().to_owned()),
            source: source.map(|s| s.trim().to_owned()),
            line: number,
            touched,
            ..Entry::default()
        });
    }

    fn toml_lock(&mut self, text: &str, number: u32, touched: bool) {
        let text = text.trim_end();
        if text.is_empty() || text.starts_with('[') {
            self.flush();
            return;
        }
        let Some((key, value)) = text.split_once('=') else {
            return;
        };
        let value = value.trim();
        match key.trim_end() {
            "name" => self.begin(&unquoted(value), number, touched),
            "version" if !self.current.name.is_empty() => {
                self.current.version = Some(unquoted(value));
                self.current.line = number;
            }
            "source" => self.current.source = Some(toml_source(value)),
            "checksum" => self.current.checksum = Some(unquoted(value)),
            _ => return,
        }
        self.current.touched |= touched;
    }

    fn npm_lock(&mut self, text: &str, number: u32, touched: bool) {
        let text = text.trim();
        if let Some(key) = opened(text) {
            if let Some(at) = key.rfind("node_modules/") {
                self.begin(&key[at + "node_modules/".len()..], number, touched);
            } else if !matches!(
                key,
                "dependencies" | "peerDependencies" | "engines" | "bin" | "funding" | "requires"
            ) {
                self.flush();
            }
            return;
        }
        let Some((key, value)) = member(text) else {
            return;
        };
        if self.current.name.is_empty() {
            return;
        }
        match key {
            "version" => self.current.version = Some(value.to_owned()),
            "resolved" => self.current.source = Some(value.to_owned()),
            "integrity" => self.current.checksum = Some(value.to_owned()),
            "hasInstallScript" => self.current.installs = true,
            _ => return,
        }
        self.current.touched |= touched;
    }

    fn yarn_lock(&mut self, text: &str, number: u32, touched: bool) {
        if text.trim().is_empty() {
            self.flush();
            return;
        }
        if !text.starts_with([' ', '#']) {
            let first = text.trim_end_matches(':').split(',').next().unwrap_or(text);
            let first = first.trim().trim_matches('"');
            if let Some(at) = first.char_indices().skip(1).find(|(_, c)| *c == '@') {
                self.begin(&first[..at.0], number, touched);
            }
            return;
        }
        let text = text.trim();
        let Some((key, value)) = text.split_once([' ', ':']) else {
            return;
        };
        let value = value.trim().trim_matches('"').to_owned();
        match key {
            "version" => self.current.version = Some(value),
            "resolved" => self.current.source = Some(value),
            "resolution" => {
                let at = value.rfind('@').filter(|at| *at > 0);
                self.current.source = at.map(|at| value[at + 1..].to_owned());
            }
            "integrity" | "checksum" => self.current.checksum = Some(value),
            _ => return,
        }
        self.current.touched |= touched;
    }

    fn pnpm_lock(&mut self, text: &str, number: u32, touched: bool) {
        let indent = text.len() - text.trim_start().len();
        let text = text.trim();
        if indent == 2 && text.ends_with(':') {
            let key = text
                .trim_end_matches(':')
                .trim_matches('\'')
                .trim_start_matches('/');
            let key = key.split('(').next().unwrap_or(key);
            match key.char_indices().skip(1).find(|(_, c)| *c == '@') {
                Some((at, _)) => {
                    self.begin(&key[..at], number, touched);
                    self.current.version = Some(key[at + 1..].to_owned());
                }
                None => self.flush(),
            }
        } else if let Some(rest) = text.strip_prefix("resolution:") {
            let field = |name: &str| {
                let at = rest.find(&format!("{name}:"))?;
                let value = rest[at + name.len() + 1..].trim_start();
                let end = value.find([',', '}']).unwrap_or(value.len());
                Some(value[..end].trim().to_owned())
            };
            self.current.checksum = field("integrity");
            self.current.source = field("tarball").or_else(|| field("repo"));
            self.current.touched |= touched;
        } else if text == "requiresBuild: true" {
            self.current.installs = true;
            self.current.touched |= touched;
        }
    }

    fn composer_lock(&mut self, text: &str, number: u32, touched: bool) {
        let Some((key, value)) = member(text.trim()) else {
            return;
        };
        match key {
            "name" if value.contains('/') => {
                self.begin(value, number, touched);
                return;
            }
            "version" => self.current.version = Some(value.to_owned()),
            "url" if value.starts_with("http") && self.current.source.is_none() => {
                self.current.source = Some(value.to_owned());
            }
            "shasum" if !value.is_empty() => self.current.checksum = Some(value.to_owned()),
            _ => return,
        }
        self.current.touched |= touched;
    }

    fn go_mod(&mut self, text: &str, number: u32, touched: bool) {
        let text = text.split("//").next().unwrap_or(text).trim();
        if let Some(rest) = text.strip_prefix("replace ") {
            if let Some((module, target)) = rest.split_once("=>") {
                let module = module.split_whitespace().next().unwrap_or(module);
                let target = target.trim();
                let path = target.starts_with(['.', '/']);
                let source = if path {
                    format!("path:{target}")
                } else {
                    format!("git {target}#{}", target.rsplit(' ').next().unwrap_or(""))
                };
                self.whole(module, None, Some(&source), number, touched);
            }
            return;
        }
        let text = text.strip_prefix("require ").unwrap_or(text);
        if let [module, version] = text.split_whitespace().collect::<Vec<_>>().as_slice()
            && version.starts_with('v')
            && module.contains('.')
        {
            self.whole(module, Some(version), None, number, touched);
        }
    }

    fn requirement(&mut self, text: &str, number: u32, touched: bool) {
        let text = text.split(" #").next().unwrap_or(text).trim();
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
        if let Some((name, place)) = text.split_once(" @ ") {
            self.whole(name, None, Some(place), number, touched);
        } else if is_place(text) {
            let name = text
                .rsplit_once("egg=")
                .map_or_else(|| text.rsplit('/').next().unwrap_or(text), |(_, n)| n);
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

    fn toml_manifest(&mut self, text: &str, number: u32, touched: bool) {
        let text = text.trim();
        if text.starts_with('[') && text.ends_with(']') && !text.contains('"') {
            self.flush();
            let section = text.trim_matches(['[', ']']).to_owned();
            if let Some((table, name)) = section.rsplit_once('.')
                && table.ends_with("dependencies")
            {
                self.begin(name, number, touched);
            }
            self.section = Some(section);
            return;
        }
        // `dependencies = ["name>=1", …]` of a Python project, one a line.
        if let Some(item) = text.strip_prefix(['"', '\'']) {
            let item = item.split(['"', '\'']).next().unwrap_or(item);
            let in_list = self.section.as_deref().is_none_or(|s| {
                s == "project" || s.ends_with("dependencies") || s.starts_with("dependency-groups")
            });
            let is_named = item.starts_with(|c: char| c.is_ascii_alphanumeric())
                && item.contains(['=', '<', '>', '~', '@']);
            if in_list && is_named && self.format == Format::TomlManifest(Registry::PyPi) {
                self.requirement(item, number, touched);
            }
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
        let listed = match &self.section {
            Some(section) => section.ends_with("dependencies"),
            None => !is_package_key(key),
        };
        if !listed || key == "python" || key.contains(' ') {
            return;
        }
        let (key, value) = match key.split_once('.') {
            // `name.workspace = true`: the version stands elsewhere.
            Some(_) => return,
            None => (key, value),
        };
        if value.starts_with('{') {
            let field = |name: &str| {
                let at = value
                    .find(&format!("{name} "))
                    .or_else(|| value.find(&format!("{name}=")))?;
                let rest = value[at + name.len()..].trim_start().strip_prefix('=')?;
                Some(unquoted(rest.trim_start().split([',', '}']).next()?))
            };
            let mut source = field("git")
                .map(|g| format!("git+{g}"))
                .or_else(|| field("path").map(|p| format!("path:{p}")));
            if let Some(source) = &mut source {
                for fixed in ["rev", "tag"] {
                    if let Some(value) = field(fixed) {
                        source.push_str(&format!("?{fixed}={value}"));
                    }
                }
            }
            if source.is_some() || field("version").is_some() {
                let version = field("version");
                self.whole(key, version.as_deref(), source.as_deref(), number, touched);
            }
        } else if value.starts_with(['"', '\'']) && is_version(&unquoted(value)) {
            self.whole(key, Some(&unquoted(value)), None, number, touched);
        }
    }

    fn package_json(&mut self, text: &str, number: u32, touched: bool) {
        let text = text.trim();
        if let Some(key) = opened(text) {
            self.section = Some(key.to_owned());
            return;
        }
        if text.starts_with('}') {
            self.section = None;
            return;
        }
        let Some((key, value)) = member(text) else {
            return;
        };
        let listed = match self.section.as_deref() {
            Some(section) => section.ends_with("ependencies") || section == "resolutions",
            None => !is_package_key(key),
        };
        if !listed {
            return;
        }
        let is_place = value.contains("://")
            || ["git", "file:", "link:", "github:", "./", "../"]
                .iter()
                .any(|p| value.starts_with(p));
        if is_place {
            let source = value.replacen("github:", "git+https://github.com/", 1);
            self.whole(key, None, Some(&source), number, touched);
        } else if is_version(value) {
            self.whole(key, Some(value), None, number, touched);
        }
    }
}

/// Keys of a manifest that name no dependency.
fn is_package_key(key: &str) -> bool {
    matches!(
        key,
        "name"
            | "version"
            | "edition"
            | "rust-version"
            | "license"
            | "description"
            | "resolver"
            | "main"
            | "type"
            | "node"
            | "npm"
            | "opt-level"
            | "codegen-units"
            | "panic"
            | "lto"
            | "requires-python"
            | "python"
            | "readme"
            | "path"
            | "author"
            | "homepage"
            | "build"
            | "test"
            | "start"
            | "lint"
            | "id"
            | "types"
            | "module"
            | "links"
            | "package"
    )
}

/// It begins as a version or a range does.
fn is_version(text: &str) -> bool {
    let text = text.trim();
    let first = text.trim_start_matches(['^', '~', '=', '>', '<', 'v', ' ']);
    matches!(text, "*" | "latest" | "x" | "next") || first.starts_with(|c: char| c.is_ascii_digit())
}

fn unquoted(text: &str) -> String {
    text.trim()
        .trim_end_matches(',')
        .trim_matches(['"', '\''])
        .to_owned()
}

/// `"registry+…"`, or `{ git = "…" }` as a text that tells the kind.
fn toml_source(value: &str) -> String {
    let Some(inside) = value.strip_prefix('{') else {
        return unquoted(value);
    };
    let (key, rest) = inside.split_once('=').unwrap_or((inside, ""));
    let place = unquoted(
        rest.trim()
            .trim_end_matches('}')
            .split(',')
            .next()
            .unwrap_or(rest),
    );
    match key.trim() {
        "git" => format!("git+{place}"),
        "path" | "editable" | "virtual" | "directory" => format!("path:{place}"),
        "url" => place,
        _ => format!("registry+{place}"),
    }
}

/// The key of a line `"key": {`.
fn opened(text: &str) -> Option<&str> {
    let key = text.strip_suffix('{')?.trim_end().strip_suffix(':')?;
    Some(key.trim().trim_matches('"'))
}

/// Key and text (or bare word) of a line `"key": "value",`.
fn member(text: &str) -> Option<(&str, &str)> {
    let (key, value) = text.strip_prefix('"')?.split_once("\":")?;
    let value = value.trim().trim_end_matches(',');
    (!value.starts_with(['{', '['])).then_some((key, value.trim_matches('"')))
}
