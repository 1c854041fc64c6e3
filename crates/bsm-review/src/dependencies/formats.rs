//! How manifests and lock files write a dependency, line by line.
//!
//! Why by lines: a hunk is a piece of a file, so no parser of the whole format could read it. A line begins
//! an entry, adds to it, or is not about dependencies.

use crate::dependencies::entry::Entry;
use crate::dependencies::format::Format;

/// Reads one side of a hunk.
pub(super) struct Reader {
    pub(super) format: Format,
    pub(super) current: Entry,
    /// The entry shows enough to be one.
    whole: bool,
    /// The table, object or list that the lines stand in, as far as the hunk shows it.
    pub(super) section: Option<String>,
    /// Objects that are open, of `package.json`.
    pub(super) open: Vec<String>,
    /// The hunk has shown the top of the file's objects.
    pub(super) at_root: bool,
    /// A source that holds for the entries that follow.
    from: Option<String>,
    out: Vec<Entry>,
}

impl Reader {
    pub(super) fn new(format: Format) -> Self {
        Self {
            format,
            current: Entry::default(),
            whole: false,
            section: None,
            open: Vec::new(),
            at_root: false,
            from: None,
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
            Format::GemLock => self.gem_lock(text, number, touched),
            Format::GoSum => self.go_sum(text, number, touched),
            Format::GoMod => self.go_mod(text, number, touched),
            Format::Requirements => self.requirement(text, number, touched),
            Format::TomlManifest(_) => self.toml_manifest(text, number, touched),
            Format::PackageJson => self.package_json(text, number, touched),
            // `line_reader.rs` reads them.
            Format::ByLines(_) => {}
        }
    }

    pub(super) fn finish(mut self) -> Vec<Entry> {
        self.flush();
        self.out
    }

    pub(super) fn flush(&mut self) {
        let entry = std::mem::take(&mut self.current);
        let whole = std::mem::take(&mut self.whole) || !self.needs_a_body();
        if !entry.name.is_empty() && whole {
            self.out.push(entry);
        }
    }

    /// Some keys of these files name packages, and some only what a package asks for.
    fn needs_a_body(&self) -> bool {
        matches!(self.format, Format::PnpmLock | Format::NpmLock)
    }

    pub(super) fn begin(&mut self, name: &str, number: u32, touched: bool) {
        self.flush();
        name.clone_into(&mut self.current.name);
        self.current.line = number;
        self.current.touched = touched;
    }

    pub(super) fn push(&mut self, entry: Entry) {
        self.out.push(entry);
    }

    pub(super) fn whole(
        &mut self,
        name: &str,
        version: Option<&str>,
        source: Option<&str>,
        number: u32,
        touched: bool,
    ) {
        self.push(Entry {
            name: name.trim().to_owned(),
            version: version.map(|v| v.trim().to_owned()),
            source: source.map(|s| s.trim().to_owned()),
            line: number,
            touched,
            ..Entry::default()
        });
    }

    /// A file of a package, with its checksum and, where it is written, its address.
    fn part(&mut self, text: &str, number: u32, touched: bool) {
        let field = |key: &str| {
            let at = text
                .find(&format!("{key} "))
                .or_else(|| text.find(&format!("{key}=")))?;
            let rest = text[at + key.len()..].trim_start().strip_prefix('=')?;
            let rest = rest.trim_start().strip_prefix('"')?;
            rest.split('"').next().map(str::to_owned)
        };
        let source = field("url");
        let name = field("file").or_else(|| {
            let url = source.as_deref()?;
            url.rsplit('/').next().map(str::to_owned)
        });
        let (Some(name), Some(checksum)) = (name, field("hash")) else {
            return;
        };
        self.push(Entry {
            // Its name holds its version.
            version: Some(String::new()),
            name,
            source,
            checksum: Some(checksum),
            line: number,
            touched,
            part: true,
            ..Entry::default()
        });
    }

