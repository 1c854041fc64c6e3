//! Hunks as real tools write them: what is said of each, and what is not.

use super::super::diff::Line;
use super::*;

/// Ids of the remarks about a hunk of `file`, without their pack, sorted.
fn said(file: &str, hunk: &str) -> String {
    let mut dependencies = Dependencies::of(file).unwrap();
    let lines = hunk.trim_start_matches('\n').lines().enumerate();
    dependencies.hunk(&Hunk {
        lines: lines
            .map(|(n, text)| Line {
                side: match text.as_bytes().first() {
                    Some(b'+') => Side::Added,
                    Some(b'-') => Side::Removed,
                    _ => Side::Context,
                },
                number: n as u32 + 1,
                text: text.get(1..).unwrap_or_default().as_bytes().to_vec(),
            })
            .collect(),
        repeated: 0,
        held_back: 0,
    });
    let remarks = dependencies.remarks(&Untrusted::from(file));
    let mut ids: Vec<&str> = remarks
        .iter()
        .map(|r| r.id.split('/').next_back().unwrap())
        .collect();
    ids.sort_unstable();
    ids.dedup();
    ids.join(" ")
}

#[test]
fn what_reaches_a_project_by_another_door_is_seen() {
    for (file, hunk, wanted) in [
        (
            "Cargo.toml",
            " [patch.crates-io]\n+serde = { git = \"https://e.example/serde\" }",
            "moving-source new-dependency",
        ),
        (
            "Cargo.toml",
            "+evil.git = \"https://e.example/x\"",
            "moving-source new-dependency",
        ),
        (
            "Cargo.toml",
            " [features]\n x = []\n [target.'cfg(target_os = \"linux\")'.dependencies]\n+evil = \"1\"",
            "new-dependency",
        ),
        (
            "Cargo.toml",
            " [dependencies]\n+serde = { package = \"serdee\", version = \"1\" }",
            "look-alike-name new-dependency",
        ),
        (
            "package.json",
            "   \"dependencies\": {\n+    \"lodash\": \"npm:evil@1\",",
            "new-dependency",
        ),
        (
            "package.json",
            "   \"dependencies\": {\n+    \"x\": \"owner/repo\",",
            "moving-source new-dependency",
        ),
        (
            "package.json",
            "   \"dependencies\": {\n+    \"x\": \"\",",
            "any-version new-dependency",
        ),
        (
            "package.json",
            "   \"overrides\": {\n+    \"x\": \"2.0.0\",",
            "new-dependency",
        ),
        (
            "package.json",
            "+  \"dependencies\": {\"a\": \"1.0.0\", \"b\": \"https://e.example/b.tgz\"},",
            "address-source new-dependency",
        ),
        (
            "go.mod",
            " replace (\n+\texample.com/a => example.com/b v1.0.1\n )",
            "git-source new-dependency",
        ),
        (
            "pyproject.toml",
            " [project]\n+dependencies = [\"flask>=3\", \"evil\"]",
            "any-version new-dependency",
        ),
        (
            "pyproject.toml",
            " [build-system]\n+requires = [\"evil==1\"]",
            "new-dependency",
        ),
        (
            "pyproject.toml",
            " dependencies = [\n+    \"reqeusts\",\n ]",
            "any-version look-alike-name new-dependency",
        ),
        ("requirements/prod.txt", "+evil==1", "new-dependency"),
        (
            "requirements.txt",
            "+evil@https://e.example/x.whl",
            "address-source new-dependency",
        ),
        (
            "package-lock.json",
            "   \"dependencies\": {\n     \"left-pad\": {\n       \"version\": \"1.3.0\",\n-      \"resolved\": \"https://registry.npmjs.org/left-pad/-/left-pad-1.3.0.tgz\",\n-      \"integrity\": \"sha512-aaaa\"\n+      \"resolved\": \"https://e.example/left-pad/-/left-pad-1.3.0.tgz\",\n+      \"integrity\": \"sha512-bbbb\"\n     },",
            "address-source checksum-changed source-changed",
        ),
        (
            "pnpm-lock.yaml",
            "+  /evil/1.0.0:\n+    resolution: {integrity: sha512-aa}",
            "new-package",
        ),
        (
            "poetry.lock",
            " [[package]]\n name = \"a\"\n version = \"1.0\"\n+\n+[package.source]\n+type = \"git\"\n+url = \"https://e.example/a\"",
            "moving-source",
        ),
        (
            "poetry.lock",
            "-    {file = \"a-1.0.whl\", hash = \"sha256:aaaa\"},\n+    {file = \"a-1.0.whl\", hash = \"sha256:bbbb\"},",
            "checksum-changed",
        ),
        (
            "uv.lock",
            "-    { url = \"https://files.pythonhosted.org/a/a-1.0.whl\", hash = \"sha256:aaaa\", size = 1 },\n+    { url = \"https://e.example/a/a-1.0.whl\", hash = \"sha256:aaaa\", size = 1 },",
            "address-source source-changed",
        ),
        (
            "go.sum",
            "-example.com/a v1.0.0/go.mod h1:aaaa=\n+example.com/a v1.0.0/go.mod h1:bbbb=",
            "checksum-changed",
        ),
        (
            "Gemfile.lock",
            "+GIT\n+  remote: https://e.example/a.git\n+  revision: 0123456789abcdef\n+  specs:\n+    a (1.0)",
            "git-source new-package",
        ),
        (
            "composer.lock",
            "             \"name\": \"a/b\",\n             \"version\": \"1.0\",\n             \"dist\": {\n                 \"type\": \"zip\",\n-                \"url\": \"https://api.github.com/repos/a/b/zipball/aaaa\",\n-                \"reference\": \"aaaa\",\n+                \"url\": \"https://api.github.com/repos/a/b/zipball/bbbb\",\n+                \"reference\": \"bbbb\",",
            "checksum-changed",
        ),
        (
            "pnpm-lock.yaml",
            "-  a@6.11.0:\n-    resolution: {integrity: sha512-aa}\n+  a@6.5.0:\n+    resolution: {integrity: sha512-bb}\n \n snapshots:\n \n-  a@6.11.0:\n+  a@6.5.0:\n     dependencies:\n       b: 1.0.0",
            "downgrade",
        ),
        (
            "Cargo.lock",
            " [[package]]\n name = \"syn\"\n-version = \"1.0.109\"\n+version = \"1.0.100\"\n \n [[package]]\n name = \"syn\"\n version = \"2.0.1\"",
            "downgrade",
        ),
        (
            "requirements.txt",
            "-flask==3.0.3 \\\n+flask==3.0.1 \\",
            "downgrade",
        ),
        (
            "package-lock.json",
            "     \"node_modules/a\": {\n-      \"version\": \"1.0.0\",\n-      \"integrity\": \"sha512-aaaa\"\n+      \"version\": \"1.0.1\"\n     },",
            "changed-dependency checksum-removed",
        ),
    ] {
        assert_eq!(said(file, hunk), wanted, "{file}\n{hunk}");
    }
}

