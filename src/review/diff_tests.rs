//! The parser against the shapes diffs really have, and against rubbish.

use super::*;
use proptest::prelude::*;

#[derive(Default)]
struct Collect {
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
    let merge = read("diff --cc x\nindex 1,2..3\n--- a/x\n+++ b/x\n@@@ -1 -1 +1 @@@\n- a\n");
    assert_eq!(merge.files[0].2, Some("combined diff of a merge"));
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

proptest! {
    #[test]
    fn rubbish_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..2_000)) {
        let _ = parse(bytes.as_slice(), &mut Collect::default());
    }

    /// A mutated real diff: no panic, and every file that begins also ends.
    #[test]
    fn mutated_diffs_never_panic(cut in 0usize..400, at in 0usize..400, byte in any::<u8>()) {
        let mut text = include_bytes!("../../assets/samples/risky.diff").to_vec();
        let at = at % text.len();
        text[at] = byte;
        text.truncate(text.len().saturating_sub(cut % text.len()));
        let mut sink = Collect::default();
        let _ = parse(text.as_slice(), &mut sink);
    }
}
