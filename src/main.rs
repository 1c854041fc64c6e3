//! `bsm`: parse, run, exit code.

use std::process::ExitCode;

use clap::Parser as _;

fn main() -> ExitCode {
    bsm::cli::prepare_process();
    let arguments = match bsm::cli::Cli::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // clap prints help to stdout and mistakes to stderr; both leave with its own code (0 or 2).
            let code = u8::try_from(error.exit_code()).unwrap_or(2);
            // A help text that could not be printed is a failure, a reader that went away is none.
            let lost = error
                .print()
                .is_err_and(|e| e.kind() != std::io::ErrorKind::BrokenPipe);
            return ExitCode::from(if lost { 1 } else { code });
        }
    };
    bsm::cli::run(arguments)
}
