//! What the scanner does with each file, hunk and commit that the parser hands over.

use crate::budget::Budget;
use crate::commit_message::Commit;
use crate::dependencies::Dependencies;
use crate::diff::Change;
use crate::diff::FileHead;
use crate::diff::Hunk;
use crate::diff::Side;
use crate::diff::Sink;
use crate::encoding;
use crate::encoding::Reading;
use crate::finding::FilterMode;
use crate::finding::Finding;
use crate::hunk_redaction::redact_lines;
use crate::hunk_views::Views;
use crate::inline_suppressions::Ignores;
use crate::languages::language;
use crate::path_pattern::FileName;
use crate::remark::Noted;
use crate::replaced_checks;
use crate::scan::MOST_COMMITS;
use crate::scan::MOST_FILES;
use crate::scan::Scanner;
use crate::scan::UNDECODABLE;
use crate::scan::types::RemovedMatches;
use crate::scan::types::ScannedFile;
use crate::scan::{Current, UNREAD_MANIFEST};
use crate::structural_checks;
use crate::structural_checks::FileSummary;
use crate::structural_checks::Losses;
use crate::workflows::WorkflowText;
use bsm_base::text::Untrusted;
use bsm_base::text::clean_line;
use std::time::Instant;

impl Sink for Scanner<'_> {
    fn file(&mut self, head: &FileHead) {
        let path = head.path.clone();
        // Names are outside text too, and may themselves hold a secret.
        let shown = Untrusted::new(self.redactor.text(path.raw()));
        let ignored = self.policy.ignores(path.raw());
        if ignored {
            self.out.coverage.ignored += 1;
        } else {
            self.out.coverage.files_total += 1;
            self.out.size.files += 1;
            if self.out.coverage.first_file.is_none() {
                self.out.coverage.first_file = Some(shown.clone());
            }
        }
        if self.out.coverage.files_total > MOST_FILES {
            // Counted, and never said to be seen.
            self.current = None;
            self.out.coverage.skipped_more += 1;
            return;
        }
        self.touched.file(path.raw());
        let there = head.change != Change::Deleted && !ignored;
        let image = self.is_read_image(head);
        self.check_file(head, &shown, ignored, image);
        let summary = FileSummary {
            path: shown.clone(),
            change: head.change,
            added: 0,
            removed: 0,
            binary: head.binary,
            generated: structural_checks::is_generated(path.raw()),
            last_line: 0,
        };
        let dependencies = (self.of_change && there)
            .then(|| Dependencies::of(path.raw()))
            .flatten();
        let reason = unread_as(head, image).or_else(|| {
            let unread = there && dependencies.is_none() && self.is_unread_manifest(path.raw());
            unread.then(|| UNREAD_MANIFEST.to_owned())
        });
        self.documentation.file(head);
        self.current = Some(Current {
            head: head.clone(),
            path: shown.clone(),
            began: Instant::now(),
            reason,
            summary,
            kept_all: true,
            dependencies,
            losses: Losses::default(),
            removed: RemovedMatches::default(),
            workflow: there.then(|| WorkflowText::of(path.raw())).flatten(),
            ignored,
            stopped: head.binary,
            wide: None,
        });
        if ignored {
            return;
        }
        self.hidden_in_name(&head.path, &shown);
        self.moved_to_other_rules(head);
        self.keep_head(head, &shown);
    }

    fn hunk(&mut self, hunk: &Hunk) {
        let Some(current) = &mut self.current else {
            return;
        };
        let budget = Budget::since(current.began, self.limits.file_time);
        if budget.look() {
            current.too_long();
        }
        self.touched.hunk(current.head.path.raw(), hunk);
        if current.ignored {
            return;
        }
        count_lines(&mut current.summary, hunk);
        if current.stopped {
            return; // not looked at, so not kept either: it might hold a secret
        }
        self.documentation.hunk(hunk);
        if let Some(why) = structural_checks::pointer(&current.head, hunk) {
            current.reason.get_or_insert_with(|| why.to_owned());
        }
        let decoded;
        let raw = match encoding::read(hunk, &mut current.wide) {
            Reading::AsIs => hunk,
            Reading::Decoded(hunk) => {
                decoded = hunk;
                &decoded
            }
            Reading::Undecodable => {
                current.reason.get_or_insert_with(|| UNDECODABLE.to_owned());
                hunk
            }
        };
        let cleaned = encoding::without_odd_bytes(raw);
        let hunk = cleaned.as_ref().map_or(raw, |(clean, _)| clean);
        current.summary.generated |= says_generated(hunk);
        if let Some(dependencies) = &mut current.dependencies {
            dependencies.hunk(hunk);
        }
        current.losses.hunk(current.head.path.raw(), hunk);
        if let Some(workflow) = &mut current.workflow {
            workflow.hunk(hunk);
            if workflow.cut {
                let why = "it is longer than the workflows that are read";
                current.reason.get_or_insert_with(|| why.to_owned());
            }
        }
        let file = ScannedFile {
            raw: current.head.path.raw().to_owned(),
            shown: current.path.clone(),
            language: language(current.head.path.raw()),
            generated: current.summary.generated,
            new: current.head.change == Change::Added || !self.of_change,
            ignores: Ignores::of(hunk),
        };
        let is_link = current.head.modes.1 == Some(structural_checks::SYMLINK);
        let head = is_link.then(|| current.head.clone());
        let rules = self.redactor.rules();
        let texts = Views::of(hunk);
        let views = texts.prepare(rules, &file.raw);
        let lines = redact_lines(self.redactor, hunk, &views, &budget);
        let Some(redacted) = lines else {
            current.too_long();
            return;
        };
        self.match_rules(&file, hunk, &redacted, &views, &budget);
        if let Some((_, odd)) = &cleaned {
            // As it is, too: a rule may look for the very bytes that were taken out.
            let as_is = Views::of(raw);
            let views = as_is.prepare(rules, &file.raw);
            self.match_rules(&file, raw, &redacted, &views, &budget);
            self.note_odd_bytes(raw, odd, &file.shown);
        }
        if budget.look()
            && let Some(current) = &mut self.current
        {
            current.too_long();
            return;
        }
        self.note_disguises(hunk, &file);
        self.note_replaced_check(hunk, &file);
        if let Some(head) = head {
            self.note_link(hunk, &head, &file.shown, &redacted);
        }
        self.keep_hunk(hunk, &redacted);
    }

    fn file_end(&mut self, unread: Option<&'static str>) {
        let Some(mut current) = self.current.take() else {
            return;
        };
        if current.ignored {
            return;
        }
        if unread.is_some() {
            self.documentation.unread();
        }
        for finding in current.removed.taken() {
            self.found(finding, b"", None);
        }
        if let Some(workflow) = current.workflow.take() {
            self.note_workflow(&workflow, &current.path);
        }
        for noted in current.losses.remarks(current.head.change, &current.path) {
            self.note(noted);
        }
        if let Some(dependencies) = &current.dependencies {
            for noted in dependencies.remarks(&current.path) {
                self.note(noted);
            }
            if dependencies.is_unread() {
                current
                    .reason
                    .get_or_insert_with(|| UNREAD_MANIFEST.to_owned());
            }
            if dependencies.cut {
                let why = "it names more packages than are compared";
                current.reason.get_or_insert_with(|| why.to_owned());
            }
        }
        self.out.size.added = self.out.size.added.saturating_add(current.summary.added);
        self.out.size.removed = self
            .out
            .size
            .removed
            .saturating_add(current.summary.removed);
        match current.reason.or_else(|| unread.map(str::to_owned)) {
            Some(reason) => self.out.coverage.skip(&current.path, reason),
            None => self.out.coverage.files_seen += 1,
        }
        const LISTED: usize = 20_000;
        if !current.kept_all && self.out.not_kept.len() < LISTED {
            self.out.not_kept.push(current.path);
        }
        if self.summaries.len() < LISTED {
            self.summaries.push(current.summary);
        }
    }

    fn commit(&mut self, commit: &Commit) {
        if commit.cut {
            let place = Untrusted::new("(a commit's message)");
            self.skip(&place, "longer than what is looked at");
        }
        if self.commits.len() < MOST_COMMITS {
            self.commits.push(commit.clone());
        } else if !self.more_commits {
            self.more_commits = true;
            let place = Untrusted::new("(messages of commits)");
            self.skip(&place, &format!("more than {MOST_COMMITS}"));
        }
    }

    fn cancelled(&self) -> bool {
        (self.cancelled)()
    }
}

