//! Every example of every rule is its test: what is bad is found, what is good is left alone.

use super::super::diff::parse;
use super::super::policy::Policy;
use super::super::redact::Redactor;
use super::super::rule::Rule;
use super::super::scan::{ScanLimits, Scanned, Scanner};
use super::*;
use crate::regions::Reach;

/// Fills the blanks of an example: `{{alnum:36}}` is random, the same for the same example. Also returns
/// what was filled in and must not be shown.
fn filled(example: &str) -> (String, Vec<String>) {
    let seed = example
        .bytes()
        .fold(7u64, |h, b| h.wrapping_mul(0x0100_0000_01b3) ^ u64::from(b));
    let mut random = fastrand::Rng::with_seed(seed);
    let (mut out, mut hidden) = (String::new(), Vec::new());
    let mut rest = example;
    while let Some((before, after)) = rest.split_once("{{") {
        out.push_str(before);
        // A blank is `word:…}}`; other braces are the example's own.
        let blank = after.split_once("}}").filter(|(inside, _)| {
            inside.contains(':') && !inside.contains([' ', '\n']) || inside.starts_with("lines:")
        });
        let Some((inside, next)) = blank else {
            out.push_str("{{");
            rest = after;
            continue;
        };
        let (kind, value) = inside.split_once(':').unwrap();
        let mut from = |alphabet: &str| -> String {
            let letters: Vec<char> = alphabet.chars().collect();
            let count = value.parse().unwrap();
            (0..count)
                .map(|_| letters[random.usize(..letters.len())])
                .collect()
        };
        const UPPER: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
        const LOWER: &str = "abcdefghijklmnopqrstuvwxyz";
        const DIGITS: &str = "0123456789";
        let text = match kind {
            "alnum" => from(&[UPPER, LOWER, DIGITS].concat()),
            "base64" => from(&[UPPER, LOWER, DIGITS, "+/"].concat()),
            "url" => from(&[UPPER, LOWER, DIGITS, "_-"].concat()),
            "alpha" => from(&[UPPER, LOWER].concat()),
            "upper" => from(&[UPPER, DIGITS].concat()),
            "lower" => from(&[LOWER, DIGITS].concat()),
            "upper32" => from(&[UPPER, "234567"].concat()),
            "hex" => from("0123456789abcdef"),
            "digits" => from(DIGITS),
            "text" => value.to_owned(),
            "u" => char::from_u32(u32::from_str_radix(value, 16).unwrap())
                .unwrap()
                .to_string(),
            "lines" => {
                let (count, line) = value.split_once(':').unwrap();
                vec![line; count.parse().unwrap()].join("\n")
            }
            other => panic!("unknown blank {other} in {example}"),
        };
        if text.len() >= 12 && !matches!(kind, "text" | "lines" | "digits") {
            hidden.push(text.clone());
        }
        out.push_str(&text);
        rest = next;
    }
    out.push_str(rest);
    (out, hidden)
}

/// Writes the counts of every hunk anew, so that examples need not be counted by hand.
fn counted(diff: &str) -> String {
    let lines: Vec<&str> = diff.lines().collect();
    let mut out = String::new();
    for (index, line) in lines.iter().enumerate() {
        if let Some(rest) = line.strip_prefix("@@ -") {
            let start = |part: &str| part.split(',').next().unwrap().to_owned();
            let mut parts = rest.split(' ');
            let (old, new) = (
                start(parts.next().unwrap()),
                start(parts.next().unwrap().strip_prefix('+').unwrap()),
            );
            let (mut olds, mut news) = (0, 0);
            for (at, line) in lines[index + 1..].iter().enumerate() {
                let next = lines.get(index + 2 + at).copied().unwrap_or("");
                let ends = ["@@ ", "diff --git "].iter().any(|p| line.starts_with(p))
                    || (line.starts_with("--- ") && next.starts_with("+++ "));
                if ends {
                    break;
                }
                match line.as_bytes().first() {
                    Some(b'+') => news += 1,
                    Some(b'-') => olds += 1,
                    Some(b'\\') => {}
                    _ => (olds, news) = (olds + 1, news + 1),
                }
            }
            out.push_str(&format!("@@ -{old},{olds} +{new},{news} @@\n"));
        } else {
            out.push_str(line);
            out.push('\n');
        }
    }
    out
}

