//! What accepts findings: baseline, inline ignores, weights and filters.

use super::super::diff::parse;
use super::super::finding::{Severity, SuppressedBy};
use super::super::scan::{ScanLimits, Scanner};
use super::tests::{Place, adding, redactor, rules, scan, token};
use super::*;
use std::fs;

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