impl Scanner<'_> {
    /// What the file's name and modes say.
    fn check_file(&mut self, head: &FileHead, shown: &Untrusted, ignored: bool, image: bool) {
        let rules: Vec<Finding> = self
            .redactor
            .rules()
            .path_hits(head.path.raw(), head.change == Change::Deleted)
            .filter(|r| !ignored && (self.of_change || !r.change_only))
            .map(|r| Finding::about_file(&r.id, r.severity, shown, r.message.clone()))
            .collect();
        for finding in rules {
            self.found(finding, b"", None);
        }
        if !self.of_change {
            return;
        }
        let policy = self.policy;
        for noted in structural_checks::file(head, shown, |path| policy.is_made_of(path)) {
            if image && noted.id == "quality/binary" {
                continue;
            }
            // A file that decides how changes are reviewed is noted wherever it lies.
            if !ignored || noted.id == structural_checks::POLICY_FILE {
                self.note(noted);
            }
        }
    }

    /// What a workflow can be made to run, and what it gives away.
    fn note_workflow(&mut self, workflow: &WorkflowText, shown: &Untrusted) {
        for remark in workflow.remarks(self.filter == FilterMode::Added) {
            self.note(Noted {
                line: Some(remark.line),
                detail: remark.detail,
                ..Noted::file(remark.id, shown)
            });
        }
    }

    /// A manifest of dependencies whose form no reader knows.
    fn is_unread_manifest(&self, path: &str) -> bool {
        let rule = self
            .redactor
            .rules()
            .rule(structural_checks::UNREAD_MANIFEST);
        self.of_change && rule.is_some_and(|r| r.applies_to(&FileName::of(path)))
    }

    /// Keeps the file's head. On one line each: a name with a line break would be read as another file.
    fn keep_head(&mut self, head: &FileHead, shown: &Untrusted) {
        let name = clean_line(shown.raw(), 4_096);
        let old = head.old_path.as_ref().map_or_else(
            || name.clone(),
            |o| clean_line(&self.redactor.text(o.raw()), 4_096),
        );
        let word = match head.change {
            Change::Added => "new file\n",
            Change::Deleted => "deleted file\n",
            Change::Renamed => "renamed\n",
            Change::Copied => "copied\n",
            Change::Modified => "",
        };
        let binary = if head.binary { "binary\n" } else { "" };
        self.keep(&format!("diff --git a/{old} b/{name}\n{word}{binary}"));
    }

    fn note_odd_bytes(&mut self, raw: &Hunk, odd: &encoding::Odd, shown: &Untrusted) {
        for (id, index) in [
            ("hidden-text/nul-bytes", odd.nul),
            ("hidden-text/invalid-utf8", odd.invalid),
        ] {
            if let Some(index) = index {
                self.note(Noted {
                    line: Some(raw.lines[index].number),
                    ..Noted::file(id, shown)
                });
            }
        }
    }

    /// Letters that look like others, and ignores without a reason.
    fn note_disguises(&mut self, hunk: &Hunk, file: &ScannedFile) {
        if structural_checks::is_program_text(&file.raw) {
            let disguised = hunk.lines[hunk.repeated..].iter().find(|l| {
                l.side == Side::Added && structural_checks::has_compatibility_letter(&l.text)
            });
            if let Some(line) = disguised {
                self.note(Noted {
                    line: Some(line.number),
                    ..Noted::file("hidden-text/compatibility-character", &file.shown)
                });
            }
        }
        for index in file.ignores.without_reason() {
            self.note(Noted {
                line: Some(hunk.lines[index].number),
                ..Noted::file("governance/ignore-without-reason", &file.shown)
            });
        }
    }

    /// A check whose place a fixed answer takes.
    fn note_replaced_check(&mut self, hunk: &Hunk, file: &ScannedFile) {
        let looks = self.of_change
            && structural_checks::is_source(&file.raw)
            && !structural_checks::is_test(&file.raw);
        if let Some(line) = looks.then(|| replaced_checks::line(hunk)).flatten() {
            self.note(Noted {
                line: Some(line),
                ..Noted::file("security/check-made-constant", &file.shown)
            });
        }
    }

    /// A symbolic link that leads out of the repository.
    fn note_link(&mut self, hunk: &Hunk, head: &FileHead, shown: &Untrusted, redacted: &[String]) {
        let target = hunk.lines.iter().position(|l| l.side == Side::Added);
        if let Some(target) = target
            && let Some(noted) = structural_checks::link(head, shown, &redacted[target])
        {
            self.note(noted);
            if let Some(current) = &mut self.current {
                let why = "a symbolic link that leads out of the repository";
                current.reason.get_or_insert_with(|| why.to_owned());
            }
        }
    }

    /// Keeps the hunk's redacted lines.
    fn keep_hunk(&mut self, hunk: &Hunk, redacted: &[String]) {
        let until = hunk.lines.len() - hunk.held_back;
        let mut text = String::new();
        if hunk.repeated == 0 {
            // The first line of the new file; where all lines go, that of the old one.
            let new = hunk.lines.iter().find(|l| l.side != Side::Removed);
            if let Some(first) = new.or(hunk.lines.first()) {
                text.push_str(&format!("@@ line {} @@\n", first.number));
            }
        }
        for (line, shown) in hunk.lines[..until].iter().zip(redacted) {
            text.push(match line.side {
                Side::Added => '+',
                Side::Removed => '-',
                Side::Context => ' ',
            });
            text.push_str(shown);
            text.push('\n');
        }
        self.keep(&text);
    }
}

/// Why a file's content cannot be read; `None` where it can.
fn unread_as(head: &FileHead, image: bool) -> Option<String> {
    let submodule = Some(structural_checks::SUBMODULE);
    if head.binary && !image {
        Some("binary".to_owned())
    } else if head.modes.1 == submodule || head.modes.0 == submodule {
        Some("submodule".to_owned())
    } else {
        None
    }
}

fn count_lines(summary: &mut FileSummary, hunk: &Hunk) {
    for line in &hunk.lines[hunk.repeated..] {
        match line.side {
            Side::Added => summary.added += 1,
            Side::Removed => summary.removed += 1,
            Side::Context => {}
        }
        if line.side != Side::Removed {
            summary.last_line = summary.last_line.max(line.number);
        }
    }
}

/// The first lines of the file say that it is generated.
fn says_generated(hunk: &Hunk) -> bool {
    const HEAD_LINES: u32 = 5;
    let first_lines = hunk.lines.iter().take_while(|l| l.number <= HEAD_LINES);
    first_lines
        .take(10)
        .filter(|l| l.side != Side::Removed)
        .any(|l| structural_checks::says_generated(&l.text))
}
