//! The two ways to write a value.

/// Which values are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// Between quotes.
    Quoted,
    /// Without quotes, in files of settings.
    Bare,
}
