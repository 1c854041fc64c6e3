//! What is proven to be documentation, and what is not, one change a line.

use super::super::diff::parse;
use super::*;

fn checked(diff: &str, check: DocumentationCheck) -> Documentation {
    let mut check = check;
    parse(diff.as_bytes(), &mut check).unwrap();
    check.finish()
}

fn of(diff: &str) -> Documentation {
    checked(diff, DocumentationCheck::default())
}

/// A change in the middle of a file, as a diff shows it.
fn change(path: &str, before: &str, after: &str) -> String {
    let lines = |mark: char, text: &str| -> String {
        text.lines().map(|l| format!("{mark}{l}\n")).collect()
    };
    let (old, new) = (before.lines().count(), after.lines().count());
    format!(
        "diff --git a/{path} b/{path}\nindex 1111111..2222222 100644\n--- a/{path}\n+++ b/{path}\n\
         @@ -1,{} +1,{} @@\n # Title\n \n{}{} \n The end.\n",
        old + 4,
        new + 4,
        lines('-', before),
        lines('+', after)
    )
}

#[test]
fn sentence_for_sentence_is_proven_without_context() {
    for (before, after) in [
        (
            "The service takes payments.",
            "The service takes payments and sends receipts.",
        ),
        ("The old words are here.", ""),
        ("", "Start the database first, then the service."),
        (
            "- The first item is here.",
            "- The first item is here.\n- The second item is there.",
        ),
        ("## Old heading", "## New heading"),
        (
            "One line is here.",
            "One line is here.\n\nAnother line is here, too.",
        ),
        ("تعليمات قديمة للقارئ.", "تعليمات جديدة للقارئ."),
        ("旧的说明在这里。", "新的说明在这里。"),
    ] {
        for path in ["README.md", "docs/a.rst", "docs/a.adoc", "CHANGES.txt"] {
            let got = of(&change(path, before, after));
            assert!(
                got.proven,
                "{path}: {before} -> {after}: {:?}",
                got.obstacle
            );
        }
    }
}

#[test]
fn more_than_sentences_needs_the_whole_file() {
    let wrapped = change(
        "README.md",
        "Some old words",
        "Some new words\nthat go on here, with `name`",
    );
    assert!(!of(&wrapped).proven, "where the lines stand is not shown");
    let whole = |diff: &str| checked(diff, DocumentationCheck::of_whole_files());
    assert!(!whole(&wrapped).proven, "a name in code marks is new");
    let words = change(
        "README.md",
        "Some old words",
        "Some new words\nthat go on here",
    );
    assert!(whole(&words).proven, "{:?}", whole(&words).obstacle);
    assert!(whole(&words.replace("README.md", "README.rst")).proven);
    assert!(
        !whole(&words.replace("README.md", "README.adoc")).proven,
        "no parser knows it"
    );
    for after in [
        "$ ./run-me",
        "See [x](https://evil.example).",
        "<b>Words</b> and more.",
        "    rm -rf x",
    ] {
        assert!(
            !whole(&change("README.md", "Words are here.", after)).proven,
            "{after}"
        );
    }
    let new = "diff --git a/docs/a.md b/docs/a.md\nnew file mode 100644\nindex 0000000..1111111\n--- /dev/null\n+++ b/docs/a.md\n@@ -0,0 +1,3 @@\n+# Title\n+\n+words that go on\n";
    assert!(of(new).proven, "{:?}", of(new).obstacle);
    assert!(!of(&new.replace("words that go on", "    rm -rf x")).proven);
}

#[test]
fn blank_line_that_may_open_or_close_something_is_not_proven() {
    let diff = |body: &str| {
        let count = |marks: [char; 2]| body.lines().filter(|l| l.starts_with(marks)).count();
        format!(
            "diff --git a/README.md b/README.md\nindex 1..2 100644\n--- a/README.md\n+++ b/README.md\n@@ -1,{} +1,{} @@\n{body}",
            count([' ', '-']),
            count([' ', '+'])
        )
    };
    assert!(
        !of(&diff("-\n ---\n layout: x\n ---\n")).proven,
        "front matter begins to count"
    );
    assert!(!of(&diff(" <script>\n+\n run()\n")).proven);
    assert!(of(&diff(" One is here.\n+\n Another is there.\n")).proven);
}

#[test]
fn other_files_modes_and_moves_are_not_proven() {
    let good = change(
        "README.md",
        "The old words are here.",
        "The new words are here.",
    );
    assert!(of(&good).proven);
    for (from, to) in [
        ("README.md", "AGENTS.md"),
        ("README.md", "a.py"),
        ("100644", "120000"),
        ("100644", "100755"),
        ("index 1111111..2222222 100644\n", ""),
    ] {
        assert!(!of(&good.replace(from, to)).proven, "{from} -> {to}");
    }
    let two = format!("{good}{}", change("src/a.rs", "a", "b"));
    assert!(!of(&two).proven);
    let renamed = "diff --git a/docs/a.md b/docs/b.md\nsimilarity index 100%\nrename from docs/a.md\nrename to docs/b.md\n";
    assert!(!of(renamed).proven);
    assert!(!of("").proven);
    let said = of(&change(
        "README.md",
        "Words are here.",
        "t = hunter2hunter2",
    ))
    .obstacle
    .unwrap();
    assert!(
        !said.raw().contains("hunter2"),
        "an obstacle quotes nothing"
    );
}
