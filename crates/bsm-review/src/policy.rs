//! What the operator's workspace adds to the rules: `.gitleaks.toml`, `.bsmignore`, a baseline, weights.
//!
//! Why from the workspace alone: what is reviewed must not say how it is reviewed. And why our own secrets
//! pack always runs for redaction: a rule that is switched off is not reported, but what it matches still
//! leaves no process.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, LazyLock};

use ignore::gitignore::{Gitignore, GitignoreBuilder};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::baseline::{self, Baseline};
use super::finding::Weight;
use super::packs;
use super::rule_file::{RawRule, RuleFile};
use super::rules::{Pack, RuleSet, RuleWarning};
use crate::finding::FilterMode;
use crate::structural_checks::POLICY_FILE;
use bsm_base::file_set::{FileSet, normal};

/// gitleaks' configuration in a workspace.
pub const GITLEAKS: &str = ".gitleaks.toml";
/// Paths that are not reviewed, in gitignore's syntax.
pub const IGNORES: &str = ".bsmignore";
/// Largest of these files, bytes.
pub const LARGEST: u64 = 8 << 20;
/// How far a configuration may extend another.
const DEEPEST: usize = 4;
/// The pack that `.gitleaks.toml` adds to.
const SECRETS: &str = "secrets";

/// What may be approved without a model.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum OfflineApproval {
    /// A change that is proven to be documentation and nothing else.
    #[default]
    Documentation,
    /// Nothing.
    Never,
    /// Whatever no rule objects to. Only the user's own settings may say so.
    Any,
}

impl OfflineApproval {
    /// For plans that do not say.
    pub fn none() -> Self {
        Self::Never
    }

    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Documentation => "documentation",
            Self::Never => "never",
            Self::Any => "any",
        }
    }
}

/// What becomes of images.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Assets {
    /// They are not reviewed.
    #[default]
    Skip,
    /// A whole image counts as reviewed.
    Allow,
}

/// How reviews are done; `review` in the settings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default, deny_unknown_fields)]
pub struct ReviewSettings {
    /// added: findings on lines that a change adds; file: in files it touches; all: anywhere.
    pub filter_mode: FilterMode,
    /// Percent of the files that must have been reviewed for a health check to pass. Below 100 nothing is
    /// approved for a merge.
    pub coverage_floor: u8,
    /// What may be approved without a model: documentation, never, or (from your own settings only) any.
    pub offline_approval: OfflineApproval,
    /// Images that a change adds or replaces, where their bytes are at hand: not reviewed, or reviewed when each
    /// is a whole image and nothing else.
    pub assets: Assets,
    /// Every commit must be signed off.
    pub sign_off: bool,
    /// Rule (`pack/id` or `pack/*`) → off, info, low, medium, high or critical.
    pub severities: BTreeMap<String, Weight>,
}

impl Default for ReviewSettings {
    fn default() -> Self {
        Self {
            filter_mode: FilterMode::Added,
            coverage_floor: 100,
            offline_approval: OfflineApproval::Documentation,
            assets: Assets::Skip,
            sign_off: false,
            severities: BTreeMap::new(),
        }
    }
}

/// Rules that are compiled when they are first needed.
pub type Rules = Arc<LazyLock<RuleSet, Box<dyn FnOnce() -> RuleSet + Send>>>;

/// How changes are looked at.
#[derive(Default)]
pub struct Policy {
    /// `None`: the built-in packs as they are.
    rules: Option<Rules>,
    ignores: Option<Gitignore>,
    /// Paths beneath the workspace that decide, in lower case.
    files: Vec<String>,
    pub(super) baseline: Option<Baseline>,
    /// Which findings count.
    pub filter: FilterMode,
    /// Commits must be signed off.
    pub sign_off: bool,
    /// What becomes of images.
    pub assets: Assets,
    /// What its authors should know; files that were lost are among it.
    pub broken: Vec<RuleWarning>,
    weights: BTreeMap<String, Weight>,
    /// Changes with everything that it was made of.
    pub hash: String,
}

impl std::fmt::Debug for Policy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Policy")
            .field("hash", &self.hash)
            .finish_non_exhaustive()
    }
}