#[test]
fn what_ordinary_tools_write_is_no_alarm() {
    for (file, hunk, wanted) in [
        (
            "composer.lock",
            "+        {\n+            \"name\": \"a/b\",\n+            \"version\": \"1.0.0\",\n+            \"source\": {\n+                \"type\": \"git\",\n+                \"url\": \"https://github.com/a/b.git\",\n+                \"reference\": \"aaaa\"\n+            },\n+            \"dist\": {\n+                \"type\": \"zip\",\n+                \"url\": \"https://api.github.com/repos/a/b/zipball/aaaa\",\n+                \"reference\": \"aaaa\",\n+                \"shasum\": \"\"\n+            },",
            "new-package",
        ),
        (
            "yarn.lock",
            "+\"a@https://github.com/o/a.git#commit=0123456789abcdef0123456789abcdef01234567\":\n+  version: 1.0.0\n+  resolution: \"a@https://github.com/o/a.git#commit=0123456789abcdef0123456789abcdef01234567\"",
            "git-source new-package",
        ),
        (
            "pnpm-lock.yaml",
            "+  a@1.0.0:\n+    resolution: {commit: 0123456789abcdef0123456789abcdef01234567, repo: https://github.com/o/a, type: git}",
            "git-source new-package",
        ),
        (
            "pnpm-lock.yaml",
            " snapshots:\n \n-  a@1.0.0(b@1.0.0):\n+  a@1.0.0(b@1.0.1):\n     dependencies:\n-      b: 1.0.0\n+      b: 1.0.1",
            "",
        ),
        (
            "package-lock.json",
            "     \"node_modules/a\": {\n-      \"version\": \"1.0.0\",\n-      \"resolved\": \"https://npm.corp.example/a/-/a-1.0.0.tgz\",\n+      \"version\": \"1.0.1\",\n+      \"resolved\": \"https://npm.corp.example/a/-/a-1.0.1.tgz\",",
            "changed-dependency",
        ),
        (
            "Cargo.lock",
            "+[[package]]\n+name = \"syn\"\n+version = \"1.0.109\"\n+\n [[package]]\n name = \"syn\"\n version = \"2.0.1\"",
            "new-package",
        ),
        (
            "Cargo.toml",
            " [dependencies]\n-a = \"1.0.200\"\n+a = \"1\"",
            "changed-dependency",
        ),
        (
            "package.json",
            " {\n+  \"$schema\": \"https://json.schemastore.org/package\",\n+  \"bugs\": \"https://github.com/a/b/issues\",\n+  \"exports\": \"./lib/a.js\",\n   \"name\": \"x\"",
            "",
        ),
        (
            "package.json",
            "   \"exports\": {\n+    \"./a.js\": \"./lib/a.js\",",
            "",
        ),
        (
            "package.json",
            "     \"old\": \"1.0.0\"\n   },\n+  \"threshold\": \"2.1.0\",",
            "",
        ),
        (
            "package.json",
            "   \"dependencies\": {\n-    \"a\": \"workspace:^\",\n+    \"a\": \"workspace:*\",",
            "",
        ),
        (
            "pyproject.toml",
            "-minversion = \"6.0\"\n+minversion = \"5.0\"",
            "",
        ),
        (
            "requirements.txt",
            "-Flask==3.0.0\n+flask==3.0.1",
            "changed-dependency",
        ),
        (
            "yarn.lock",
            " a@npm:^1:\n   version: 1.0.0\n   resolution: \"a@npm:1.0.0\"\n-  checksum: 8/aaaa\n+  checksum: 10c0/bbbb",
            "",
        ),
        (
            "setup/requirements.txt",
            "-a>=3.6.0\n+a>=3.6",
            "changed-dependency",
        ),
        (
            "Cargo.toml",
            " [dependencies]\n+own = { path = \"../own\", version = \"0.1\" }",
            "path-source",
        ),
    ] {
        assert_eq!(said(file, hunk), wanted, "{file}\n{hunk}");
    }
}

