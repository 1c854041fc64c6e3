//! Manifests and lock files whose lines say by themselves what they name: each format is a few patterns.
//!
//! Why patterns: a hunk is a piece of a file, and these formats have a line or a few a dependency. What a group of a
//! pattern is called says what it is: `name` (and before it `group`) begins a dependency, `version`, `source`, `git`,
//! `rev`, `path` and `sum` belong to the last one; between `skip` and `resume` nothing is read.

use crate::dependencies::registry::Registry;

/// A format of a manifest or lock file.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct LineFormat {
    /// Names of files, in lower case.
    names: &'static [&'static str],
    /// Endings of such names.
    endings: &'static [&'static str],
    pub(crate) registry: Registry,
    /// It holds what was chosen, not what is asked for.
    pub(crate) is_lock: bool,
    /// A name alone is no dependency: a version or a source must follow.
    pub(super) needs_body: bool,
    /// All that is said of a dependency stands on its line.
    pub(super) one_line: bool,
    /// What stands where names do and is none.
    pub(super) no_names: &'static [&'static str],
    pub(super) patterns: &'static [&'static str],
}

const MANIFEST: LineFormat = LineFormat {
    names: &[],
    endings: &[],
    registry: Registry::Other,
    is_lock: false,
    needs_body: false,
    one_line: false,
    no_names: &[],
    patterns: &[],
};

const LOCK: LineFormat = LineFormat {
    is_lock: true,
    ..MANIFEST
};

