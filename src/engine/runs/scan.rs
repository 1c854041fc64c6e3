//! The rules over what a run is about: a diff, a range of commits, a folder or a sample. Blocking; nothing
//! here is kept, and nothing knows of runs.

use std::io::{BufRead, BufReader, Seek as _};

use crate::engine::protocol::blob::DiffContent;
use crate::engine::protocol::command::{LinterReport, Refused, Subject};
use crate::engine::protocol::identity::RunIdentity;
use crate::engine::runs::range_scan;
use crate::engine::runs::scan_request::{ScanOutcome, ScanRequest, finish, of_folder, refusal};
use crate::review::diff::parse;
use crate::review::folder;
use crate::review::scan::{Scanned, Scanner};
use crate::text::Untrusted;
use crate::workspace::built_in;

/// Runs the rules over the subject. Blocking: on a thread of its own.
///
/// # Errors
/// The subject cannot be read, or `cancelled` said so.
pub fn scan(
    subject: Option<Subject>,
    request: &ScanRequest<'_>,
    cancelled: &dyn Fn() -> bool,
) -> Result<ScanOutcome, Refused> {
    let scanner = || request.scanner(cancelled);
    let of_diff = |reader: &mut dyn BufRead| scan_diff(reader, scanner(), request.linters);
    match subject {
        None => Ok(ScanOutcome::default()),
        Some(Subject::Diff { diff }) => match diff {
            DiffContent::Bytes(bytes) => of_diff(&mut bytes.0.as_slice()),
            DiffContent::File(file) => {
                let mut file = &*file;
                file.rewind().map_err(Refused::input)?;
                of_diff(&mut BufReader::with_capacity(64 * 1024, file))
            }
        },
        Some(Subject::Sample { name }) => {
            let text = built_in::SAMPLES
                .iter()
                .find(|(n, _)| *n == name)
                .ok_or_else(|| Refused::not_found("sample", &name))?
                .1;
            let outcome = of_diff(&mut text.as_bytes())?;
            let identity = RunIdentity {
                title: Some(Untrusted::new(format!("sample {name}"))),
                ..RunIdentity::default()
            };
            Ok(ScanOutcome {
                identity: Some(identity),
                ..outcome
            })
        }
        Some(Subject::Range { repo, range }) => range_scan::scan(&repo, &range, request, cancelled),
        Some(Subject::Folder { dir }) => {
            if !dir.is_dir() {
                return Err(Refused::input(format!("{}: no such folder", dir.display())));
            }
            let scanned = folder::scan(&dir, scanner()).map_err(Refused::input)?;
            // A listing of files is no diff to show to a model; findings and coverage are.
            Ok(ScanOutcome {
                scanned: Scanned {
                    redacted: String::new(),
                    not_kept: Vec::new(),
                    ..scanned
                },
                identity: Some(of_folder(&dir, request.redactor)),
                ..ScanOutcome::default()
            })
        }
    }
}

fn scan_diff(
    reader: &mut dyn BufRead,
    mut scanner: Scanner<'_>,
    linters: &[LinterReport],
) -> Result<ScanOutcome, Refused> {
    let files = parse(reader, &mut scanner).map_err(refusal)?;
    finish(scanner, files, linters)
}
