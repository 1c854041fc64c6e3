//! A finding's identity: the same on every machine and in every run, so that a code host knows it again.
//!
//! Why from the redacted line: a hash of a secret could be tried out. What redaction leaves in a secret's
//! place (its length, its salted fingerprint) is taken out too.

use std::collections::HashMap;

use sha2::{Digest as _, Sha256};

use super::super::finding::{Finding, Suppressed};
use bsm_base::hex;

/// The part that is known when a line is looked at: rule, path and redacted line.
pub(super) fn of_line(rule: &str, path: &str, redacted: &str) -> String {
    hashed(&[rule, path, &normalised(redacted)])
}

/// Blanks made one, marks of redaction made alike.
fn normalised(redacted: &str) -> String {
    let mut out = String::with_capacity(redacted.len());
    let mut rest = redacted;
    while let Some((before, after)) = rest.split_once("‹redacted") {
        out.push_str(before);
        out.push_str("‹redacted›");
        rest = after.split_once('›').map_or("", |(_, rest)| rest);
    }
    out.push_str(rest);
    out.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Completes the identities of all findings of a scan: which occurrence of the same line each is.
pub(super) fn number(findings: &mut [Finding], suppressed: &mut [Suppressed]) {
    let mut all: Vec<&mut Finding> = findings
        .iter_mut()
        .chain(suppressed.iter_mut().map(|s| &mut s.finding))
        .collect();
    all.sort_by_key(|f| (f.line, f.column));
    let mut seen: HashMap<String, u32> = HashMap::new();
    for finding in all {
        let base = finding.identity.take().unwrap_or_else(|| {
            let file = finding.file.as_ref().map_or("", |f| f.raw());
            hashed(&[&finding.rule, file, &normalised(finding.message.raw())])
        });
        let count = seen.entry(base.clone()).or_default();
        *count += 1;
        finding.identity = Some(hashed(&[&base, &count.to_string()]));
    }
}

fn hashed(parts: &[&str]) -> String {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_le_bytes());
        hash.update(part);
    }
    hex(&hash.finalize()[..16])
}

#[cfg(test)]
mod tests {
    use super::super::super::finding::Severity;
    use super::*;
    use bsm_base::text::Untrusted;

    #[test]
    fn identity_depends_on_rule_path_line_and_occurrence_alone() {
        let line = |rule, path, text| of_line(rule, path, text);
        assert_eq!(
            line("r", "p", "  a =   ‹redacted x, 40 bytes, 0123›"),
            line("r", "p", "a = ‹redacted x, 41 bytes, 4567›")
        );
        assert_ne!(line("r", "p", "a"), line("r", "q", "a"));
        let finding = |number: u32| Finding {
            line: Some(number),
            identity: Some("base".into()),
            ..Finding::about_file("r", Severity::Low, &Untrusted::from("f"), "m")
        };
        let numbered = |lines: [u32; 2]| {
            let mut all = lines.map(finding);
            number(&mut all, &mut []);
            all.map(|f| f.identity.unwrap())
        };
        let (first, moved) = (numbered([3, 9]), numbered([30, 90]));
        assert_ne!(first[0], first[1]);
        assert_eq!(first, moved, "where the lines stand does not matter");
        assert_eq!(first[0].len(), 32);
    }
}
