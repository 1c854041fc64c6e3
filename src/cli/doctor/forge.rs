//! `bsm doctor --forge`: what is missing at GitHub, as lines.

use super::report::Line;
use crate::cli::context::runtime;
use crate::cli::failure::Failure;
use crate::engine::code_host::setup_checks::checks;
use crate::outbound::egress::system_lookup;
use crate::settings::Settings;
use crate::settings::env::Env;

/// Asks GitHub, as the settings say.
pub(super) fn lines(settings: &Settings, env: &Env) -> Result<Vec<Line>, Failure> {
    let found = runtime()?.block_on(checks(settings, env, &system_lookup()));
    let lines = found
        .iter()
        .map(|c| Line::new(c.level, &c.name, &c.sentence, c.help.as_deref()));
    Ok(lines.collect())
}