#[test]
fn what_weighs_is_never_left_out_for_what_does_not() {
    let bumps: String = (0..300)
        .map(|n| {
            format!(
                " [[package]]\n name = \"p{n}\"\n-version = \"1.0.0\"\n+version = \"1.0.1\"\n \n"
            )
        })
        .collect();
    let swap = " [[package]]\n name = \"serde\"\n version = \"1.0.0\"\n-checksum = \"aaaa\"\n+checksum = \"bbbb\"\n";
    assert_eq!(
        said("Cargo.lock", &format!("{bumps}{swap}")),
        "changed-dependency checksum-changed"
    );
}

#[test]
fn manifest_in_which_nothing_is_understood_is_unread() {
    let is_unread = |file: &str, text: &str| {
        let mut dependencies = Dependencies::of(file).unwrap();
        let lines = text.lines().enumerate().map(|(n, text)| Line {
            side: Side::Added,
            number: n as u32 + 1,
            text: text.as_bytes().to_vec(),
        });
        dependencies.hunk(&Hunk {
            lines: lines.collect(),
            ..Hunk::default()
        });
        dependencies.is_unread()
    };
    assert!(is_unread("app/pom.xml", "b"));
    assert!(is_unread("Pipfile.lock", "  \"x\": 1"));
    assert!(!is_unread("Pipfile.lock", " }\n"));
    assert!(!is_unread("Gemfile", "gem \"rack\""));
    assert!(!is_unread("Cargo.toml", "[features]"));
}