    fn toml_lock(&mut self, text: &str, number: u32, touched: bool) {
        let text = text.trim_end();
        if text == "[package.source]" {
            // It belongs to the package above it.
            if self.current.name.is_empty()
                && let Some(last) = self.out.iter().rposition(|e| !e.part)
            {
                self.current = self.out.remove(last);
            }
            self.section = Some("source".into());
            return;
        }
        if text.is_empty() && self.section.is_none() {
            return;
        }
        if text.is_empty() || text.starts_with('[') {
            self.section = None;
            self.flush();
            return;
        }
        if text.contains("hash") && text.contains('{') {
            self.part(text, number, touched);
            return;
        }
        let Some((key, value)) = text.split_once('=') else {
            return;
        };
        let value = value.trim();
        match (key.trim_end(), self.section.is_some()) {
            ("url", true) => self.current.source = Some(format!("git+{}", unquoted(value))),
            ("resolved_reference" | "reference", true) => {
                let source = self.current.source.get_or_insert_default();
                let base = source.split('#').next().unwrap_or_default().to_owned();
                *source = format!("{base}#{}", unquoted(value));
            }
            ("name", false) => self.begin(&unquoted(value), number, touched),
            ("version", false) if !self.current.name.is_empty() => {
                self.current.version = Some(unquoted(value));
                self.current.line = number;
            }
            ("source", false) => self.current.source = Some(toml_source(value)),
            ("checksum", false) => self.current.checksum = Some(unquoted(value)),
            _ => return,
        }
        self.current.touched |= touched;
    }

