//! What a workspace's own files do to a review: gitleaks' form, ignores, a baseline, weights, filters.

use std::fs;

use super::super::diff::parse;
use super::super::finding::{Severity, SuppressedBy};
use super::super::redact::Redactor;
use super::super::scan::{ScanLimits, Scanned, Scanner};
use super::*;
use bsm_base::files::Root;

struct Place(tempfile::TempDir);

impl Place {
    fn new(files: &[(&str, &str)]) -> Self {
        let dir = tempfile::tempdir().unwrap();
        for (name, text) in files {
            let path = dir.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        Self(dir)
    }

    fn policy(&self) -> Policy {
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

fn redactor(policy: &Policy) -> Redactor {
    Redactor::new(policy.rules(), &[], [5; 32])
}

fn scan(policy: &Policy, diff: &str) -> Scanned {
    let redactor = redactor(policy);
    let mut scanner = Scanner::new(&redactor, ScanLimits::default(), &|| false).under(policy);
    parse(diff.as_bytes(), &mut scanner).unwrap();
    scanner.finish()
}

fn adding(file: &str, text: &str) -> String {
    let body: String = text.lines().map(|l| format!("+{l}\n")).collect();
    let count = text.lines().count();
    format!("--- a/{file}\n+++ b/{file}\n@@ -0,0 +1,{count} @@\n{body}")
}

fn rules(scanned: &Scanned) -> Vec<&str> {
    scanned.findings.iter().map(|f| f.rule.as_str()).collect()
}

/// A token, put together here so that none stands in the tree.
fn token() -> String {
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
fn a_baseline_silences_what_it_knows_and_nothing_else() {
    let place = Place::new(&[]);
    let old = adding(
        "a.py",
        &format!("x = 1\ntoken = \"{}\"\n# FIXME later", token()),
    );
    let mut known = Baseline::new();
    {
        let policy = place.policy();
        let redactor = redactor(&policy);
        let mut take = |finding: &super::super::finding::Finding, matched: &[u8]| {
            known.add(finding, matched);
        };
        let mut scanner =
            Scanner::new(&redactor, ScanLimits::default(), &|| false).telling(&mut take);
        parse(old.as_bytes(), &mut scanner).unwrap();
        scanner.finish();
    }
    let text = serde_json::to_string(&known).unwrap();
    assert!(!text.contains(&token()));
    fs::write(place.0.path().join(baseline::FILE), text).unwrap();
    let policy = place.policy();
    let got = scan(&policy, &old);
    assert_eq!(rules(&got), Vec::<&str>::new());
    assert!(
        got.suppressed.len() >= 2
            && got
                .suppressed
                .iter()
                .all(|s| s.by == SuppressedBy::Baseline)
    );
    assert!(!got.redacted.contains(&token()));
    // Moved down: still known. Another one in its place: news.
    let moved = adding("a.py", &format!("\n\n\ntoken = \"{}\"", token()));
    assert_eq!(rules(&scan(&policy, &moved)), Vec::<&str>::new());
    let other = format!("ghp_{}", "z9Y8x7W6v5U4".repeat(3));
    let other = adding("a.py", &format!("token = \"{other}\""));
    assert_eq!(rules(&scan(&policy, &other)), ["secrets/github-token"]);
}

#[test]
fn weights_change_and_silence_but_never_the_policy_file() {
    let weight = |name: &str, weight| (name.to_owned(), weight);
    let settings = ReviewSettings {
        severities: BTreeMap::from([
            weight("quality/*", Weight::Off),
            weight("quality/unfinished", Weight::As(Severity::High)),
            weight("governance/policy-file", Weight::Off),
            weight("governance/no-such", Weight::Off),
            weight("lint:clippy/x", Weight::Off),
        ]),
        ..ReviewSettings::default()
    };
    let policy = Policy::load(None, true, &settings);
    assert_eq!(policy.broken.len(), 2, "{:?}", policy.broken);
    assert_eq!(policy.lost().count(), 0);
    let diff = adding("a.rs", "// FIXME later\ndbg!(x);") + &adding("CODEOWNERS", "* @me");
    let got = scan(&policy, &diff);
    let found: Vec<_> = got
        .findings
        .iter()
        .map(|f| (f.rule.as_str(), f.severity))
        .collect();
    assert_eq!(
        found,
        [
            ("quality/unfinished", Severity::High),
            ("governance/policy-file", Severity::Medium)
        ]
    );
    let text: ReviewSettings = serde_json::from_str(
        r#"{"severities": {"a/b": "off", "c/d": "low"}, "filterMode": "file"}"#,
    )
    .unwrap();
    assert_eq!(text.severities["a/b"], Weight::Off);
    assert_eq!(text.severities["c/d"], Weight::As(Severity::Low));
    assert!(serde_json::from_str::<ReviewSettings>(r#"{"severities": {"a/b": "loud"}}"#).is_err());
}

#[test]
fn an_inline_ignore_with_a_reason_is_listed_and_one_without_is_not_minded() {
    let mark = concat!("bsm", ":ignore");
    let policy = Policy::default();
    let diff = adding(
        "a.py",
        &format!(
            "h = hashlib.md5(x)  # {mark} security/weak-hash -- the key of a cache\n\
             h = hashlib.md5(x)  # {mark} security/weak-hash\n\
             # {mark}-next-line weak-hash -- as above\n\
             h = hashlib.md5(x)\n\
             t = \"{}\"  # {mark} secrets/* -- a fixture",
            token()
        ),
    );
    let got = scan(&policy, &diff);
    assert_eq!(
        rules(&got),
        ["governance/ignore-without-reason", "security/weak-hash"]
    );
    assert_eq!(got.findings[1].line, Some(2));
    let silenced: Vec<_> = got
        .suppressed
        .iter()
        .map(|s| {
            (
                s.finding.line,
                s.by,
                s.reason.as_ref().unwrap().raw().to_owned(),
            )
        })
        .collect();
    assert_eq!(
        silenced,
        [
            (Some(5), SuppressedBy::Inline, "a fixture".to_owned()),
            (
                Some(1),
                SuppressedBy::Inline,
                "the key of a cache".to_owned()
            ),
            (Some(4), SuppressedBy::Inline, "as above".to_owned()),
        ]
    );
    assert!(!got.redacted.contains(&token()));
}

#[test]
fn the_filter_says_where_findings_count() {
    let diff =
        "--- a/a.py\n+++ b/a.py\n@@ -1,2 +1,3 @@\n h = hashlib.md5(x)\n+# FIXME later\n y = 1\n";
    let policy = Policy::default();
    let redactor = redactor(&policy);
    let look = |filter| {
        let mut scanner =
            Scanner::new(&redactor, ScanLimits::default(), &|| false).filtering(filter);
        parse(diff.as_bytes(), &mut scanner).unwrap();
        let sarif = |file: &str, line: u32| {
            serde_json::json!({"ruleId": format!("r{line}"), "level": "error", "message": {"text": "m"},
                "locations": [{"physicalLocation": {"artifactLocation": {"uri": file}, "region": {"startLine": line}}}]})
        };
        let log = serde_json::json!({"version": "2.1.0", "runs": [{
            "tool": {"driver": {"name": "Some Linter"}},
            "results": [sarif("a.py", 2), sarif("./a.py", 3), sarif("file:///src/a.py", 2), sarif("b%20c.py", 1)],
        }]});
        scanner
            .linter("x.sarif", log.to_string().as_bytes())
            .unwrap();
        let got = scanner.finish();
        let found: Vec<_> = got
            .findings
            .iter()
            .map(|f| (f.rule.clone(), f.line.unwrap()))
            .collect();
        (found, got.notes)
    };
    let row = |rule: &str, line| (rule.to_owned(), line);
    let (added, notes) = look(FilterMode::Added);
    assert_eq!(
        added,
        [row("lint:some-linter/r2", 2), row("quality/unfinished", 2)]
    );
    assert_eq!(
        notes,
        ["x.sarif: 2 findings taken, 2 elsewhere than --filter-mode looks"]
    );
    let (file, _) = look(FilterMode::File);
    assert_eq!(
        file,
        [
            row("lint:some-linter/r2", 2),
            row("lint:some-linter/r3", 3),
            row("security/weak-hash", 1),
            row("quality/unfinished", 2)
        ]
    );
    assert_eq!(look(FilterMode::All).0.len(), 5);
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
    let touched = super::super::touched::Touched::default();
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
fn a_linters_own_silence_in_the_change_is_not_ours() {
    let diff = adding("a.js", "danger(input) // eslint-disable-line");
    let policy = Policy::default();
    let redactor = redactor(&policy);
    let result = |kind: &str, line: u32| {
        serde_json::json!({"ruleId": "no-eval", "level": "error", "message": {"text": "{0} is bad", "arguments": ["eval"]},
            "suppressions": [{"kind": kind, "justification": "trust me"}],
            "locations": [{"physicalLocation": {"artifactLocation": {"index": 0}, "region": {"startLine": line}}}]})
    };
    let log = serde_json::json!({"version": "2.1.0", "runs": [{
        "tool": {"driver": {"name": "eslint", "rules": [{"id": "other", "properties": {"security-severity": "9.9"}}]}},
        "artifacts": [{"location": {"uri": "./x/../a.js"}}],
        "results": [result("inSource", 1), result("external", 1), result("inSource", 9)],
    }]});
    let mut scanner =
        Scanner::new(&redactor, ScanLimits::default(), &|| false).filtering(FilterMode::File);
    parse(diff.as_bytes(), &mut scanner).unwrap();
    let text = format!("\u{feff}{log}");
    scanner.linter("x.sarif", text.as_bytes()).unwrap();
    let got = scanner.finish();
    let silenced: Vec<_> = got
        .suppressed
        .iter()
        .map(|s| {
            (
                s.by,
                s.finding.line,
                s.finding.severity,
                s.finding.message.raw(),
            )
        })
        .collect();
    assert_eq!(
        silenced,
        [
            (SuppressedBy::Inline, Some(1), Severity::High, "eval is bad"),
            (
                SuppressedBy::Standing,
                Some(9),
                Severity::High,
                "eval is bad"
            ),
        ]
    );
    let mut scanner = Scanner::new(&redactor, ScanLimits::default(), &|| false);
    assert!(
        scanner
            .linter("old", br#"{"version": "1.0.0", "runs": []}"#)
            .is_err()
    );
    assert!(
        scanner
            .linter("none", br#"{"source": {"name": "x"}, "diagnostics": null}"#)
            .is_ok()
    );
}

#[test]
fn a_wider_filter_finds_no_less() {
    let body: String = (0..4)
        .map(|n| format!("MIIEvQ{n}IBADANBgkqhkiG9w0BAQEFAASCBKcwggSjAgEAAoIBAQC7VJT{n}xyz09\n"))
        .collect();
    let diff = adding("deploy/part", &body);
    let policy = Policy::default();
    let redactor = redactor(&policy);
    for filter in [FilterMode::Added, FilterMode::File, FilterMode::All] {
        let mut scanner =
            Scanner::new(&redactor, ScanLimits::default(), &|| false).filtering(filter);
        parse(diff.as_bytes(), &mut scanner).unwrap();
        assert!(
            rules(&scanner.finish()).contains(&"secrets/key-body"),
            "{filter:?}"
        );
    }
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

#[test]
fn a_baseline_knows_lines_and_how_many() {
    let place = Place::new(&[("src/b.py", "os.system(\"a\" + b)\nos.system(\"a\" + b)\n")]);
    let policy = place.policy();
    let redactor = redactor(&policy);
    let mut known = Baseline::new();
    let mut take =
        |finding: &super::super::finding::Finding, matched: &[u8]| known.add(finding, matched);
    let scanner = Scanner::new(&redactor, ScanLimits::default(), &|| false).telling(&mut take);
    super::super::folder::scan(place.0.path(), scanner).unwrap();
    fs::write(
        place.0.path().join(baseline::FILE),
        serde_json::to_string(&known).unwrap(),
    )
    .unwrap();
    let policy = place.policy();
    let count = |text: &str| scan(&policy, &adding("src/b.py", text)).findings.len();
    assert_eq!(count("  os.system(\"a\" + b)\nx\nos.system(\"a\" + b)"), 0);
    assert_eq!(
        count("os.system(\"a\" + b)\nx\nos.system(\"a\" + b)\ny\nos.system(\"a\" + b)"),
        1
    );
    assert_eq!(count("os.system(\"rm -rf \" + b)"), 1);
}

#[test]
fn a_flood_of_one_rule_hides_no_other_and_costs_no_square() {
    let began = std::time::Instant::now();
    let keys: String = (0..20_000)
        .map(|n| {
            format!(
                "AKIA{:A>16}\n",
                bsm_base::text::cut(&format!("QZ{n}").replace(['0', '1', '8', '9'], "7"), 16)
            )
        })
        .collect();
    let mark = concat!("bsm", ":ignore");
    let ignores: String = (0..20_000)
        .map(|n| format!("h = hashlib.md5({n}) # {mark} other/rule -- abc\n"))
        .collect();
    let sums: String = (0..20_000)
        .map(|n| format!("example.com/a v1.0.{n} h1:{n:0>43}=\n"))
        .collect();
    let diff = adding("a.txt", &keys)
        + &adding("b.py", &ignores)
        + &adding("go.sum", &sums)
        + &adding("c.py", "eval(x)");
    let got = scan(&Policy::default(), &diff);
    assert!(rules(&got).contains(&"security/dynamic-code"));
    assert!(
        got.notes.iter().any(|n| n.contains("not listed")),
        "{:?}",
        got.notes
    );
    // Squares took minutes; this takes a second or two unoptimised.
    assert!(
        began.elapsed() < std::time::Duration::from_secs(30),
        "{:?}",
        began.elapsed()
    );
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
