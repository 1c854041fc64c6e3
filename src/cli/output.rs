//! Printing, to a reader who may have left.

/// Prints a line to stdout. A reader that went away (`| head`) is no failure, the command goes on to its
/// own exit code; anything else (a full disk) is said and ends with 1.
pub(crate) fn say(text: impl std::fmt::Display) {
    use std::io::Write as _;
    match writeln!(std::io::stdout(), "{text}") {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            eprintln!("bsm: cannot write the output: {error}");
            std::process::exit(1);
        }
        _ => {}
    }
}