/// All formats.
pub(crate) const FORMATS: &[LineFormat] = &[
    LineFormat {
        names: &["pom.xml"],
        patterns: &[
            r"<(?P<skip>exclusion)>",
            r"</(?P<resume>exclusion)>",
            r"<groupId>(?P<group>[^<]+)</groupId>\s*<artifactId>(?P<name>[^<]+)</artifactId>(?:\s*<version>(?P<version>[^<]+)</version>)?",
            // The project's own coordinates stand less deep.
            r"^(?:\t{2,}| {5,})\s*<groupId>(?P<group>[^<]+)</groupId>",
            r"^(?:\t{2,}| {5,})\s*<artifactId>(?P<name>[^<]+)</artifactId>",
            r"^(?:\t{2,}| {5,})\s*<version>(?P<version>[^<]+)</version>",
            r"^\s*<(?P<name>[\w.-]+[.-]version)>(?P<version>[^<$]+)</",
        ],
        ..MANIFEST
    },
    LineFormat {
        names: &[],
        endings: &[".gradle", ".gradle.kts"],
        patterns: &[
            r#"(?:^|[^\w.])(?:\w*[iI]mplementation|\w*[aA]pi|\w*[cC]ompile(?:Only|Classpath)?|\w*[rR]untime(?:Only)?|kapt\w*|ksp\w*|\w*[aA]nnotationProcessor|classpath|provided\w*|platform|enforcedPlatform|developmentOnly|detektPlugins|coreLibraryDesugaring)\s*\(?\s*["'](?P<name>[\w.-]+:[\w.-]+)(?::(?P<version>[^"':@]+))?"#,
            r#"^\s*id\s*\(?\s*["'](?P<name>[\w.-]+)["']\s*\)?\s*version\s*\(?\s*["'](?P<version>[^"']+)"#,
            r#"group\s*[:=]\s*["'](?P<group>[\w.-]+)["']\s*,\s*name\s*[:=]\s*["'](?P<name>[\w.-]+)["'](?:\s*,\s*version\s*[:=]\s*["'](?P<version>[^"']+))?"#,
        ],
        ..MANIFEST
    },
    LineFormat {
        names: &["gradle.lockfile", "buildscript-gradle.lockfile"],
        patterns: &[r"^(?P<name>[\w.-]+:[\w.-]+):(?P<version>[^=:]+)="],
        ..LOCK
    },
    LineFormat {
        names: &[],
        endings: &[".versions.toml"],
        patterns: &[
            r#"\bmodule\s*=\s*"(?P<name>[\w.-]+:[\w.-]+)""#,
            r#"=\s*"(?P<name>[\w.-]+:[\w.-]+):(?P<version>[\w.+-]+)""#,
            r#"\bgroup\s*=\s*"(?P<group>[\w.-]+)"\s*,\s*name\s*=\s*"(?P<name>[\w.-]+)""#,
            r#"\bid\s*=\s*"(?P<name>[\w.-]+)""#,
            r#"[{,]\s*version\s*=\s*"(?P<version>[^"]+)""#,
            r#"^(?P<name>[\w-]+)\s*=\s*"(?P<version>\d[\w.+-]*)""#,
        ],
        ..MANIFEST
    },
    LineFormat {
        names: &["directory.packages.props", "directory.build.props"],
        endings: &[".csproj", ".fsproj", ".vbproj"],
        patterns: &[
            r#"<(?:PackageReference|PackageVersion|GlobalPackageReference|DotNetCliToolReference)\s[^>]*\b(?:Include|Update)="(?P<name>[^"]+)""#,
            r#"<Package\w+\s[^>]*\bVersion(?:Override)?="(?P<version>[^"]+)""#,
            r"^(?:\t{3,}| {6,})<Version>(?P<version>[^<]+)</Version>",
        ],
        ..MANIFEST
    },
    LineFormat {
        names: &["packages.config"],
        patterns: &[r#"<package\s+id="(?P<name>[^"]+)"\s+version="(?P<version>[^"]+)""#],
        ..MANIFEST
    },
    LineFormat {
        names: &["packages.lock.json"],
        needs_body: true,
        patterns: &[
            r#"^ {6}"(?P<name>[A-Za-z][\w.-]+)":\s*\{"#,
            r#""resolved":\s*"(?P<version>[^"]+)""#,
            r#""contentHash":\s*"(?P<sum>[^"]+)""#,
        ],
        ..LOCK
    },
    LineFormat {
        names: &["paket.dependencies"],
        patterns: &[r"^\s*nuget\s+(?P<name>\S+)(?:\s+(?P<version>[~><=]*\s*\d\S*))?"],
        ..MANIFEST
    },
    LineFormat {
        names: &["paket.lock"],
        patterns: &[r"^ {4}(?P<name>[\w.]+) \((?P<version>\d[^)]*)\)"],
        ..LOCK
    },
    LineFormat {
        names: &["pipfile"],
        registry: Registry::PyPi,
        no_names: &["python_version", "python_full_version"],
        patterns: &[
            r#"^["']?(?P<name>[A-Za-z][\w.-]*)["']?\s*=\s*["'](?P<version>[*=<>~!^\d][^"']*)["']"#,
            r#"^["']?(?P<name>[A-Za-z][\w.-]*)["']?\s*=\s*\{"#,
            r#"[{,]\s*version\s*=\s*["'](?P<version>[^"']+)["']"#,
            r#"[{,]\s*git\s*=\s*["'](?P<git>[^"']+)["']"#,
            r#"[{,]\s*(?:ref|rev)\s*=\s*["'](?P<rev>[^"']+)["']"#,
            r#"[{,]\s*(?:file|url)\s*=\s*["'](?P<source>[^"']+)["']"#,
            r#"[{,]\s*path\s*=\s*["'](?P<path>[^"']+)["']"#,
        ],
        ..MANIFEST
    },
    LineFormat {
        names: &["pipfile.lock"],
        registry: Registry::PyPi,
        needs_body: true,
        patterns: &[
            r#"^\s{8}"(?P<name>[A-Za-z][\w.-]*)":\s*\{"#,
            r#""version":\s*"(?:==)?(?P<version>[^"]+)""#,
            r#""git":\s*"(?P<git>[^"]+)""#,
            r#""ref":\s*"(?P<rev>[^"]+)""#,
            r#""file":\s*"(?P<source>[^"]+)""#,
        ],
        ..LOCK
    },
    LineFormat {
        names: &["setup.py", "setup.cfg"],
        registry: Registry::PyPi,
        patterns: &[
            // A requirement alone on its line, or several in quotes.
            r"^\s{2,}(?P<name>[A-Za-z][\w.-]*)(?:\[[\w, -]*\])?\s*(?P<version>(?:[=<>~!]=|[<>])\s*\d[^;#]*)?(?:;.*)?$",
            r#"["'](?P<name>[A-Za-z][\w.-]*)(?:\[[\w, -]*\])?\s*(?P<version>(?:[=<>~!]=|[<>])\s*\d[^"';]*)[^"']*["']"#,
            r#"^\s*["'](?P<name>[A-Za-z][\w.-]*)(?:\[[\w, -]*\])?["'],?\s*$"#,
            r#"(?P<name>[A-Za-z][\w.-]*)\s*@\s*git\+(?P<git>[^"'@\s]+)(?:@(?P<rev>[^"'\s#]+))?"#,
        ],
        ..MANIFEST
    },
    LineFormat {
        names: &["environment.yml", "environment.yaml"],
        registry: Registry::PyPi,
        no_names: &[
            "conda-forge",
            "defaults",
            "nodefaults",
            "bioconda",
            "pytorch",
            "nvidia",
        ],
        patterns: &[
            r"^\s*-\s+(?:[\w.-]+::)?(?P<name>[A-Za-z][\w.-]*)(?:\[[\w, -]*\])?\s*(?P<version>[=<>~!][^\s#]*)?\s*(?:#.*)?$",
        ],
        ..MANIFEST
    },
    LineFormat {
        names: &["conda-lock.yml", "conda-lock.yaml"],
        needs_body: true,
        patterns: &[
            r"^- name:\s*(?P<name>\S+)",
            r#"^  version:\s*["']?(?P<version>[^"'\s]+)"#,
            r"^  url:\s*(?P<source>\S+)",
            r"^    (?:sha256|md5):\s*(?P<sum>\w+)",
        ],
        ..LOCK
    },
    LineFormat {
        names: &["gemfile", "gems.rb"],
        one_line: true,
        patterns: &[
            r#"^\s*gem\s*\(?\s*["'](?P<name>[^"']+)["'](?:\s*,\s*["'](?P<version>[^"']+)["'])?"#,
            r#"\bgit(?::|"\s*=>|'\s*=>|\s*=>)\s*["'](?P<git>[^"']+)["']"#,
            r#"\bgithub:\s*["'](?P<github>[\w.-]+/[\w.-]+)["']"#,
            r#"\b(?:ref|tag|branch):\s*["'](?P<rev>[^"']+)["']"#,
            r#"\bpath:\s*["'](?P<path>[^"']+)["']"#,
        ],
        ..MANIFEST
    },
    LineFormat {
        names: &[],
        endings: &[".gemspec", ".podspec"],
        patterns: &[
            r#"\.(?:add_(?:runtime_|development_)?)?dependency\s*\(?\s*["'](?P<name>[^"']+)["'](?:\s*,\s*["'](?P<version>[^"']+)["'])?"#,
        ],
        ..MANIFEST
    },
    LineFormat {
        names: &["composer.json"],
        patterns: &[r#"^\s*"(?P<name>[a-z0-9_.-]+/[a-z0-9_.-]+)":\s*"(?P<version>[^"]+)""#],
        ..MANIFEST
    },
    LineFormat {
        names: &["elm.json"],
        patterns: &[r#"^\s*"(?P<name>[a-z0-9-]+/[a-z0-9-]+)":\s*"(?P<version>\d[^"]*)""#],
        ..MANIFEST
    },
    LineFormat {
        names: &["mix.exs"],
        patterns: &[
            r#"\{\s*:(?P<name>\w+)\s*,\s*(?:"(?P<version>[^"]+)"|\w+:)"#,
            r#"\bgit:\s*"(?P<git>[^"]+)""#,
            r#"\bgithub:\s*"(?P<github>[^"]+)""#,
            r#"\b(?:ref|tag|branch):\s*"(?P<rev>[^"]+)""#,
            r#"\bpath:\s*"(?P<path>[^"]+)""#,
        ],
        ..MANIFEST
    },
    LineFormat {
        names: &["mix.lock"],
        patterns: &[
            r#"^\s*"(?P<name>\w+)":\s*\{:hex,\s*:\w+,\s*"(?P<version>[^"]+)",\s*"(?P<sum>[0-9a-f]+)""#,
            r#"^\s*"(?P<name>\w+)":\s*\{:git,\s*"(?P<git>[^"]+)",\s*"(?P<rev>[^"]+)""#,
        ],
        ..LOCK
    },
    LineFormat {
        names: &["rebar.config"],
        patterns: &[
            r#"\{(?P<name>\w+),\s*"(?P<version>[^"]+)"\}"#,
            r#"\{(?P<name>\w+),\s*\{git,\s*"(?P<git>[^"]+)"(?:,\s*(?:\{\w+,\s*)?"(?P<rev>[^"]+)")?"#,
        ],
        ..MANIFEST
    },
    LineFormat {
        names: &["rebar.lock"],
        patterns: &[
            r#"\{<<"(?P<name>\w+)">>,\{pkg,<<"\w+">>,<<"(?P<version>[^"]+)">>"#,
            r#"\{<<"(?P<name>\w+)">>,\s*\{git,"(?P<git>[^"]+)""#,
            r#"\{ref,"(?P<rev>[^"]+)"\}"#,
        ],
        ..LOCK
    },
    LineFormat {
        names: &["pubspec.yaml"],
        no_names: &["sdk", "flutter", "assets", "fonts", "uses-material-design"],
        patterns: &[
            r#"^  (?P<name>[a-z]\w*):\s*["']?(?P<version>[\^<>=]*\s*\d[^"'#]*|any)["']?\s*(?:#.*)?$"#,
            r"^  (?P<name>[a-z]\w*):\s*$",
            r"^ {4,}(?:git|url):\s*(?P<git>\S+://\S+|git@\S+)",
            r"^ {4,}ref:\s*(?P<rev>\S+)",
            r"^ {4,}path:\s*(?P<path>\S+)",
            r#"^ {4,}version:\s*["']?(?P<version>[^"']+)"#,
        ],
        needs_body: true,
        ..MANIFEST
    },
    LineFormat {
        names: &["pubspec.lock"],
        needs_body: true,
        patterns: &[
            r"^  (?P<name>\w+):$",
            r#"^    version:\s*"(?P<version>[^"]+)""#,
            r#"^ {6,}url:\s*"(?P<source>[^"]+)""#,
            r#"^ {6,}sha256:\s*"?(?P<sum>\w+)"#,
        ],
        ..LOCK
    },
    LineFormat {
        names: &["podfile"],
        one_line: true,
        patterns: &[
            r#"^\s*pod\s+["'](?P<name>[^"']+)["'](?:\s*,\s*["'](?P<version>[^"']+)["'])?"#,
            r#":git\s*=>\s*["'](?P<git>[^"']+)["']"#,
            r#":(?:tag|commit|branch)\s*=>\s*["'](?P<rev>[^"']+)["']"#,
            r#":path\s*=>\s*["'](?P<path>[^"']+)["']"#,
        ],
        ..MANIFEST
    },
    LineFormat {
        names: &["podfile.lock"],
        patterns: &[r#"^  - "?(?P<name>[\w+/.-]+) \((?P<version>\d[^)]*)\)"#],
        ..LOCK
    },
    LineFormat {
        names: &["cartfile", "cartfile.resolved"],
        patterns: &[
            r#"^\s*(?:github|git|binary)\s+"(?P<name>[^"]+)"\s*(?P<version>[~>=]*\s*"?\d\S*|"[^"]+")?"#,
        ],
        ..MANIFEST
    },
    LineFormat {
        names: &["package.swift"],
        patterns: &[
            r#"\burl:\s*"(?P<name>[^"]+)""#,
            r#"\b(?:from|exact):\s*"(?P<version>[^"]+)"|\.exact\("(?P<rev>[^"]+)""#,
            r#"\b(?:branch|revision):\s*"(?P<rev>[^"]+)"|\.(?:branch|revision)\("(?P<version>[^"]+)""#,
            r#"\bpath:\s*"(?P<path>[^"]+)""#,
        ],
        ..MANIFEST
    },
    LineFormat {
        names: &["package.resolved"],
        needs_body: true,
        patterns: &[
            r#""(?:identity|package)"\s*:\s*"(?P<name>[^"]+)""#,
            r#""(?:location|repositoryURL)"\s*:\s*"(?P<git>[^"]+)""#,
            r#""revision"\s*:\s*"(?P<rev>[^"]+)""#,
            r#""version"\s*:\s*"(?P<version>[^"]+)""#,
        ],
        ..LOCK
    },
    LineFormat {
        names: &["bun.lock"],
        registry: Registry::Npm,
        patterns: &[
            r#"^\s*"[^"]+":\s*\["(?P<name>@?[^@"]+)@(?P<version>[^"]+)""#,
            r#""(?P<sum>sha512-[^"]+)""#,
        ],
        ..LOCK
    },
    LineFormat {
        names: &["deno.json", "deno.jsonc", "import_map.json"],
        registry: Registry::Npm,
        no_names: &["$schema"],
        patterns: &[
            r#"^\s*"[^"]+":\s*"(?:npm|jsr):/?(?P<name>@?[^@"]+)(?:@(?P<version>[^"/]+))?"#,
            r#"^\s*"(?P<name>[^"]+)":\s*"(?P<source>https?://[^"]+)""#,
        ],
        ..MANIFEST
    },
    LineFormat {
        names: &["deno.lock"],
        registry: Registry::Npm,
        needs_body: true,
        patterns: &[
            r#"^\s*"(?P<name>@?[^@":]+)@(?P<version>\d[^"_]*)[^"]*":\s*\{"#,
            r#""integrity":\s*"(?P<sum>[^"]+)""#,
            r#"^\s*"(?P<name>https?://[^"]+)":\s*"(?P<sum>[0-9a-f]{64})""#,
        ],
        ..LOCK
    },
    LineFormat {
        names: &[
            "chart.yaml",
            "chart.lock",
            "requirements.yaml",
            "requirements.lock",
        ],
        needs_body: true,
        patterns: &[
            r#"^\s*(?:-\s+|\s{2,})name:\s*["']?(?P<name>[^"'\s]+)"#,
            r#"^\s*(?:-\s+|\s{2,})version:\s*["']?(?P<version>[^"']+)"#,
            r#"^\s*(?:-\s+|\s{2,})repository:\s*["']?(?P<source>[^"'\s]+)"#,
        ],
        ..MANIFEST
    },
    LineFormat {
        names: &["module.bazel"],
        patterns: &[
            r#"\bbazel_dep\(\s*name\s*=\s*"(?P<name>[^"]+)"(?:\s*,\s*version\s*=\s*"(?P<version>[^"]+)")?"#,
        ],
        ..MANIFEST
    },
    LineFormat {
        names: &["build.sbt", "plugins.sbt"],
        patterns: &[
            r#""(?P<group>[\w.-]+)"\s*%{1,3}\s*"(?P<name>[\w.-]+)"\s*%\s*"(?P<version>[^"]+)""#,
        ],
        ..MANIFEST
    },
    LineFormat {
        names: &["project.clj"],
        patterns: &[r#"\[(?P<name>[\w.-]+(?:/[\w.-]+)?)\s+"(?P<version>[^"]+)""#],
        ..MANIFEST
    },
    LineFormat {
        names: &["deps.edn"],
        patterns: &[
            r"(?P<name>[\w.-]+/[\w.-]+)\s+\{",
            r#":mvn/version\s+"(?P<version>[^"]+)""#,
            r#":git/url\s+"(?P<git>[^"]+)""#,
            r#":(?:git/)?(?:sha|tag)\s+"(?P<rev>[^"]+)""#,
        ],
        ..MANIFEST
    },
    LineFormat {
        names: &["conanfile.txt"],
        patterns: &[r"^(?P<name>[a-z0-9][\w.+-]*)/(?P<version>[\w.\[\]<>=-]+)"],
        ..MANIFEST
    },
];

/// The format of a file, as its place in [`FORMATS`].
pub(crate) fn of(path: &str) -> Option<usize> {
    let name = path.rsplit('/').next().unwrap_or(path).to_ascii_lowercase();
    FORMATS.iter().position(|format| {
        format.names.contains(&name.as_str())
            || format.endings.iter().any(|ending| name.ends_with(ending))
    })
}
