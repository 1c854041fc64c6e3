//! Printing, to a reader who may have left.

use std::io::{ErrorKind, Write as _};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

/// Prints a line to stdout. A reader that went away (`| head`) is no failure, the command goes on to its
/// own exit code; anything else (a full disk) is said and ends with 1.
pub(crate) fn say(text: impl std::fmt::Display) {
    match writeln!(std::io::stdout(), "{text}") {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            note(format!("bsm: cannot write the output: {error}"));
            std::process::exit(1);
        }
        _ => {}
    }
}

/// Prints a line to stderr. Where nobody reads it there is nobody to tell.
pub(crate) fn note(text: impl std::fmt::Display) {
    let _ = writeln!(std::io::stderr(), "{text}");
}

/// Prints part of a line to stderr.
pub(crate) fn note_part(text: impl std::fmt::Display) {
    let mut stderr = std::io::stderr();
    let _ = write!(stderr, "{text}").and_then(|()| stderr.flush());
}

/// The reader of stdout has left: a command that would go on for ever ends.
pub(crate) fn reader_left() -> bool {
    let stdout = rustix::stdio::stdout();
    let mut fds = [PollFd::new(&stdout, PollFlags::empty())];
    let at_once = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    poll(&mut fds, Some(&at_once)).is_ok() && fds[0].revents().contains(PollFlags::ERR)
}