/// Files beneath a workspace that decide how changes are looked at, by name.
pub const NAMED: [&str; 3] = [GITLEAKS, IGNORES, baseline::FILE];

/// Files that `.gitleaks.toml` extends, one after another, as far as they are among `files`.
pub fn extended(files: &FileSet) -> Vec<String> {
    let mut found = Vec::new();
    let mut next = GITLEAKS.to_owned();
    for _ in 0..DEEPEST {
        let text = files
            .read_text(Path::new(&next), LARGEST)
            .unwrap_or_default();
        match RuleFile::read(&text).ok().and_then(|f| f.extend.path) {
            Some(path) => {
                found.push(path.clone());
                next = path;
            }
            None => break,
        }
    }
    found
}

impl Policy {
    /// Reads what is in the workspace's policy files. Nothing here fails: what cannot be used is in `broken`,
    /// and then nothing is approved. What is not `trusted` takes no rule away and excuses nothing: its files
    /// are named and left out.
    pub fn load(files: Option<&FileSet>, trusted: bool, settings: &ReviewSettings) -> Self {
        let mut policy = Self {
            filter: settings.filter_mode,
            sign_off: settings.sign_off,
            assets: settings.assets,
            weights: settings.severities.clone(),
            ..Self::default()
        };
        let mut hash = Sha256::new();
        hash.update(packs::hash());
        hash.update(serde_json::to_vec(settings).unwrap_or_default());
        let mut gitleaks = None;
        if let Some(files) = files {
            hash.update(files.hash());
            policy.files = files.paths().map(str::to_lowercase).collect();
            if trusted {
                policy.read_ignores(files);
                policy.read_baseline(files);
                gitleaks = policy.read_rules(files, GITLEAKS, 0);
            } else {
                for name in NAMED.iter().filter(|n| files.exists(Path::new(n))) {
                    let what = "it is ignored: the workspace is not trusted (bsm trust)";
                    policy.broken.push(RuleWarning::remark(*name, what));
                }
            }
        }
        for (name, weight) in &settings.severities {
            policy.check_weight(name, *weight);
        }
        policy.hash = bsm_base::hex(&hash.finalize()[..8]);
        if gitleaks.is_some() || !settings.severities.is_empty() {
            let weights = policy.weights.clone();
            policy.rules = Some(Arc::new(LazyLock::new(Box::new(move || {
                compiled(gitleaks, &weights)
            }))));
        }
        policy
    }

    /// Where reading it failed in a way that it should not: nothing is approved.
    pub fn unreadable() -> Self {
        let mut policy = Self::default();
        policy.lose("workspace", "reading what decides failed".into());
        policy
    }

    /// The rules of this workspace; `None`: the built-in packs.
    pub fn rules(&self) -> Option<Rules> {
        self.rules.clone()
    }

    /// What of the built-in review it takes away, a line each.
    pub fn weakened(&self) -> Vec<String> {
        let mut lines = Vec::new();
        if self.ignores.is_some() {
            lines.push(format!("weaker: {IGNORES} leaves files unreviewed"));
        }
        if let Some(baseline) = &self.baseline {
            let count = baseline.findings().len();
            lines.push(format!(
                "weaker: {} accepts {count} findings",
                baseline::FILE
            ));
        }
        let rules = self.rules.as_deref();
        for built_in in packs::built_in().rules() {
            let own = match rules {
                None => continue,
                Some(rules) => rules.rule(&built_in.id),
            };
            let id = bsm_base::text::clean_line(&built_in.id, 80);
            match own {
                Some(own) if !own.reports && built_in.reports => {
                    lines.push(format!("weaker: {id} is off"));
                }
                Some(own) if own.severity < built_in.severity => lines.push(format!(
                    "weaker: {id} weighs {} instead of {}",
                    own.severity.as_str(),
                    built_in.severity.as_str()
                )),
                _ => {}
            }
        }
        lines
    }

