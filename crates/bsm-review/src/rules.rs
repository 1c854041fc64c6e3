//! Rules together, ready to match one piece of text.
//!
//! Why a set: keywords of all rules are looked for at once, and only rules whose keyword stands in the text
//! are tried. Regexes work on bytes with ASCII classes, as RE2's do (`re2.rs`); how rules are written is
//! `rule_file.rs`' business, where they come from `packs.rs`' and `policy.rs`'.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use super::finding::Weight;
use super::rule::Rule;
use super::rule_file::RuleFile;
use crate::allowlist::Allow;
pub use crate::hits::Hit;
use crate::path_pattern::FileName;
use crate::prefilter::Keywords;
use crate::regions::Regions;

/// Something about a rule that its author should know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleWarning {
    /// `pack/id`, or the file.
    pub rule: String,
    /// What is wrong.
    pub what: String,
    /// The rule could not be used: the set is incomplete and cannot prove an approval.
    pub lost: bool,
}

impl RuleWarning {
    /// Something that was left out, so that nothing can be approved.
    pub(super) fn lost(rule: impl Into<String>, what: impl Into<String>) -> Self {
        Self {
            rule: rule.into(),
            what: what.into(),
            lost: true,
        }
    }

    /// Something that its author should know, and that takes nothing away.
    pub(super) fn remark(rule: impl Into<String>, what: impl Into<String>) -> Self {
        Self {
            lost: false,
            ..Self::lost(rule, what)
        }
    }
}

/// What rules are tried for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Looking {
    /// Findings, in lines that are there.
    Findings,
    /// Secrets, so that they can be redacted.
    Secrets,
    /// Findings, in lines that a change takes away.
    Removed,
}

impl Looking {
    pub(super) fn tries(self, rule: &Rule) -> bool {
        match self {
            Self::Findings => rule.reports && !rule.removed,
            Self::Secrets => rule.secret,
            Self::Removed => rule.reports && rule.removed,
        }
    }
}

/// Several packs, ready to match.
#[derive(Debug, Default)]
pub struct RuleSet {
    rules: Vec<Rule>,
    /// `pack/id` of every rule that can be asked for by name.
    by_id: HashMap<String, usize>,
    keywords: Keywords,
    /// Rules without keywords: always tried.
    always: Vec<usize>,
    warnings: Vec<RuleWarning>,
    /// Some rule finds secrets.
    holds_secrets: bool,
}

/// A pack's name, its rules, and whether what it finds is a secret.
#[derive(Debug)]
pub(super) struct Pack {
    pub(super) name: String,
    pub(super) file: RuleFile,
    pub(super) secrets: bool,
}

impl Pack {
    /// Reads a pack from the texts of its files; what cannot be read is said.
    pub(super) fn read(
        name: &str,
        texts: &[&str],
        secrets: bool,
        warnings: &mut Vec<RuleWarning>,
    ) -> Self {
        let mut file = RuleFile::default();
        for text in texts {
            match RuleFile::read(text) {
                Ok(read) => file.append(read),
                Err(what) => warnings.push(RuleWarning::lost(name, what)),
            }
        }
        Self {
            name: name.to_owned(),
            file,
            secrets,
        }
    }
}

impl RuleSet {
    /// Loads packs: (name, the TOML of each file, whether a rule without a `severity` is a secret).
    pub fn load(packs: &[(&str, &[&str], bool)]) -> Self {
        let mut warnings = Vec::new();
        let packs = packs
            .iter()
            .map(|(name, texts, secrets)| Pack::read(name, texts, *secrets, &mut warnings))
            .collect();
        Self::compile(packs, warnings, |_| None)
    }

    /// Compiles packs. `severity` says what the operator makes of a rule: another weight, or silence.
    pub(super) fn compile(
        packs: Vec<Pack>,
        warnings: Vec<RuleWarning>,
        severity: impl Fn(&str) -> Option<Weight>,
    ) -> Self {
        let mut set = Self {
            warnings,
            ..Self::default()
        };
        let mut words: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for pack in packs {
            set.add(pack, &mut words, &severity);
        }
        set.resolve();
        set.holds_secrets = set.rules.iter().any(|r| r.secret);
        let reaches = set.rules.iter().map(Rule::reach).collect();
        set.keywords = Keywords::new(words, reaches);
        set
    }

    fn add(
        &mut self,
        pack: Pack,
        words: &mut BTreeMap<String, Vec<usize>>,
        severity: &impl Fn(&str) -> Option<Weight>,
    ) {
        let Pack {
            name,
            file,
            secrets,
        } = pack;
        let mut warn = |rule: &str, what: String, lost: bool| {
            self.warnings.push(RuleWarning {
                rule: format!("{name}/{rule}"),
                what,
                lost,
            });
        };
        for (id, what) in file.broken {
            warn(&id, what, true);
        }
        // Compiled once for all the rules they hold for.
        let mut shared: Vec<(Vec<String>, Arc<Allow>)> = Vec::new();
        for raw in &file.allows {
            match Allow::compile(raw) {
                Ok(allow) => shared.push((raw.target_rules.clone(), Arc::new(allow))),
                Err(what) => warn("allowlists", what, false),
            }
        }
        for raw in file.rules {
            let mut allows = Vec::new();
            for own in raw.allowlist.iter().chain(&raw.allowlists) {
                match Allow::compile(own) {
                    Ok(allow) => allows.push(Arc::new(allow)),
                    // Without it the rule finds more, never less.
                    Err(what) => warn(&raw.id, format!("an allow list is left out: {what}"), false),
                }
            }
            let for_it =
                |targets: &[String]| targets.is_empty() || targets.iter().any(|t| raw.is_called(t));
            allows.extend(
                shared
                    .iter()
                    .filter(|(targets, _)| for_it(targets))
                    .map(|(_, allow)| Arc::clone(allow)),
            );
            let keywords = raw.keywords.clone();
            let short = raw.id.clone();
            match Rule::compile(&name, raw, secrets, allows) {
                Ok(mut rule) => {
                    match severity(&rule.id) {
                        Some(Weight::As(other)) => rule.severity = other,
                        Some(Weight::Off) => rule.reports = false,
                        None => {}
                    }
                    let index = self.rules.len();
                    if rule.looks_into_files() && keywords.is_empty() {
                        self.always.push(index);
                    }
                    for keyword in keywords {
                        words
                            .entry(keyword.to_ascii_lowercase())
                            .or_default()
                            .push(index);
                    }
                    self.by_id.insert(rule.id.clone(), index);
                    self.rules.push(rule);
                }
                Err(what) => warn(&short, what, true),
            }
        }
    }

