//! Where findings are written for other tools: files, or standard output in one form at a time.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::cli::failure::Failure;
use crate::cli::output::say;
use crate::engine::exporters::{self, Export};
use crate::engine::protocol::run::RunResult;
use crate::engine::runs::report;
use crate::text::json_pretty;

/// Forms of the result for other tools.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "For other tools")]
pub(super) struct Forms {
    /// Write the findings as SARIF 2.1.0 (- for standard output)
    #[arg(long, value_name = "FILE")]
    sarif: Option<PathBuf>,
    /// Write the findings as reviewdog's diagnostics, one JSON object a line
    #[arg(long, value_name = "FILE")]
    rdjsonl: Option<PathBuf>,
    /// Write the findings as GitLab's Code Quality report
    #[arg(long, value_name = "FILE")]
    code_quality: Option<PathBuf>,
    /// Write the findings as a JUnit XML report
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Print GitHub's annotations instead of the result
    #[arg(long, conflicts_with = "json")]
    annotations: bool,
}

/// The report for people, beside the forms.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "For other tools")]
pub(super) struct Report {
    /// Write the report in Markdown
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
}

impl Report {
    /// The file that it is written into, where that is one.
    pub(super) fn file(&self) -> Option<&Path> {
        self.markdown.as_deref().filter(|path| !is_output(path))
    }
}

impl Forms {
    /// Refuses two forms on one standard output: a reader of either could read neither.
    pub(super) fn check(&self, json: bool, report: &Report) -> Result<(), Failure> {
        let to_output = self.files(report).filter(|path| is_output(path)).count();
        if to_output + usize::from(json) + usize::from(self.annotations) > 1 {
            return Err(Failure::usage(
                "two forms cannot both go to standard output",
                "Give all but one of them a file.",
            ));
        }
        Ok(())
    }

    /// Writes a run in the forms that were asked for; true when one of them takes the place of the printed
    /// result.
    pub(super) fn write(&self, run: &RunResult, report: &Report) -> Result<bool, Failure> {
        if let Some(path) = &report.markdown {
            write(path, &report::render(run))?;
        }
        let printed = self.write_export(&Export::of_run(run))?;
        Ok(printed || report.markdown.as_deref().is_some_and(is_output))
    }

    /// The same of a run that a gate gave another exit code.
    pub(super) fn write_gated(
        &self,
        run: &RunResult,
        report: &Report,
        exit_code: u8,
    ) -> Result<(), Failure> {
        if let Some(path) = &report.markdown {
            write(path, &report::render(run))?;
        }
        let export = Export {
            exit_code,
            ..Export::of_run(run)
        };
        self.write_export(&export).map(drop)
    }

    /// True when one of them goes to standard output.
    pub(super) fn take_output(&self, report: &Report) -> bool {
        self.annotations || self.files(report).any(is_output)
    }

    /// Files that something is written into.
    fn files<'a>(&'a self, report: &'a Report) -> impl Iterator<Item = &'a Path> {
        [
            &self.sarif,
            &self.rdjsonl,
            &self.code_quality,
            &self.junit,
            &report.markdown,
        ]
        .into_iter()
        .flatten()
        .map(PathBuf::as_path)
    }

    /// The same of anything that has findings.
    pub(super) fn write_export(&self, export: &Export<'_>) -> Result<bool, Failure> {
        if let Some(path) = &self.sarif {
            let text = json_pretty(&exporters::sarif(export)).map_err(Failure::engine)?;
            write(path, &format!("{text}\n"))?;
        }
        if let Some(path) = &self.rdjsonl {
            write(path, &exporters::rdjsonl(export).map_err(Failure::engine)?)?;
        }
        if let Some(path) = &self.code_quality {
            let text = json_pretty(&exporters::code_quality(export)).map_err(Failure::engine)?;
            write(path, &format!("{text}\n"))?;
        }
        if let Some(path) = &self.junit {
            write(path, &exporters::junit(export))?;
        }
        if self.annotations {
            say(exporters::annotations(export).trim_end());
        }
        let files = [&self.sarif, &self.rdjsonl, &self.code_quality, &self.junit];
        let printed = files.into_iter().flatten().any(|p| is_output(p));
        Ok(self.annotations || printed)
    }
}

fn is_output(path: &Path) -> bool {
    path.as_os_str() == "-"
}

fn write(path: &Path, text: &str) -> Result<(), Failure> {
    use std::os::unix::fs::PermissionsExt as _;
    let fail = |e: std::io::Error| {
        Failure::usage(
            format!("{}: {e}", crate::cli::context::shown(path)),
            "Name a file that can be written.",
        )
    };
    if is_output(path) {
        say(text.trim_end());
        return Ok(());
    }
    let new = !path.exists();
    std::fs::write(path, text).map_err(fail)?;
    if new && path.is_file() {
        // It is meant for others; the process' own files are private.
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o644)).map_err(fail)?;
    }
    Ok(())
}
