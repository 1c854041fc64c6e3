//! JUnit's XML, which every build server shows: a failed test for each finding and each file that was not
//! reviewed.

use std::fmt::Write as _;

use crate::engine::exporters::Export;
use crate::text::clean_line;

/// The report as one test suite.
pub fn junit(export: &Export<'_>) -> String {
    let mut cases = String::new();
    let mut failures = 0;
    let mut count = 0;
    let mut case = |class: &str, name: &str, failure: Option<(&str, String)>| {
        count += 1;
        let (class, name) = (escaped(class), escaped(name));
        // Writing into a String cannot fail.
        let _ = match failure {
            None => writeln!(
                cases,
                "    <testcase classname=\"{class}\" name=\"{name}\"/>"
            ),
            Some((kind, text)) => {
                failures += 1;
                let (kind, text) = (escaped(kind), escaped(&text));
                writeln!(
                    cases,
                    "    <testcase classname=\"{class}\" name=\"{name}\"><failure type=\"{kind}\" message=\"{text}\"/></testcase>"
                )
            }
        };
    };
    for reported in &export.findings {
        let finding = reported.finding;
        let file = finding
            .file
            .as_ref()
            .map_or_else(|| "the change".to_owned(), |f| f.line(400));
        let place = finding.line.map_or(file.clone(), |l| format!("{file}:{l}"));
        let name = format!("{} at {place}", finding.rule);
        let kind = finding.severity.as_str();
        case(&file, &name, Some((kind, finding.message.line(1_000))));
    }
    for skipped in &export.coverage.skipped {
        let path = skipped.path.line(400);
        let reason = format!("not reviewed: {}", clean_line(&skipped.reason, 300));
        case(&path, "reviewed", Some(("not-reviewed", reason)));
    }
    if let Some((_, Some(decision), evidence, _)) = &export.run {
        let text = format!("{} ({})", decision.reason.line(400), evidence.as_str());
        // What the command says by its exit code: a gate may let more pass than an approval.
        let passed = export.exit_code == 0;
        let failure = (!passed).then(|| (decision.cause_word(), text));
        case(
            "bsm",
            &format!("decision: {}", decision.action.as_str()),
            failure,
        );
    } else {
        case("bsm", &export.coverage.summary(), None);
    }
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites>\n  <testsuite name=\"bsm {}\" tests=\"{count}\" failures=\"{failures}\" errors=\"0\" skipped=\"0\">\n{cases}  </testsuite>\n</testsuites>\n",
        escaped(&export.category)
    )
}

fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in clean_line(text, 2_000).chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&apos;"),
            // What XML 1.0 cannot hold.
            '\u{fffe}' | '\u{ffff}' => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}