    /// Finds the rules that others require.
    fn resolve(&mut self) {
        for index in 0..self.rules.len() {
            let rule = &self.rules[index];
            let pack = rule.id.split('/').next().unwrap_or_default();
            let places: Vec<Option<usize>> = rule
                .required
                .iter()
                .map(|r| self.by_id.get(&format!("{pack}/{}", r.id)).copied())
                .collect();
            if let Some(missing) = places.iter().position(Option::is_none) {
                let what = format!(
                    "it requires {}, which is not there",
                    rule.required[missing].id
                );
                let warning = RuleWarning::lost(rule.id.as_str(), what);
                self.warnings.push(warning);
            }
            self.rules[index].required_at = places.into_iter().flatten().collect();
        }
    }

    /// All compiled rules.
    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// A rule by its `pack/id`.
    pub fn rule(&self, id: &str) -> Option<&Rule> {
        self.by_id.get(id).map(|index| &self.rules[*index])
    }

    /// What its authors should know.
    pub fn warnings(&self) -> &[RuleWarning] {
        &self.warnings
    }

    /// Rules that could not be compiled.
    pub fn lost(&self) -> impl Iterator<Item = &RuleWarning> {
        self.warnings.iter().filter(|w| w.lost)
    }

    /// Where in `text`, a piece of the file with this name, each rule must be tried: the one pass over all of it.
    pub(super) fn regions(&self, name: &FileName, text: &[u8]) -> Regions {
        let mut regions = Regions::new(self.rules.len());
        let applies = |rule: usize| self.rules[rule].applies_to(name);
        for index in &self.always {
            regions.add_whole(*index, text, applies);
        }
        self.keywords.find(text, &mut regions, applies);
        regions
    }

    /// Some rule finds secrets.
    pub(super) fn holds_secrets(&self) -> bool {
        self.holds_secrets
    }

    /// Some rule that looks into files at `new` does not at `old`.
    pub(super) fn newly_apply(&self, old: &str, new: &str) -> bool {
        let (old, new) = (&FileName::of(old), &FileName::of(new));
        self.rules.iter().any(|r| {
            let looks = r.reports && r.looks_into_files();
            looks
                && ((r.path.is_some() && r.applies_to(new) && !r.applies_to(old))
                    || r.allows
                        .iter()
                        .any(|a| a.allows_path(old) && !a.allows_path(new)))
        })
    }

    /// Some rule looks at lines that a change takes away.
    pub(super) fn looks_at_removed(&self) -> bool {
        self.rules.iter().any(|r| Looking::Removed.tries(r))
    }

    /// Rules about a path alone that the path meets; `deleted`: of a file that a change deletes.
    pub fn path_hits<'a>(&'a self, path: &'a str, deleted: bool) -> impl Iterator<Item = &'a Rule> {
        let name = FileName::of(path);
        self.rules.iter().filter(move |r| {
            r.reports
                && r.deleted == deleted
                && !r.looks_into_files()
                && r.path.is_some()
                && r.applies_to(&name)
                && !r.allows.iter().any(|a| a.allows_path(&name))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PACK: &str = r#"
        [allowlist]
        paths = ['''^vendor/''']
        [[rules]]
        id = "token"
        description = "A token."
        regex = '''tok_([a-z0-9]{8,})'''
        keywords = ["tok_"]
        entropy = 2.0
        [rules.allowlist]
        stopwords = ["example"]
        [[rules]]
        id = "broken"
        regex = '''(?=lookahead)'''
        [[rules]]
        id = "pem"
        path = '''\.pem$'''
        severity = "high"
    "#;

    #[test]
    fn gitleaks_semantics() {
        let set = RuleSet::load(&[("t", &[PACK], true)]);
        let count =
            |path: &str, text: &str| set.find(path, text.as_bytes(), Looking::Findings).len();
        assert_eq!(count("a.txt", "x tok_a1b2c3d4e5 y"), 1);
        assert_eq!(count("a.txt", "TOK_ tok_aaaaaaaaaa"), 0, "low entropy");
        assert_eq!(count("a.txt", "tok_example1b2c3"), 0, "stop word");
        assert_eq!(count("vendor/a", "tok_a1b2c3d4e5"), 0, "global allow list");
        assert_eq!(set.path_hits("keys/a.pem", false).count(), 1);
        assert_eq!(set.warnings().len(), 1);
        assert!(set.warnings()[0].rule == "t/broken");
        assert_eq!(
            RuleSet::load(&[("x", &["not toml ["], true)])
                .warnings()
                .len(),
            1
        );
    }
}
