//! What a workspace's own files do to a review: gitleaks' form, ignores, a baseline, weights, filters.

use std::fs;

use super::super::diff::parse;
use super::super::redact::Redactor;
use super::super::scan::{ScanLimits, Scanned, Scanner};
use super::*;
use bsm_base::files::Root;

pub(super) struct Place(pub(super) tempfile::TempDir);

impl Place {
    pub(crate) fn new(files: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        Self(dir)
    }

    pub(crate) fn policy(&self) -> Policy {
        self.policy_when(true)
    }

    fn policy_when(&self, trusted: bool) -> Policy {
        let root = Root::open(self.0.path()).unwrap();
        let mut files = FileSet::default();
        for _ in 0..DEEPEST {
            for name in NAMED.map(str::to_owned).into_iter().chain(extended(&files)) {
                files.add(&name, root.read(Path::new(&name), LARGEST));
            }
        }
        Policy::load(Some(&files), trusted, &ReviewSettings::default())
    }
}

pub(super) fn redactor(policy: &Policy) -> Redactor {
    Redactor::new(policy.rules(), &[], [5; 32])
}

pub(super) fn scan(policy: &Policy, diff: &str) -> Scanned {
    let redactor = redactor(policy);
    let mut scanner = Scanner::new(&redactor, ScanLimits::default(), &|| false).under(policy);
    parse(diff.as_bytes(), &mut scanner).unwrap();
    scanner.finish()
}

pub(super) fn adding(file: &str, text: &str) -> String {
    let body: String = text.lines().map(|l| format!("+{l}\n")).collect();
    let count = text.lines().count();
    format!("--- a/{file}\n+++ b/{file}\n@@ -0,0 +1,{count} @@\n{body}")
}

pub(super) fn rules(scanned: &Scanned) -> Vec<&str> {
    scanned.findings.iter().map(|f| f.rule.as_str()).collect()
}

/// A token, put together here so that none stands in the tree.
pub(super) fn token() -> String {
    format!("ghp_{}", "a1B2c3D4e5f6".repeat(3))
}

#[test]
fn gitleaks_own_rules_beside_ours_merged_as_gitleaks_merges() {
    let place = Place::new(&[
        (
            ".gitleaks.toml",
            r#"
            title = "ours"
            [extend]
            path = "base.toml"
            disabledRules = ["unwanted", "never-there"]
            [[rules]]
            id = "one"
            entropy = 1.0
            [[rules.allowlists]]
            regexTarget = "line"
            condition = "AND"
            regexes = ['''# known$''']
            paths = ['''^docs/''']
            [[rules]]
            id = "broken"
            regex = '''(?=a)'''
            [[rules]]
            regex = '''no id'''
            [[rules]]
            id = "odd"
            regex = 7
            [[allowlists]]
            targetRules = ["two"]
            stopwords = ["Sample"]
        "#,
        ),
        (
            "base.toml",
            r#"
            [[rules]]
            id = "one"
            description = "The first."
            regex = '''one_([a-z0-9{]{4,})'''
            keywords = ["ONE_"]
            secretGroup = 1
            [[rules]]
            id = "two"
            regex = '''two_[a-z0-9]{6}'''
            keywords = ["two_"]
            [[rules]]
            id = "unwanted"
            regex = '''unwanted'''
            [[rules]]
            id = "pair"
            regex = '''pair_[0-9]+'''
            [[rules.required]]
            id = "two"
            withinLines = 1
            [[rules]]
            id = "quiet"
            regex = '''quiet_[0-9]+'''
            skipReport = true
        "#,
        ),
    ]);
    let policy = place.policy();
    let found = |file: &str, text: &str| {
        let scanned = scan(&policy, &adding(file, text));
        rules(&scanned).join(" ")
    };
    assert_eq!(found("a", "x one_ab{c x"), "secrets/one");
    assert_eq!(found("a", "x one_aaaa x"), "", "entropy of the group");
    assert_eq!(
        found("a", "x one_ab1c # known"),
        "secrets/one",
        "both are asked for"
    );
    assert_eq!(found("docs/a", "x one_ab1c # known"), "");
    assert_eq!(found("a", "two_abc123"), "secrets/two");
    assert_eq!(found("a", "two_sample"), "", "a stop word for this rule");
    assert_eq!(found("a", "unwanted quiet_12"), "");
    assert_eq!(found("a", "pair_1\ntwo_abc123"), "secrets/pair secrets/two");
    assert_eq!(
        found("a", "pair_1\n\n\ntwo_abc123"),
        "secrets/two",
        "too far away"
    );
    let redactor = redactor(&policy);
    assert!(
        !redactor.text("quiet_123456").contains("quiet_1"),
        "redacted all the same"
    );
    let lost: Vec<_> = redactor.rules().lost().map(|w| w.rule.as_str()).collect();
    assert_eq!(lost, ["secrets/rule 3", "secrets/odd", "secrets/broken"]);
    assert_eq!(policy.lost().count(), 0);
    assert!(policy.broken[0].what.contains("never-there"));
    // Our own rules run as before: the file does not extend the default, and does not switch it off.
    assert_eq!(found("a", &token()), "secrets/github-token");
}