/// The diff that an example stands for.
fn diff_of(rule: &Rule, text: &str) -> String {
    if ["diff --git ", "--- ", "From 0"]
        .iter()
        .any(|p| text.starts_with(p))
    {
        return counted(text);
    }
    let file = rule.docs.file.as_deref().unwrap_or("src/example.txt");
    if rule.is_about_paths() && rule.deleted {
        return counted(&format!(
            "diff --git a/{text} b/{text}\ndeleted file mode 100644\n--- a/{text}\n+++ /dev/null\n@@ -1 +0,0 @@\n-x\n"
        ));
    }
    if rule.is_about_paths() {
        return counted(&format!(
            "diff --git a/{text} b/{text}\nnew file mode 100644\n--- /dev/null\n+++ b/{text}\n@@ -0 +1 @@\n+x\n"
        ));
    }
    let body = if rule.check || rule.removed {
        text.to_owned()
    } else {
        text.lines().map(|l| format!("+{l}\n")).collect()
    };
    counted(&format!("--- a/{file}\n+++ b/{file}\n@@ -1 +1 @@\n{body}"))
}

fn found(rule: &Rule, text: &str) -> Scanned {
    let redactor = Redactor::built_in(&[], [3; 32]);
    let mut policy = Policy::default();
    policy.sign_off = true;
    let mut scanner = Scanner::new(&redactor, ScanLimits::default(), &|| false).under(&policy);
    let diff = diff_of(rule, text);
    parse(diff.as_bytes(), &mut scanner).unwrap_or_else(|e| panic!("{}: {e}\n{diff}", rule.id));
    scanner.finish()
}

/// Rules about what no diff can hold; `folder.rs` tries them.
const NO_EXAMPLES: [&str; 4] = [
    "hidden-text/invalid-utf8",
    "hidden-text/nul-bytes",
    "quality/huge-file",
    "quality/binary-tracked",
];

#[test]
fn every_rule_finds_what_is_bad_and_leaves_alone_what_is_good() {
    let mut wrong = Vec::new();
    let set = built_in();
    for pack in names() {
        let (mut hits, mut misses) = (0, 0);
        for rule in set
            .rules()
            .iter()
            .filter(|r| r.id.split('/').next() == Some(pack))
        {
            let docs = &rule.docs;
            assert!(
                !docs.what.is_empty() && !docs.why.is_empty() && !docs.help.is_empty(),
                "{} says not enough of itself",
                rule.id
            );
            if NO_EXAMPLES.contains(&rule.id.as_str()) {
                continue;
            }
            assert!(!docs.bad.is_empty() && !docs.good.is_empty(), "{}", rule.id);
            for (example, is_bad) in docs
                .bad
                .iter()
                .map(|e| (e, true))
                .chain(docs.good.iter().map(|e| (e, false)))
            {
                let (text, hidden) = filled(example);
                let hit = if rule.folder {
                    let files: Vec<_> = text.split_whitespace().map(Into::into).collect();
                    super::super::folder::health(&files)
                        .iter()
                        .any(|id| *id == rule.id)
                } else {
                    let scanned = found(rule, &text);
                    if rule.secret && is_bad {
                        let kept = format!("{} {:?}", scanned.redacted, scanned.findings);
                        for secret in hidden.iter().filter(|h| kept.contains(h.as_str())) {
                            wrong.push(format!("{}: {secret} is shown of: {example}", rule.id));
                        }
                    }
                    scanned.findings.iter().any(|f| f.rule == rule.id)
                };
                if hit != is_bad {
                    let what = if is_bad { "misses" } else { "wrongly finds" };
                    wrong.push(format!("{} {what}: {text}", rule.id));
                }
                (hits, misses) = (hits + u32::from(is_bad), misses + u32::from(!is_bad));
            }
        }
        assert!(
            hits >= 30 && misses >= 30,
            "{pack}: {hits} hits, {misses} near-misses"
        );
    }
    assert!(
        wrong.is_empty(),
        "{} wrong\n{}",
        wrong.len(),
        wrong.join("\n---\n")
    );
}

