//! Workflows whole and in pieces.

use proptest::prelude::*;

use super::super::diff::Line;
use super::*;

fn text_of(path: &str, text: &str) -> WorkflowText {
    let mut workflow = WorkflowText::of(path).unwrap();
    workflow.hunk(&Hunk {
        lines: text
            .lines()
            .zip(1..)
            .map(|(text, number)| Line {
                side: Side::Added,
                number,
                text: text.as_bytes().to_vec(),
            })
            .collect(),
        ..Hunk::default()
    });
    workflow
}

fn found(text: &str) -> Vec<(&'static str, u32)> {
    let remarks = text_of(".github/workflows/x.yml", text).remarks(true);
    remarks.iter().map(|r| (r.id, r.line)).collect()
}

#[test]
fn injection_is_found_on_its_line_of_a_command() {
    let text = "on: issues\njobs:\n  a:\n    steps:\n      - run: |\n          echo one\n          echo \"${{ github.event.issue.title }}\"\n";
    assert_eq!(found(text), [("security/workflow-injection", 7)]);
}

#[test]
fn piece_that_begins_inside_a_mapping_is_read() {
    let text = "          ref: main\n      - name: x\n        run: echo ${{ github.head_ref }}\n  other:\n    if: ${{ false }} x\n";
    assert_eq!(
        found(text),
        [
            ("security/workflow-injection", 3),
            ("security/workflow-condition-always-true", 5)
        ]
    );
}

#[test]
fn input_that_can_only_be_a_choice_is_no_injection() {
    let text = "on:\n  workflow_dispatch:\n    inputs:\n      a:\n        type: choice\n      b:\n        type: string\njobs:\n  x:\n    steps:\n      - run: echo ${{ inputs.a }}\n      - run: echo ${{ inputs.b }}\n";
    assert_eq!(found(text), [("security/workflow-input-injection", 12)]);
}

#[test]
fn flow_collections_and_anchors_are_read() {
    let text = "on: [push, issue_comment]\njobs:\n  a:\n    steps:\n      - &s { uses: \"acti0ns/checkout@x\" }\n      - *s\n";
    assert_eq!(
        found(text),
        [
            ("security/workflow-outside-trigger", 1),
            ("security/workflow-look-alike-action", 5)
        ]
    );
}

#[test]
fn remark_without_a_part_in_the_change_is_left_out() {
    let mut workflow = WorkflowText::of("action.yml").unwrap();
    let line = |side, number, text: &str| Line {
        side,
        number,
        text: text.as_bytes().to_vec(),
    };
    workflow.hunk(&Hunk {
        lines: vec![
            line(Side::Context, 5, "    - run: echo ${{ inputs.a }}"),
            line(Side::Added, 6, "    - run: echo ${{ inputs.b }}"),
        ],
        ..Hunk::default()
    });
    let lines = |only_added| {
        workflow
            .remarks(only_added)
            .iter()
            .map(|r| r.line)
            .collect::<Vec<_>>()
    };
    assert_eq!((lines(true), lines(false)), (vec![6], vec![5, 6]));
}

#[test]
fn hostile_text_costs_linear_time() {
    let deep = "[".repeat(100_000);
    let nested: String = (0..5_000)
        .map(|i| format!("{}a:\n", " ".repeat(i % 300)))
        .collect();
    let items = "- ".repeat(50_000);
    for text in [deep.as_str(), nested.as_str(), items.as_str()] {
        text_of("action.yml", text).remarks(true);
    }
}

proptest! {
    #[test]
    fn any_text_is_read_without_panic(text in "[-a-z:{}\\[\\]|>&*'\"# \n$.(),!=]{0,400}") {
        text_of(".github/workflows/x.yml", &text).remarks(false);
    }
}