#[test]
fn extending_the_default_changes_what_is_reported_and_never_what_is_redacted() {
    let place = Place::new(&[(
        ".gitleaks.toml",
        r#"
        [extend]
        useDefault = true
        disabledRules = ["github-pat", "no-such"]
        [[rules]]
        id = "generic-api-key"
        [[rules.allowlists]]
        paths = ['''^testdata/''']
        [allowlist]
        paths = ['''^vendor/''']
        "#,
    )]);
    let policy = place.policy();
    let got = scan(&policy, &adding("a", &token()));
    assert_eq!(rules(&got), Vec::<&str>::new(), "known by gitleaks' name");
    assert!(!got.redacted.contains(&token()));
    let secret = "db_password = \"x9Kq2vLm7TzR4wPn\"";
    assert_eq!(
        rules(&scan(&policy, &adding("a.py", secret))),
        ["secrets/assigned-secret"]
    );
    for excused in ["testdata/a.py", "vendor/a.py"] {
        let got = scan(&policy, &adding(excused, secret));
        assert_eq!(rules(&got), Vec::<&str>::new(), "{excused}");
        assert!(!got.redacted.contains("x9Kq2vLm7TzR4wPn"), "{excused}");
    }
    let redactor = redactor(&policy);
    assert!(
        redactor
            .rules()
            .warnings()
            .iter()
            .any(|w| w.rule.contains("no-such") && !w.lost)
    );
}

#[test]
fn a_rule_of_the_same_secret_is_said_once() {
    let place = Place::new(&[(
        ".gitleaks.toml",
        r#"
        [[rules]]
        id = "github-pat"
        regex = '''ghp_[0-9a-zA-Z]{36}'''
        keywords = ["ghp_"]
        "#,
    )]);
    let text = format!("api_key = \"{}\"", token());
    assert_eq!(
        rules(&scan(&place.policy(), &adding("a.py", &text))),
        ["secrets/github-pat"]
    );
    let plain = Place::new(&[]);
    assert_eq!(
        rules(&scan(&plain.policy(), &adding("a.py", &text))),
        ["secrets/github-token"]
    );
}

#[test]
fn what_cannot_be_read_is_lost_and_said() {
    for (file, text) in [
        (".gitleaks.toml", "not toml ["),
        (".gitleaks.toml", "[extend]\npath = \"missing.toml\""),
        (".gitleaks.toml", "[extend]\npath = \"../outside.toml\""),
        (".gitleaks.toml", "[extend]\nurl = \"https://example.com\""),
        (".gitleaks.toml", "[extend]\npath = \".gitleaks.toml\""),
        (".bsmbaseline.json", "{}"),
    ] {
        let place = Place::new(&[(file, text)]);
        let policy = place.policy();
        assert_eq!(policy.lost().count(), 1, "{text}: {:?}", policy.broken);
    }
    assert_eq!(Place::new(&[]).policy().broken, []);
}

#[test]
fn ignored_paths_are_counted_apart_and_never_kept() {
    let place = Place::new(&[(IGNORES, "vendor/\n*.snap\n!keep.snap\n# a comment\n[z-a]\n")]);
    let policy = place.policy();
    assert!(policy.broken.iter().all(|w| !w.lost), "{:?}", policy.broken);
    let diff = [
        "vendor/x.py",
        "src/a.snap",
        "keep.snap",
        "vendor/CODEOWNERS",
    ]
    .map(|f| adding(f, "eval(text) # FIXME later"))
    .concat();
    let got = scan(&policy, &diff);
    assert_eq!((got.coverage.files_total, got.coverage.ignored), (1, 3));
    assert!(got.coverage.is_complete());
    assert!(got.coverage.summary().ends_with("3 ignored"));
    assert!(!got.redacted.contains("vendor/x.py"));
    let files: Vec<_> = got
        .findings
        .iter()
        .map(|f| (f.rule.as_str(), f.file.as_ref().unwrap().raw()))
        .collect();
    assert!(
        files.contains(&("governance/policy-file", "vendor/CODEOWNERS")),
        "{files:?}"
    );
    assert!(
        files
            .iter()
            .all(|(rule, file)| *file == "keep.snap" || *rule == "governance/policy-file")
    );
}

#[test]
fn a_change_of_anything_that_decides_needs_a_person() {
    let place = Place::new(&[
        (".gitleaks.toml", "[extend]\npath = \"config/base.toml\""),
        (
            "config/base.toml",
            "[[rules]]\nid = \"a\"\nregex = \'\'\'a{9}\'\'\'",
        ),
    ]);
    let policy = place.policy();
    for file in [
        "config/base.toml",
        "data/agents",
        "data/knowledge/a.md",
        "x/bsm.yaml",
    ] {
        let got = scan(&policy, &adding(file, "x"));
        assert!(
            rules(&got).contains(&"governance/policy-file"),
            "{file}: {:?}",
            rules(&got)
        );
    }
    assert!(rules(&scan(&policy, &adding("config/other.toml", "x"))).is_empty());
}