#[test]
fn every_check_in_code_has_its_words() {
    let set = built_in();
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut files = vec![folder.clone()];
    let mut seen = 0;
    while let Some(path) = files.pop() {
        if path.is_dir() {
            files.extend(std::fs::read_dir(path).unwrap().map(|e| e.unwrap().path()));
            continue;
        }
        let text = std::fs::read_to_string(&path).unwrap();
        // Ids in code are the only quoted `pack/id` texts outside of tests.
        let code = text.split("#[cfg(test)]").next().unwrap();
        if path.to_string_lossy().contains("tests") {
            continue;
        }
        for pack in names() {
            for part in code.split(&format!("\"{pack}/")).skip(1) {
                let id = format!("{pack}/{}", part.split('"').next().unwrap());
                // Asked for its paths, not noted.
                let by_path = id == crate::structural_checks::UNREAD_MANIFEST;
                if by_path || id.ends_with('/') || id.contains('{') {
                    continue; // a pack's own prefix, or an id made of another tool's
                }
                assert!(
                    set.rule(&id).is_some_and(|r| r.check),
                    "{id} in {}",
                    path.display()
                );
                seen += 1;
            }
        }
    }
    assert!(seen > 30, "{seen}");
}

#[test]
fn every_identifier_of_gitleaks_names_a_rule() {
    let set = built_in();
    let named = |id: &str| {
        let bare = |r: &Rule| r.id.split_once('/').is_some_and(|(_, bare)| bare == id);
        set.rules()
            .iter()
            .any(|r| r.secret && (bare(r) || r.docs.aliases.iter().any(|a| a == id)))
    };
    let missing: Vec<&str> = gitleaks_ids().filter(|id| !named(id)).collect();
    assert_eq!(missing, Vec::<&str>::new());
    assert!(gitleaks_ids().count() > 200);
}

#[test]
fn every_pattern_compiles_and_has_its_group() {
    // Not as `built_in` has them, which are compiled when they are first needed.
    let mut warnings = Vec::new();
    let mut packs = read(&mut warnings);
    for rule in packs.iter_mut().flat_map(|p| &mut p.file.rules) {
        rule.ours = false;
        for list in rule.allowlist.iter_mut().chain(&mut rule.allowlists) {
            list.ours = false;
        }
    }
    let set = RuleSet::compile(packs, warnings, |_| None);
    assert_eq!(set.warnings(), []);
    assert_eq!(set.rules().len(), built_in().rules().len());
}

#[test]
fn packs_have_the_names_by_which_they_are_asked_for() {
    let built: Vec<String> = read(&mut Vec::new()).into_iter().map(|p| p.name).collect();
    assert_eq!(built, NAMES);
}

#[test]
fn keywords_are_rare_in_ordinary_text() {
    // A rule costs what it is tried on: a common keyword makes every scan slower.
    let mut text = Vec::new();
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for module in ["diff", "documentation", "dependencies", "git", "scan"] {
        for entry in std::fs::read_dir(folder.join(module)).unwrap() {
            text.extend(std::fs::read(entry.unwrap().path()).unwrap_or_default());
        }
    }
    let set = built_in();
    let prepared = set.prepare("src/main.rs", &text);
    let mut all = 0.0;
    let mut often = Vec::new();
    let always = set.prepare("src/main.rs", b"");
    for (rule, parts) in &prepared.tried {
        if always.tries(*rule) || set.rules()[*rule].reach() == Reach::Anywhere {
            continue; // its pattern is as fast as a keyword, or its keyword is as rare as itself
        }
        let bytes: usize = parts.iter().map(|(start, end)| end - start).sum();
        let share = bytes as f64 / text.len() as f64;
        all += share;
        if share > 0.2 {
            often.push((set.rules()[*rule].id.as_str(), share));
        }
    }
    assert!(often.is_empty(), "tried on much of it: {often:?}");
    assert!(all < 2.0, "a byte is tried by {all:.2} rules");
}
