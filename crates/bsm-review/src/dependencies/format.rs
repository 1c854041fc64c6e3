//! Forms of manifests and lock files, and which files have them.

use crate::dependencies::line_formats::{self, FORMATS};
use crate::dependencies::registry::Registry;

/// A kind of file that names dependencies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// `Cargo.lock`, `poetry.lock`, `uv.lock`, `pdm.lock`: `[[package]]` tables.
    TomlLock(Registry),
    /// `package-lock.json`, `npm-shrinkwrap.json`.
    NpmLock,
    /// `yarn.lock`, both forms.
    YarnLock,
    /// `pnpm-lock.yaml`.
    PnpmLock,
    /// `composer.lock`.
    ComposerLock,
    /// `Gemfile.lock`.
    GemLock,
    /// `go.sum`.
    GoSum,
    /// `go.mod`.
    GoMod,
    /// `requirements*.txt`.
    Requirements,
    /// `Cargo.toml`, `pyproject.toml`.
    TomlManifest(Registry),
    /// `package.json`.
    PackageJson,
    /// A place in [`line_formats::FORMATS`].
    ByLines(usize),
}

impl Format {
    pub(crate) fn of(path: &str) -> Option<Self> {
        let (folder, name) = path.rsplit_once('/').unwrap_or(("", path));
        let requirements = (name.ends_with(".txt") || name.ends_with(".in"))
            && (name.starts_with("requirements")
                || name.contains("-requirements.")
                || name.starts_with("constraints")
                || folder.rsplit('/').next() == Some("requirements"));
        Some(match name {
            "Cargo.lock" => Self::TomlLock(Registry::Crates),
            "poetry.lock" | "uv.lock" | "pdm.lock" => Self::TomlLock(Registry::PyPi),
            "package-lock.json" | "npm-shrinkwrap.json" => Self::NpmLock,
            "yarn.lock" => Self::YarnLock,
            "pnpm-lock.yaml" => Self::PnpmLock,
            "composer.lock" => Self::ComposerLock,
            "Gemfile.lock" | "gems.locked" => Self::GemLock,
            "go.sum" => Self::GoSum,
            "go.mod" => Self::GoMod,
            "Cargo.toml" => Self::TomlManifest(Registry::Crates),
            "pyproject.toml" => Self::TomlManifest(Registry::PyPi),
            "package.json" => Self::PackageJson,
            "go.work.sum" => Self::GoSum,
            _ if requirements => Self::Requirements,
            _ => return line_formats::of(path).map(Self::ByLines),
        })
    }

    pub(crate) fn is_lock(self) -> bool {
        if let Self::ByLines(format) = self {
            return FORMATS[format].is_lock;
        }
        !matches!(
            self,
            Self::GoMod | Self::Requirements | Self::TomlManifest(_) | Self::PackageJson
        )
    }

    /// Its entries have checksums as a rule, so that one that goes is worth a word.
    pub(crate) fn keeps_checksums(self) -> bool {
        matches!(
            self,
            Self::TomlLock(Registry::Crates) | Self::NpmLock | Self::YarnLock | Self::PnpmLock
        )
    }

    /// A name as this registry compares names.
    pub(crate) fn folded(self, name: &str) -> String {
        if self.registry() == Registry::PyPi {
            name.to_ascii_lowercase().replace(['_', '.'], "-")
        } else {
            name.to_owned()
        }
    }

    pub(crate) fn registry(self) -> Registry {
        match self {
            Self::TomlLock(registry) | Self::TomlManifest(registry) => registry,
            Self::NpmLock | Self::YarnLock | Self::PnpmLock | Self::PackageJson => Registry::Npm,
            Self::Requirements => Registry::PyPi,
            Self::ByLines(format) => FORMATS[format].registry,
            Self::ComposerLock | Self::GemLock | Self::GoSum | Self::GoMod => Registry::Other,
        }
    }
}
