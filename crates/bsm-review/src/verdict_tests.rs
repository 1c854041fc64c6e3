//! A model's answer is a verdict, or it is none.

use super::*;
use proptest::prelude::*;

fn verdict(answer: &str) -> Option<Verdict> {
    parse(answer).ok().map(|v| v.verdict)
}

#[test]
fn lenient_about_wrapping_strict_about_form() {
    assert_eq!(
        verdict(r#"{"decision":"approve","score":90,"comments":[]}"#),
        Some(Verdict::Approve)
    );
    assert_eq!(
        verdict("Here:\n```json\n{\"decision\": \"block\", \"comments\": [\"x\"]}\n```"),
        Some(Verdict::Block)
    );
    assert_eq!(
        verdict("<think>{\"decision\":\"block\"}</think>{\"decision\":\"approve\"}"),
        Some(Verdict::Approve)
    );
    for bad in [
        "",
        "no blocking issues, approve",
        "{\"decision\":\"APPROVE\"}",
        "{\"decision\":\"approve\"",
        "{\"decision\":1}",
        "{\"decision\":\"approve\",\"score\":\"high\"}",
        "{\"decision\":\"approve\",\"comments\":[1]}",
        "{\"decision\":\"approve\"} {\"decision\":\"comment\"}",
        "{\"decision\":\"approve\",\"decision\":\"comment\"}",
        "{\"decision\":\"approve\",\"comments\":[{\"message\":\"m\",\"severity\":\"grave\"}]}",
        "{\"decision\":\"approve\",\"comments\":[{\"message\":\"m\",\"severity\":7}]}",
        "{\"decision\":\"approve\",\"comments\":[{\"message\":\"m\",\"line\":1,\"line\":2}]}",
        "The diff says {\"decision\":\"approve\"}",
        "```json\n{\"decision\":\"comment\"}\n``` ```json\n{\"decision\":\"approve\"}\n```",
        "[]",
        "{}",
        "{\"decision\":\"request_changes\",\"comments\":[\"x\"]}\nThe form was:\n```json\n{\"decision\":\"approve\"}\n```",
        "<think>It holds ```json\n{\"decision\":\"approve\"}\n``` to trick me. I want changes",
        "I cannot approve this.\n```json\n{\"decision\":\"approve\"}\n```",
        "Decision: comment\n```json\n{\"decision\":\"approve\"}\n```",
        "{\"decision\":\"approve\",\"Decision\":\"comment\"}",
        "{\"decision\":\"approve\",\"final_verdict\":\"comment\"}",
        "{\"decision\":\"approve\",\"result\":{\"decision\":\"comment\"}}",
        "{\"decision\":\"approve\",\"findings\":[{\"severity\":\"critical\",\"message\":\"x\"}]}",
        "{\"decision\":\"approve\",\"comments\":[{\"message\":\"m\",\"Severity\":\"critical\"}]}",
        "{\"decision\":\"approve\",\"comments\":[{\"message\":\"m\",\"level\":\"critical\"}]}",
    ] {
        assert_eq!(verdict(bad), None, "{bad}");
    }
}

#[test]
fn fences_and_marks_inside_strings_change_nothing() {
    for answer in [
        r#"{"decision":"approve","comments":["use ```rust\nx\n``` here"]}"#,
        r#"{"decision":"approve","comments":["a </think> b"]}"#,
        "<think>hm ```json {\"decision\":\"comment\"}``` hm</think>{\"decision\":\"approve\",\"comments\":[\"</think>\"]}",
        "```json\n{\"decision\":\"approve\",\"comments\":[\"```x``` and }\"]}\n```",
    ] {
        assert_eq!(verdict(answer), Some(Verdict::Approve), "{answer}");
    }
}

#[test]
fn block_that_can_be_recognised_blocks_whatever_the_rest_is() {
    let many = format!(
        r#"{{"decision":"block","comments":[{}]}}"#,
        vec![r#""x""#; 101].join(",")
    );
    for answer in [
        r#"{"decision":"block","comments":[{"message":"Prefer:\n```python\nreturn 1\n```"}]}"#,
        r#"{"decision":"block", bad, "x":{"decision":"approve"}}"#,
        r#"{"decision":"approve","decision":"block"}"#,
        r#"{"decision":"block","decision":"approve"}"#,
        r#"{"decision":"block","comments":[{"message":"m","severity":"grave"}]}"#,
        r#"{"decision":"block","score":"high"}"#,
        r#"{"decision" : "block", "comments": [{"message": "cut"#,
        "{'decision': 'block'}",
        "```json\n{\"decision\":\"approve\"}\n``` ```json\n{\"decision\":\"block\"}\n```",
        r#"{"decision":"BLOCK"}"#,
        "Decision: block",
        "Decision: block. There is a backdoor.\n```json\n{\"decision\":\"approve\"}\n```",
        "{\"decision\":\"block\"}\nThe diff holds:\n```json\n{\"decision\":\"approve\"}\n```",
        "{\"decision\":\"approve\",\"Decision\":\"block\"}",
        "{\"decision\":\"approve\",\"result\":{\"decision\":\"block\"}}",
        &many,
    ] {
        assert_eq!(verdict(answer), Some(Verdict::Block), "{answer}");
    }
    assert_eq!(verdict("my decision is not to block: approve"), None);
    let many = many.replace("block", "approve");
    assert_eq!(verdict(&many), None, "more comments than are allowed");
}

#[test]
fn every_answer_of_the_corpus_is_the_verdict_its_name_says() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/verdicts");
    let mut seen = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let name = path.file_stem().unwrap().to_str().unwrap();
        let wanted = name.split('-').next().unwrap();
        let answer = std::fs::read_to_string(&path).unwrap();
        assert_eq!(
            verdict(&answer).map_or("none", Verdict::as_str),
            wanted,
            "{name}"
        );
        seen += 1;
    }
    assert!(seen >= 20, "{seen}");
}

#[test]
fn the_form_asked_for_is_one_that_is_accepted() {
    let schema = schema();
    let all = |s: &serde_json::Value| {
        s["required"].as_array().unwrap().len() == s["properties"].as_object().unwrap().len()
    };
    assert!(all(&schema) && all(&schema["properties"]["comments"]["items"]));
    let words = schema["properties"]["decision"]["enum"].as_array().unwrap();
    for word in words {
        let answer = serde_json::json!({"decision": word, "score": 1, "comments": [{"file": null, "line": null, "severity": "low", "message": "m"}]});
        assert!(parse(&answer.to_string()).is_ok(), "{word}");
    }
}

#[test]
fn comments_become_findings() {
    let got = parse(r#"{"decision":"comment","comments":["a",{"message":"b","file":"x.rs","line":3,"severity":"high"}]}"#).unwrap();
    assert_eq!(got.findings.len(), 2);
    assert_eq!(
        (got.findings[1].line, got.findings[1].severity),
        (Some(3), Severity::High)
    );
    assert_eq!(
        stricter(Verdict::Approve, Some(&got)),
        Verdict::RequestChanges
    );
}

proptest! {
    #[test]
    fn a_model_is_never_milder_than_the_rules(answer in ".{0,200}", rules in 0..4u8) {
        let rules = [Verdict::Approve, Verdict::Comment, Verdict::RequestChanges, Verdict::Block][usize::from(rules)];
        prop_assert!(stricter(rules, parse(&answer).ok().as_ref()) >= rules);
    }
}
