//! The parser against the shapes diffs really have, and against rubbish.

use super::*;
use crate::commit_message::Commit;
use proptest::prelude::*;

#[derive(Default)]
struct Collect {
    commits: Vec<Commit>,
    files: Vec<(FileHead, Vec<Line>, Option<&'static str>)>,
}

impl Sink for Collect {
    fn file(&mut self, head: &FileHead) {
        self.files.push((head.clone(), Vec::new(), None));
    }
    fn hunk(&mut self, hunk: &Hunk) {
        self.files
            .last_mut()
            .unwrap()
            .1
            .extend(hunk.lines[hunk.repeated..].iter().cloned());
    }
    fn file_end(&mut self, unread: Option<&'static str>) {
        self.files.last_mut().unwrap().2 = unread;
    }
    fn commit(&mut self, commit: &Commit) {
        self.commits.push(commit.clone());
    }
}

fn read(text: impl AsRef<[u8]>) -> Collect {
    let mut sink = Collect::default();
    parse(text.as_ref(), &mut sink).unwrap();
    sink
}

fn added(lines: &[Line]) -> Vec<(u32, String)> {
    let added = lines.iter().filter(|l| l.side == Side::Added);
    added
        .map(|l| (l.number, String::from_utf8_lossy(&l.text).into_owned()))
        .collect()
}

#[test]
fn a_git_diff_with_two_files() {
    let got = read(
        "diff --git a/src/a.rs b/src/a.rs\nindex 111..222 100644\n--- a/src/a.rs\n+++ b/src/a.rs\n\
         @@ -1,3 +1,3 @@ fn x\n one\n+two\n three\n--- not a header\n\
         diff --git a/new b/new\nnew file mode 100755\n--- /dev/null\n+++ b/new\n@@ -0,0 +1 @@\n+only\n\\ No newline at end of file\n",
    );
    assert_eq!(got.files.len(), 2);
    assert_eq!(added(&got.files[0].1), [(2, "two".into())]);
    assert_eq!(
        (got.files[1].0.change, got.files[1].0.modes.1),
        (Change::Added, Some(0o100_755))
    );
    assert_eq!(added(&got.files[1].1), [(1, "only".into())]);
    assert_eq!(got.files[1].2, None);
}

#[test]
fn removed_lines_that_look_like_headers_stay_lines() {
    let got = read("--- a/x\n+++ b/x\n@@ -1,2 +1,2 @@\n--- a/y\n-second\n++++ b/y\n+@@ -1 +1 @@\n");
    assert_eq!(got.files.len(), 1);
    assert_eq!(
        added(&got.files[0].1),
        [(1, "+++ b/y".into()), (2, "@@ -1 +1 @@".into())]
    );
}

#[test]
fn renames_modes_binaries_quotes_and_crlf() {
    let got = read(
        b"diff --git a/old name.txt b/new name.txt\nsimilarity index 100%\nrename from old name.txt\nrename to new name.txt\n\
          diff --git a/run.sh b/run.sh\nold mode 100644\nnew mode 100755\n\
          diff --git a/logo.png b/logo.png\nnew file mode 100644\nindex 000..111\nBinary files /dev/null and b/logo.png differ\n\
          diff --git \"a/\\303\\251 \\\"q\\\".txt\" \"b/\\303\\251 \\\"q\\\".txt\"\n--- \"a/\\303\\251 \\\"q\\\".txt\"\n+++ \"b/\\303\\251 \\\"q\\\".txt\"\n@@ -1 +1 @@\n-a\r\n+b\r\n\
          diff --git a/\xff b/\xff\nnew file mode 100644\n--- /dev/null\n+++ b/\xff\n@@ -0,0 +1 @@\n+x\n",
    );
    let head = |i: usize| &got.files[i].0;
    assert_eq!(
        (head(0).change, head(0).path.raw()),
        (Change::Renamed, "new name.txt")
    );
    assert_eq!(head(0).old_path.as_ref().unwrap().raw(), "old name.txt");
    assert_eq!(
        (head(1).path.raw(), head(1).modes),
        ("run.sh", (Some(0o100_644), Some(0o100_755)))
    );
    assert!(head(2).binary);
    assert_eq!(head(3).path.raw(), "é \"q\".txt");
    assert_eq!(added(&got.files[3].1), [(1, "b".into())]);
    assert_eq!(head(4).path.raw(), "\\xFF");
}

#[test]
fn what_cannot_be_read_is_said() {
    let cut = read("--- a/x\n+++ b/x\n@@ -1,3 +1,3 @@\n one\n");
    assert_eq!(cut.files[0].2, Some("the diff is cut off"));
    let lying =
        read("--- a/x\n+++ b/x\n@@ -1,9 +1,9 @@\n one\ndiff --git a/y b/y\nnew file mode 100644\n");
    assert!(lying.files[0].2.is_some());
    assert_eq!(lying.files[1].0.path.raw(), "y");
    assert!(matches!(
        parse(&b"hello\nworld\n"[..], &mut Collect::default()),
        Err(DiffError::NotADiff(12))
    ));
    assert_eq!(parse(&b""[..], &mut Collect::default()).unwrap(), 0);
}

#[test]
fn headings_in_any_encoding_and_changes_that_are_only_mentioned() {
    let mut diff = b"--- a/x\n+++ b/x\n@@ -1 +1 @@ ".to_vec();
    diff.extend("تعليق".repeat(20).bytes());
    diff.extend(b"\xff\n-old\n+new\n");
    let got = read(&diff);
    assert_eq!(added(&got.files[0].1), [(1, "new".into())]);
    assert_eq!(got.files[0].2, None);
    let got = read("--- a/x\n+++ b/x\n@@ nonsense @@\n+hidden\n");
    assert_eq!(got.files[0].2, Some("a hunk header cannot be read"));
    let got = read(
        "Binary files a/p.png and b/p.png differ\nOnly in b: new.txt\nSubmodule lib 123..456:\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n",
    );
    assert_eq!(got.files.len(), 4);
    assert!(got.files[0].0.binary && got.files[1].2.is_some() && got.files[2].2.is_some());
    assert_eq!(got.files[3].2, None);
}

#[test]
fn huge_lines_come_in_windows_and_huge_hunks_in_batches_without_loss() {
    let long = "x".repeat(LINE_WINDOW * 2 + 10);
    let got = read(format!(
        "--- a/x\n+++ b/x\n@@ -0,0 +1,2 @@\n+{long}\n+end\n"
    ));
    let lines = &got.files[0].1;
    assert!(lines.iter().all(|l| l.text.len() <= LINE_WINDOW));
    assert!(lines.iter().map(|l| l.text.len()).sum::<usize>() >= long.len());
    assert_eq!(lines.last().unwrap().text, b"end");
    assert_eq!(lines.last().unwrap().number, 2);

    let count = 100_000;
    let body: String = (1..=count)
        .map(|i| format!("+line {i} {}\n", "y".repeat(80)))
        .collect();
    let got = read(format!("--- a/x\n+++ b/x\n@@ -0,0 +1,{count} @@\n{body}"));
    let numbers: Vec<u32> = got.files[0].1.iter().map(|l| l.number).collect();
    assert_eq!(numbers, (1..=count).collect::<Vec<_>>());
}

#[test]
fn lines_that_no_header_counts_are_said() {
    for diff in [
        "--- a/x\n+++ b/x\n@@ -1 +1,2 @@\n one\n+two\n+three\n",
        "diff --git a/x b/x\n--- a/x\n+++ b/x\nx@ -1 +1,2 @@\n one\n+two\n",
        "x-- a/x\n+++ b/x\n@@ -1 +1 @@\n-one\n+two\n",
    ] {
        let got = read(diff);
        assert!(got.files.iter().all(|f| f.2.is_some()), "{diff}");
    }
}

#[test]
fn a_combined_diff_is_read_with_a_column_for_each_parent() {
    let got = read(
        "diff --cc src/a.rs\nindex 111,222..333\n--- a/src/a.rs\n+++ b/src/a.rs\n\
         @@@ -1,4 -1,4 +1,5 @@@ fn x\n  one\n- ours\n -theirs\n++both\n +from ours\n  three\n  four\n\
         diff --cc gone\nindex 1,2..0\ndeleted file mode 100644,100644\n--- a/gone\n+++ /dev/null\n",
    );
    assert_eq!(
        added(&got.files[0].1),
        [(2, "both".into()), (3, "from ours".into())]
    );
    assert_eq!(got.files[0].2, None);
    let removed: Vec<_> = got.files[0]
        .1
        .iter()
        .filter(|l| l.side == Side::Removed)
        .map(|l| l.number)
        .collect();
    assert_eq!(removed, [2, 2], "each in its own parent");
    assert_eq!(got.files[1].0.change, Change::Deleted);
    let octopus =
        read("diff --combined x\n--- a/x\n+++ b/x\n@@@@ -1 -1 -1 +1,2 @@@@\n   one\n+++two\n");
    assert_eq!(added(&octopus.files[0].1), [(2, "two".into())]);
    let cut = read("diff --cc x\n--- a/x\n+++ b/x\n@@@ -1,9 -1,9 +1,9 @@@\n  one\n");
    assert_eq!(cut.files[0].2, Some("the diff is cut off"));
}

#[test]
fn copies_submodules_links_and_binary_patches() {
    let got = read(
        "diff --git a/a.rs b/b.rs\nsimilarity index 90%\ncopy from a.rs\ncopy to b.rs\n--- a/a.rs\n+++ b/b.rs\n@@ -1 +1 @@\n-a\n+b\n\
         diff --git a/lib b/lib\nindex 111..222 160000\n--- a/lib\n+++ b/lib\n@@ -1 +1 @@\n-Subproject commit 1\n+Subproject commit 2\n\
         diff --git a/l b/l\nnew file mode 120000\n--- /dev/null\n+++ b/l\n@@ -0,0 +1 @@\n+../x\n\\ No newline at end of file\n\
         diff --git a/p.png b/p.png\nnew file mode 100644\nindex 0..1\nGIT binary patch\nliteral 10\nRcmZQzU|?imU|?Wi00961\n\nliteral 0\nHcmV?d00001\n\n\
         diff --git a/z b/z\nold mode 100644\nnew mode 100755\n",
    );
    let heads: Vec<_> = got
        .files
        .iter()
        .map(|f| (f.0.change, f.0.path.raw()))
        .collect();
    assert_eq!(heads[0], (Change::Copied, "b.rs"));
    assert_eq!(got.files[0].0.old_path.as_ref().unwrap().raw(), "a.rs");
    assert_eq!(got.files[1].0.modes, (Some(0o160_000), Some(0o160_000)));
    assert_eq!(got.files[2].0.modes.1, Some(0o120_000));
    assert!(got.files[3].0.binary);
    assert_eq!(heads[4].1, "z");
    assert!(got.files.iter().all(|f| f.2.is_none()));
}

#[test]
fn mails_of_patches_give_their_messages_and_their_diffs() {
    let mail = |n: u8, head: &str, diff: &str| {
        let id = format!("{n:040x}");
        format!(
            "From {id} Mon Sep 17 00:00:00 2001\nFrom: A <a@example.com>\n{head}\n\nWhy it is so.\n\n\
             Signed-off-by: A <a@example.com>\n---\n x | 2 +-\n 1 file changed\n\n{diff}-- \n2.45.0\n\n"
        )
    };
    let diff = "diff --git a/x b/x\nindex 1..2 100644\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n";
    let got = read(
        [
            mail(1, "Subject: [PATCH 1/2] A subject that is\n folded", diff),
            mail(
                2,
                "Subject: [PATCH 2/2] second\nContent-Transfer-Encoding: quoted-printable",
                diff,
            ),
            mail(3, "Subject: third", diff),
        ]
        .concat(),
    );
    let subjects: Vec<_> = got.commits.iter().map(|c| c.subject.as_str()).collect();
    assert_eq!(subjects, ["A subject that is folded", "second", "third"]);
    assert!(got.commits[0].body.contains("Signed-off-by") && got.commits[0].id.ends_with('1'));
    let unread: Vec<_> = got.files.iter().map(|f| f.2.is_some()).collect();
    assert_eq!(
        unread,
        [false, true, false, false],
        "the encoded mail counts by itself"
    );
    assert_eq!(added(&got.files[0].1), [(1, "b".into())]);
}

#[test]
fn what_a_mail_hides_is_counted_and_what_it_says_is_heard() {
    let good = "diff --git a/x b/x\n--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n";
    for head in [
        "From 0123456789abcdef0123456789abcdef01234567 Mon Sep 17 00:00:00 2001\nSubject: s\nContent-Transfer-Encoding: base64\n\nZGlmZg==\n",
        "From 0123456789abcdef0123456789abcdef01234567 Mon Sep 17 00:00:00 2001\nContent-Transfer-Encoding:\n quoted-printable\n\n=64iff\n",
        "From mboxrd@z Thu Jan  1 00:00:00 1970\nContent-Transfer-Encoding: Quoted-Printable\n\n=64iff\n",
        "Subject: x\nContent-Type: multipart/mixed\n\n--b\nContent-Transfer-Encoding: base64\n\nZGlmZg==\n",
    ] {
        let got = read(format!("{good}{head}"));
        assert!(
            got.files
                .iter()
                .any(|f| f.2.is_some_and(|why| why.contains("encoded"))),
            "{head}"
        );
    }
    // After a file without hunks the next mail is heard; prose and a change log are no files.
    let mail = |subject: &str, rest: &str| {
        format!(
            "From 0123456789abcdef0123456789abcdef01234567 Mon Sep 17 00:00:00 2001\nSubject: {subject}\n\nOnly in the case of\n- this\nSubmodule x\n---\nv2:\n- mended\n x | 0\n\n{rest}-- \n2.4\n\n"
        )
    };
    let rename = "diff --git a/a b/b\nsimilarity index 100%\nrename from a\nrename to b\n";
    let got = read(
        [
            mail("one", rename),
            mail("=?UTF-8?q?z=C3=BCr?= =?utf-8?B?aWNo?=", good),
        ]
        .concat(),
    );
    let subjects: Vec<_> = got.commits.iter().map(|c| c.subject.as_str()).collect();
    assert_eq!(subjects, ["one", "zürich"]);
    assert_eq!(got.files.len(), 2);
    assert!(got.files.iter().all(|f| f.2.is_none()), "{:?}", got.files);
}

#[test]
fn other_forms_of_diffs_are_said_to_be_unread() {
    let good = "--- a/x\n+++ b/x\n@@ -1 +1 @@\n-a\n+b\n";
    for other in [
        "*** a/run.py\t2020\n--- b/run.py\t2020\n***************\n*** 1 ****\n! old\n--- 1 ----\n! eval(x)\n",
        "diff a/run.py b/run.py\n1,2c1\n< old\n---\n> eval(x)\n",
        "3a\n+eval(x)\n.\n",
        "Subject: prose\n\n*** a/run.py\t2020\n***************\n*** 1 ****\n! eval(x)\n",
        "Subject: prose\n\nand\n---\n1,2c1\n< old\n> eval(x)\n",
    ] {
        let got = read(format!("{good}{other}"));
        assert!(got.files.iter().any(|f| f.2.is_some()), "{other}");
    }
    let merge = read(
        "diff --cc l\nindex 1,2..3\nmode 100644,100644..120000\n--- a/l\n+++ b/l\n@@@ -1 -1 +1 @@@\n- a\n -b\n++../x\n",
    );
    assert_eq!(merge.files[0].0.modes, (Some(0o100_644), Some(0o120_000)));
}

/// Diffs of every shape that is known here.
const REAL: &[&str] = &[
    include_str!("../../../../assets/samples/risky.diff"),
    include_str!("../../../../assets/samples/docs.diff"),
    "diff --cc a\nindex 1,2..3\n--- a/a\n+++ b/a\n@@@ -1,2 -1,2 +1,3 @@@\n  one\n++two\n -x\n- y\n +z\n",
    "diff --git a/o b/n\nsimilarity index 50%\nrename from o\nrename to n\n--- a/o\n+++ b/n\n@@ -1,2 +1,2 @@\n x\n-a\n+b\n@@ -9 +9,2 @@\n y\n+c\n",
    "--- a/x\t2020-01-01\n+++ b/x\t2020-01-01\n@@ -0,0 +1,2 @@\n+one\n+two\n\\ No newline at end of file\n--- a/y\n+++ b/y\n@@ -1 +0,0 @@\n-gone\n",
];

/// Changes a diff in ways that people, transports and attackers do.
fn mutated(text: &str, edits: &[(u8, u16, u16, u8)]) -> Vec<u8> {
    let mut lines: Vec<Vec<u8>> = text.split('\n').map(|l| l.as_bytes().to_vec()).collect();
    for (kind, at, other, byte) in edits {
        if lines.is_empty() {
            break;
        }
        let (at, other) = (
            usize::from(*at) % lines.len(),
            usize::from(*other) % lines.len(),
        );
        match kind % 6 {
            0 => {
                let line = &mut lines[at];
                if !line.is_empty() {
                    let place = other % line.len();
                    line[place] = *byte;
                }
            }
            1 => drop(lines.remove(at)),
            2 => lines.swap(at, other),
            3 => {
                let line = lines[other].clone();
                lines.insert(at, line);
            }
            4 => lines.truncate(at.max(1)),
            _ => lines[at].insert(
                0,
                [b'+', b'-', b' ', b'@', b'\\', b'\r'][usize::from(*byte) % 6],
            ),
        }
    }
    lines.join(&b'\n')
}

proptest! {
    #[test]
    fn rubbish_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..2_000)) {
        let _ = parse(bytes.as_slice(), &mut Collect::default());
    }

    /// However a real diff is changed: no panic, and when every file is said to be read, every line that
    /// the change adds was handed on.
    #[test]
    fn a_mutated_diff_is_never_said_to_be_read_where_it_is_not(
        which in 0..REAL.len(),
        edits in proptest::collection::vec(any::<(u8, u16, u16, u8)>(), 0..6),
    ) {
        let text = mutated(REAL[which], &edits);
        let mut sink = Collect::default();
        if parse(text.as_slice(), &mut sink).is_ok() && sink.files.iter().all(|f| f.2.is_none()) {
            let handed_on: Vec<&[u8]> = sink
                .files
                .iter()
                .flat_map(|f| &f.1)
                .map(|l| l.text.as_slice())
                .collect();
            for line in text.split(|b| *b == b'\n') {
                let Some(rest) = line.strip_prefix(b"+") else { continue };
                let rest = rest.strip_suffix(b"\r").unwrap_or(rest);
                let is_name = rest.starts_with(b"++ ");
                let whole = [line, rest, rest.get(1..).unwrap_or_default()];
                prop_assert!(
                    is_name || whole.iter().any(|t| handed_on.contains(t)),
                    "{:?} was passed over in\n{}",
                    String::from_utf8_lossy(line),
                    String::from_utf8_lossy(&text)
                );
            }
        }
    }
}