    fn npm_lock(&mut self, text: &str, number: u32, touched: bool) {
        const STRUCTURE: &[&str] = &[
            "",
            "packages",
            "dependencies",
            "devDependencies",
            "peerDependencies",
            "optionalDependencies",
            "peerDependenciesMeta",
            "engines",
            "bin",
            "funding",
            "requires",
            "scripts",
            "workspaces",
            "overrides",
        ];
        let text = text.trim();
        if let Some(key) = opened(text) {
            if let Some(at) = key.rfind("node_modules/") {
                self.begin(&key[at + "node_modules/".len()..], number, touched);
                self.whole = true;
            } else if !STRUCTURE.contains(&key) {
                // The first form of this file has packages under their bare names.
                self.begin(key, number, touched);
            } else if key == "packages" || key.is_empty() {
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
            "name" => self.current.alias = true,
            "resolved" => {
                self.current.source = Some(value.to_owned());
                self.whole = true;
            }
            "integrity" => {
                self.current.checksum = Some(value.to_owned());
                self.whole = true;
            }
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
            if let Some((at, _)) = first.char_indices().skip(1).find(|(_, c)| *c == '@') {
                self.begin(&first[..at], number, touched);
                let alias = first[at + 1..].strip_prefix("npm:");
                self.current.alias = alias.is_some_and(|a| a[1.min(a.len())..].contains('@'));
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
                let at = value.char_indices().skip(1).find(|(_, c)| *c == '@');
                if let Some((at, _)) = at {
                    self.current.alias |= value[..at] != self.current.name;
                    self.current.source = Some(value[at + 1..].to_owned());
                }
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
            let key = text.trim_end_matches(':').trim_matches('\'');
            let rooted = key.starts_with('/');
            let key = key.trim_start_matches('/');
            let key = key.split('(').next().unwrap_or(key);
            let at = key
                .char_indices()
                .skip(1)
                .find(|(_, c)| *c == '@')
                .map(|(at, _)| at);
            // `/name/1.2.3_peer`, as the fifth form has it.
            let at = at.or_else(|| key.rfind('/').filter(|_| rooted));
            match at {
                Some(at) => {
                    self.begin(&key[..at], number, touched);
                    let version = key[at + 1..].split('_').next().unwrap_or_default();
                    self.current.version = Some(version.to_owned());
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
            let repository =
                field("repo").map(|r| format!("git+{r}#{}", field("commit").unwrap_or_default()));
            self.current.source = field("tarball").or(repository);
            self.current.touched |= touched;
            // Only packages have one; what a snapshot asks for has none.
            self.whole = true;
        } else if text == "requiresBuild: true" {
            self.current.installs = true;
            self.current.touched |= touched;
        }
    }

    fn composer_lock(&mut self, text: &str, number: u32, touched: bool) {
        let text = text.trim();
        if opened(text) == Some("dist") || opened(text) == Some("source") {
            self.section = opened(text).map(str::to_owned);
            return;
        }
        let Some((key, value)) = member(text) else {
            return;
        };
        match key {
            "name" if value.contains('/') && !value.contains(' ') => {
                self.section = None;
                self.begin(value, number, touched);
                return;
            }
            "version" => self.current.version = Some(value.to_owned()),
            "url" if value.starts_with("http") => {
                // What is installed is the archive; where there is none, the repository.
                let archive = self.section.as_deref() == Some("dist");
                if archive || self.current.source.is_none() {
                    self.current.source = Some(value.to_owned());
                }
            }
            "reference" if !value.is_empty() => {
                self.current.checksum = Some(value.to_owned());
                if let Some(source) = &mut self.current.source
                    && source.ends_with(".git")
                {
                    source.push_str(&format!("#{value}"));
                }
            }
            _ => return,
        }
        self.current.touched |= touched;
    }

    fn gem_lock(&mut self, text: &str, number: u32, touched: bool) {
        match text.trim_end() {
            "GIT" | "GEM" | "PATH" => {
                self.section = Some(text.trim_end().to_owned());
                self.from = None;
            }
            other => {
                if let Some(place) = other.strip_prefix("  remote: ") {
                    self.from = Some(match self.section.as_deref() {
                        Some("GIT") => format!("git+{place}"),
                        Some("PATH") => format!("path:{place}"),
                        _ => place.to_owned(),
                    });
                } else if let (Some(commit), Some(from)) =
                    (other.strip_prefix("  revision: "), &mut self.from)
                {
                    from.push_str(&format!("#{commit}"));
                }
                let spec = other
                    .strip_prefix("    ")
                    .filter(|t| !t.starts_with(' '))
                    .and_then(|t| t.strip_suffix(')'))
                    .and_then(|t| t.split_once(" ("));
                if let Some((name, version)) = spec {
                    let from = self.from.clone();
                    self.whole(name, Some(version), from.as_deref(), number, touched);
                }
            }
        }
    }

    fn go_sum(&mut self, text: &str, number: u32, touched: bool) {
        let fields: Vec<&str> = text.split_whitespace().collect();
        if let [module, version, sum] = fields[..] {
            let bare = version.strip_suffix("/go.mod");
            self.push(Entry {
                name: bare.map_or_else(|| module.to_owned(), |_| format!("{module}/go.mod")),
                version: Some(bare.unwrap_or(version).to_owned()),
                checksum: Some(sum.trim_start_matches("h1:").to_owned()),
                line: number,
                touched,
                part: bare.is_some(),
                ..Entry::default()
            });
        }
    }
}

pub(super) fn unquoted(text: &str) -> String {
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
    let rest = rest.trim().trim_end_matches('}');
    let place = unquoted(rest.split(',').next().unwrap_or(rest));
    match key.trim() {
        "git" => format!("git+{place}"),
        "path" | "editable" | "virtual" | "directory" => format!("path:{place}"),
        "url" => place,
        _ => format!("registry+{place}"),
    }
}

/// The key of a line `"key": {`.
pub(super) fn opened(text: &str) -> Option<&str> {
    let key = text.strip_suffix('{')?.trim_end().strip_suffix(':')?;
    Some(key.trim().trim_matches('"'))
}

/// Key and text (or bare word) of a line `"key": "value",`.
fn member(text: &str) -> Option<(&str, &str)> {
    let (key, value) = text.strip_prefix('"')?.split_once("\":")?;
    let value = value.trim().trim_end_matches(',');
    (!value.starts_with(['{', '['])).then_some((key, value.trim_matches('"')))
}