#[test]
fn odd_names_are_looked_at_and_never_a_panic() {
    let place = Place::new(&[(IGNORES, "vendor/\n")]);
    let policy = place.policy();
    for name in [
        ".///etc/x",
        "vendor/../src/a.py",
        "/etc/x",
        "..",
        "a//b",
        "",
    ] {
        let got = scan(&policy, &adding(name, "x = eval(text)"));
        assert_eq!(got.coverage.ignored, 0, "{name}");
    }
    let got = scan(&policy, &adding("pay\u{202e}cod.exe", "x"));
    assert!(rules(&got).contains(&"hidden-text/bidi-control"));
    let forged = "--- /dev/null\n+++ \"b/src/a.py\\ndiff --git a/docs/x.md b/docs/x.md\"\n@@ -0,0 +1 @@\n+x\n";
    let got = scan(&policy, forged);
    assert_eq!(
        got.redacted.matches("\ndiff --git").count(),
        0,
        "{}",
        got.redacted
    );
}

#[test]
fn half_a_secret_is_shown_nowhere() {
    let policy = Policy::default();
    let mark = concat!("bsm", ":ignore");
    let long = "x".repeat(180);
    let diffs = [
        adding(
            "a.py",
            &format!(
                "h = hashlib.md5(x)  # {mark} security/weak-hash -- {long} {}",
                token()
            ),
        ),
        adding(
            "requirements.txt",
            &format!(
                "leftpad @ git+https://example.com/{}/{}",
                "y".repeat(90),
                token()
            ),
        ),
        adding(
            "Cargo.toml",
            &format!("[dependencies]\n{}-{} = \"1\"", "z".repeat(70), token()),
        ),
    ];
    for diff in diffs {
        assert!(diff.contains(&token()));
        let got = scan(&policy, &diff);
        let all = format!(
            "{:?} {:?} {:?} {}",
            got.findings, got.suppressed, got.notes, got.redacted
        );
        assert!(!got.findings.is_empty() || !got.suppressed.is_empty());
        assert!(!all.contains(&token()[..20]), "{all}");
    }
    let redactor = redactor(&policy);
    let log = serde_json::json!({"runs": [{"tool": {"driver": {"name": "x"}}, "results": [
        {"ruleId": token(), "message": {"text": format!("{}{}", "m".repeat(980), token())}}]}]});
    let touched = crate::changed_lines::Touched::default();
    let read = super::super::linters::read(
        log.to_string().as_bytes(),
        FilterMode::All,
        &touched,
        &redactor,
    );
    assert!(!format!("{:?}", read.unwrap().findings).contains(&token()[..20]));
}

#[test]
fn a_file_that_moves_to_where_other_rules_look_has_not_been_looked_at() {
    let renamed = |from: &str, to: &str| {
        let diff = format!(
            "diff --git a/{from} b/{to}\nsimilarity index 100%\nrename from {from}\nrename to {to}\n"
        );
        scan(&Policy::default(), &diff).coverage.is_complete()
    };
    assert!(!renamed("docs/sample.txt", ".github/workflows/release.yml"));
    assert!(renamed("src/a.py", "src/b.py"));
}

#[test]
fn an_override_changes_what_is_reported_by_it_alone() {
    let place = Place::new(&[(
        ".gitleaks.toml",
        "[extend]\nuseDefault = true\n[[rules]]\nid = \"generic-api-key\"\npath = \'\'\'\\.py$\'\'\'\n[[rules]]\nid = \"github-pat\"\nentropy = 7.5\n",
    )]);
    let policy = place.policy();
    let secret = "db_password = \"x9Kq2vLm7TzR4wPn\"";
    assert_eq!(
        rules(&scan(&policy, &adding("a.py", secret))),
        ["secrets/assigned-secret"]
    );
    assert_eq!(
        rules(&scan(&policy, &adding("a.js", secret))),
        Vec::<&str>::new()
    );
    assert_eq!(
        rules(&scan(&policy, &adding("b.py", "x = 1"))),
        Vec::<&str>::new()
    );
    let got = scan(&policy, &adding("a.txt", &token()));
    assert_eq!(rules(&got), Vec::<&str>::new());
    assert!(!got.redacted.contains(&token()));
}

/// The published configuration is not ours to keep here: name a copy of it.
#[test]
fn the_published_configuration_of_gitleaks_loads_whole() {
    let Some(path) = std::env::var_os("BSM_GITLEAKS_TOML") else {
        return;
    };
    let text = fs::read_to_string(path).unwrap();
    let count = text.matches("[[rules]]").count();
    assert!(count > 200, "{count}");
    let place = Place::new(&[(GITLEAKS, &text)]);
    let policy = place.policy();
    assert_eq!(policy.broken, []);
    let redactor = redactor(&policy);
    assert_eq!(redactor.rules().warnings(), []);
    let ours = packs::built_in().rules().len();
    assert_eq!(redactor.rules().rules().len(), ours + count);
    let got = scan(&policy, &adding("a.txt", &format!("x {} y", token())));
    assert_eq!(rules(&got), ["secrets/github-pat"]);
}