    /// A path that the operator does not want reviewed.
    pub(super) fn ignores(&self, path: &str) -> bool {
        // A name that is none beneath the repository is looked at.
        let plain = path.split('/').all(|part| !matches!(part, "" | "." | ".."));
        plain
            && self
                .ignores
                .as_ref()
                .is_some_and(|i| i.matched_path_or_any_parents(path, false).is_ignore())
    }

    /// What the operator makes of a finding that comes from elsewhere.
    pub(super) fn weighed(&self, rule: &str) -> Option<Weight> {
        weight(&self.weights, rule)
    }

    /// What could not be read: no approval follows while there is any of it. Rules that could not be
    /// compiled are the rule set's own matter.
    pub fn lost(&self) -> impl Iterator<Item = &RuleWarning> {
        self.broken.iter().filter(|w| w.lost)
    }

    /// A file that decides how changes are looked at, in whatever spelling; the workspace may lie in a folder
    /// of the repository.
    pub(super) fn is_made_of(&self, path: &str) -> bool {
        let Some(path) = normal(Path::new(&path.to_lowercase())) else {
            return false;
        };
        self.files.iter().any(|file| {
            path.strip_suffix(file.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.ends_with('/'))
        })
    }

    /// The same, not minding what the baseline knows.
    #[must_use]
    pub fn without_baseline(self) -> Self {
        Self {
            baseline: None,
            ..self
        }
    }

    fn lose(&mut self, rule: &str, what: String) {
        self.broken.push(RuleWarning::lost(rule, what));
    }

    fn read_ignores(&mut self, root: &FileSet) {
        let text = match root.read_text(Path::new(IGNORES), LARGEST) {
            Ok(text) => text,
            Err(error) if error.is_missing() => return,
            Err(error) => return self.lose(IGNORES, error.to_string()),
        };
        let mut builder = GitignoreBuilder::new("");
        for (number, line) in text.lines().enumerate() {
            if let Err(error) = builder.add_line(None, line) {
                // Without it more is reviewed, never less.
                let place = format!("{IGNORES}:{}", number + 1);
                self.broken
                    .push(RuleWarning::remark(place, error.to_string()));
            }
        }
        self.ignores = builder.build().ok().filter(|i| !i.is_empty());
    }

    fn read_baseline(&mut self, root: &FileSet) {
        let text = match root.read_text(Path::new(baseline::FILE), LARGEST) {
            Ok(text) => text,
            Err(error) if error.is_missing() => return,
            Err(error) => return self.lose(baseline::FILE, error.to_string()),
        };
        match Baseline::read(&text) {
            Ok(read) => self.baseline = Some(read),
            Err(what) => self.lose(baseline::FILE, what),
        }
    }

    /// A configuration with everything it extends.
    fn read_rules(&mut self, root: &FileSet, name: &str, depth: usize) -> Option<RuleFile> {
        let text = match root.read_text(Path::new(name), LARGEST) {
            Ok(text) => text,
            Err(error) if error.is_missing() && depth == 0 => return None,
            Err(error) => {
                self.lose(name, error.to_string());
                return None;
            }
        };
        let mut file = match RuleFile::read(&text) {
            Ok(file) => file,
            Err(what) => {
                self.lose(name, what);
                return None;
            }
        };
        if file.extend.url.is_some() {
            self.lose(
                name,
                "extend.url is not followed: nothing is fetched to review".into(),
            );
        }
        match file.extend.path.clone() {
            Some(_) if file.extend.use_default => self.lose(
                name,
                "extend has both path and useDefault; one of them must go".into(),
            ),
            Some(_) if depth + 1 == DEEPEST => {
                self.lose(name, "it extends too many files in a row".into());
            }
            Some(path) => {
                if let Some(base) = self.read_rules(root, &path, depth + 1) {
                    let default = base.extend.use_default;
                    for id in file.over(base) {
                        let what = format!("it switches off {id}, which {path} does not have");
                        self.broken.push(RuleWarning::remark(name, what));
                    }
                    file.extend.use_default = default;
                }
            }
            None => {}
        }
        Some(file)
    }

