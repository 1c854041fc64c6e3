//! The registries that packages come from.

/// Where packages of a format come from, as far as their names are known here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Registry {
    Crates,
    Npm,
    PyPi,
    Other,
}
