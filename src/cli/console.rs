//! `bsm`, `bsm console`: placeholder until the console lands in the next step.
use super::{Failure, Global};
pub(super) fn run(_global: &Global) -> Result<u8, Failure> {
    Err(Failure::engine("no console yet"))
}