    fn check_weight(&mut self, name: &str, weight: Weight) {
        let known = match name.strip_suffix("/*") {
            Some(pack) => packs::names().any(|n| n == pack),
            None => packs::built_in().rule(name).is_some() || name.starts_with("secrets/"),
        };
        let mut remark = |what: &str| {
            let key = format!("review.severities: {name}");
            self.broken.push(RuleWarning::remark(key, what));
        };
        if !known && !name.starts_with("lint:") {
            remark("there is no such rule (see: bsm rules list)");
        }
        if weight == Weight::Off && name == POLICY_FILE {
            remark("it cannot be switched off: an approval depends on it");
        }
    }
}

/// What a weight makes of a rule's findings: the rule's own entry wins over its pack's.
fn weight(weights: &BTreeMap<String, Weight>, rule: &str) -> Option<Weight> {
    let pack = rule.split('/').next().unwrap_or_default();
    let weight = weights
        .get(rule)
        .or_else(|| weights.get(&format!("{pack}/*")))?;
    (*weight != Weight::Off || rule != POLICY_FILE).then_some(*weight)
}

/// The built-in packs with what the workspace's configuration changes of them and adds.
fn compiled(gitleaks: Option<RuleFile>, weights: &BTreeMap<String, Weight>) -> RuleSet {
    let mut warnings = Vec::new();
    let mut all = packs::read(&mut warnings);
    if let Some(file) = gitleaks {
        let own = all.iter_mut().find(|p| p.name == SECRETS);
        let added = match own {
            Some(own) => merged(&mut own.file, file, &mut warnings),
            None => file,
        };
        all.push(Pack {
            name: SECRETS.to_owned(),
            file: added,
            secrets: true,
        });
    }
    RuleSet::compile(all, warnings, |rule| weight(weights, rule))
}

/// Rules of the default configuration that nothing here covers: it was asked for, and is not whole.
fn lose_uncovered(ours: &RuleFile, warnings: &mut Vec<RuleWarning>) {
    for id in packs::gitleaks_ids().filter(|id| !ours.rules.iter().any(|r| r.is_called(id))) {
        let what = "the default configuration has this rule, and nothing here covers it";
        warnings.push(RuleWarning::lost(format!("{GITLEAKS}: {id}"), what));
    }
}

/// Lets a configuration change our own rules, as far as it extends the default; what is left are its own.
/// Our rules stay in force for redaction whatever it says.
fn merged(ours: &mut RuleFile, mut file: RuleFile, warnings: &mut Vec<RuleWarning>) -> RuleFile {
    if file.extend.use_default {
        lose_uncovered(ours, warnings);
    }
    let mut remark = |rule: &str, what: &str| {
        warnings.push(RuleWarning::remark(format!("{GITLEAKS}: {rule}"), what));
    };
    let known = file.extend.use_default;
    let mut own: Vec<RawRule> = Vec::new();
    for rule in std::mem::take(&mut file.rules) {
        if let Some(changed) = own.iter_mut().find(|r| known && r.is_called(&rule.id)) {
            changed.changed_by(rule);
        } else if let Some(old) = ours
            .rules
            .iter_mut()
            .find(|r| known && r.is_called(&rule.id))
        {
            // The changed rule is reported; ours, as it is, goes on redacting.
            let mut changed = old.clone();
            changed.changed_by(rule);
            old.skip_report = true;
            own.push(changed);
        } else if !rule.only_changes() {
            own.push(rule);
        } else if known {
            remark(&rule.id, "there is no such rule here to change");
        } else {
            remark(
                &rule.id,
                "it has neither a regex nor a path, and extends nothing",
            );
        }
    }
    file.rules = own;
    if !file.extend.use_default {
        return file;
    }
    for id in &file.extend.disabled_rules {
        file.rules.retain(|r| r.id == *id || !r.is_called(id));
        match ours.rules.iter_mut().find(|r| r.is_called(id)) {
            Some(rule) => rule.skip_report = true,
            None => remark(id, "it switches off a rule that is not here"),
        }
    }
    ours.allows
        .extend(file.allows.iter().cloned().map(|mut list| {
            list.findings_only = true;
            list
        }));
    file
}

#[cfg(test)]
#[path = "policy_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "policy_suppression_tests.rs"]
mod suppression_tests;
