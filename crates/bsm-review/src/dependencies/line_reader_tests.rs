//! Lines as each ecosystem's tools write them, and what is read of them.

use super::*;
use crate::dependencies::line_formats::of;

/// `name version source`, a dependency a line.
fn read(path: &str, text: &str) -> Vec<String> {
    let mut reader = LineReader::new(of(path).unwrap_or_else(|| panic!("{path}")));
    for (number, line) in text.lines().enumerate() {
        reader.line(line, number as u32 + 1, true);
    }
    let entries = reader.finish().into_iter().map(|entry| {
        let parts = [Some(entry.name), entry.version, entry.source];
        parts.into_iter().flatten().collect::<Vec<_>>().join(" ")
    });
    entries.collect()
}

#[test]
fn every_pattern_compiles() {
    for format in 0..FORMATS.len() {
        assert!(!LineReader::new(format).patterns.is_empty());
    }
}

#[test]
fn dependencies_of_jvm_builds_are_read() {
    let pom = "\
    <groupId>com.acme</groupId>
    <artifactId>app</artifactId>
    <version>1.0</version>
    <properties>
        <jackson.version>2.17.0</jackson.version>
    </properties>
        <dependency>
            <groupId>org.slf4j</groupId>
            <artifactId>slf4j-api</artifactId>
            <version>2.0.1</version>
            <exclusions>
                <exclusion>
                    <groupId>a</groupId>
                    <artifactId>b</artifactId>
                </exclusion>
            </exclusions>
        </dependency>";
    assert_eq!(
        read("app/pom.xml", pom),
        ["jackson.version 2.17.0", "org.slf4j:slf4j-api 2.0.1"]
    );
    let short = " <dependencies><dependency><groupId>a</groupId><artifactId>b</artifactId><version>1</version></dependency><dependency><groupId>c</groupId><artifactId>d</artifactId></dependency></dependencies>";
    assert_eq!(read("pom.xml", short), ["a:b 1", "c:d"]);
    let gradle = "\
    implementation(\"com.squareup.okhttp3:okhttp:4.12.0\")
    testImplementation platform('org.junit:junit-bom:5.10.0')
    // implementation 'a:b:1'
    id(\"com.diffplug.spotless\") version \"6.25.0\"
    println(\"a:b:c\")";
    assert_eq!(
        read("build.gradle.kts", gradle),
        [
            "com.squareup.okhttp3:okhttp 4.12.0",
            "org.junit:junit-bom 5.10.0",
            "com.diffplug.spotless 6.25.0"
        ]
    );
    let catalog = "\
okhttp = \"4.12.0\"
okio = { module = \"com.squareup.okio:okio\", version.ref = \"okio\" }
moshi = \"com.squareup.moshi:moshi:1.15.1\"";
    assert_eq!(
        read("gradle/libs.versions.toml", catalog),
        [
            "okhttp 4.12.0",
            "com.squareup.okio:okio",
            "com.squareup.moshi:moshi 1.15.1"
        ]
    );
    let lock = "com.google.guava:guava:33.0.0-jre=compileClasspath,runtimeClasspath";
    let locked = ["com.google.guava:guava 33.0.0-jre"];
    assert_eq!(read("gradle.lockfile", lock), locked);
    let sbt = "libraryDependencies += \"org.typelevel\" %% \"cats-core\" % \"2.10.0\"";
    assert_eq!(read("build.sbt", sbt), ["org.typelevel:cats-core 2.10.0"]);
    let edn = "{:deps {metosin/reitit {:mvn/version \"0.6.0\"}}}";
    assert_eq!(read("deps.edn", edn), ["metosin/reitit 0.6.0"]);
}

#[test]
fn dependencies_of_dotnet_projects_are_read() {
    let project = "\
    <PackageReference Include=\"Serilog\" Version=\"3.1.1\" />
    <PackageReference Include=\"Polly\">
      <Version>8.2.0</Version>
    </PackageReference>
    <Version>1.0.0</Version>";
    assert_eq!(
        read("src/App.csproj", project),
        ["Serilog 3.1.1", "Polly 8.2.0"]
    );
    let config =
        "  <package id=\"Newtonsoft.Json\" version=\"13.0.3\" targetFramework=\"net48\" />";
    assert_eq!(read("packages.config", config), ["Newtonsoft.Json 13.0.3"]);
    let lock = "\
    \"net8.0\": {
      \"Serilog\": {
        \"type\": \"Direct\",
        \"resolved\": \"3.1.1\",
        \"contentHash\": \"P6G4/4Kt9bT635bhuwdXlJ2SCqqn2nhh4gqFqQueCOr9bK/e7W9ll/IoX1Ter948cV2Z/5+5v8pAfJYUISY03A==\"";
    assert_eq!(read("packages.lock.json", lock), ["Serilog 3.1.1"]);
}

#[test]
fn dependencies_of_python_and_conda_are_read() {
    let pipfile = "\
[[source]]
url = \"https://pypi.org/simple\"
name = \"pypi\"
[packages]
requests = \"*\"
flask = {version = \">=3\", extras = [\"async\"]}
ours = {git = \"https://example.com/ours.git\", ref = \"main\"}
[requires]
python_version = \"3.12\"";
    assert_eq!(
        read("Pipfile", pipfile),
        [
            "requests *",
            "flask >=3",
            "ours git+https://example.com/ours.git#main"
        ]
    );
    let setup = "\
    install_requires=[
        'requests>=2.31',
        \"attrs\",
    ],
    extras_require={'dev': ['pytest>=8', 'mypy==1.8.0']},";
    assert_eq!(
        read("setup.py", setup),
        ["requests >=2.31", "attrs", "pytest >=8", "mypy ==1.8.0"]
    );
    let conda = "\
channels:
  - conda-forge
dependencies:
  - numpy=1.26
  - pip:
    - rich==13.7.0";
    assert_eq!(
        read("environment.yml", conda),
        ["numpy =1.26", "rich ==13.7.0"]
    );
    let lock =
        "        \"flask\": {\n            \"hashes\": [],\n            \"version\": \"==3.0.2\"";
    assert_eq!(read("Pipfile.lock", lock), ["flask 3.0.2"]);
}

#[test]
fn dependencies_of_other_ecosystems_are_read() {
    for (path, text, expected) in [
        (
            "Gemfile",
            "gem \"rails\", \"~> 7.1\"\nrack = { github: 'rack/rack' }\n  gem 'ours', github: 'acme/ours', branch: 'main'",
            vec!["rails ~> 7.1", "ours git+https://github.com/acme/ours#main"],
        ),
        (
            "x.gemspec",
            "  spec.add_dependency \"rack\", \"~> 3.0\"",
            vec!["rack ~> 3.0"],
        ),
        (
            "composer.json",
            "  \"name\": \"acme/app\",\n    \"php\": \"^8.2\",\n    \"symfony/console\": \"^7.0\"",
            vec!["symfony/console ^7.0"],
        ),
        (
            "mix.exs",
            "      {:phoenix, \"~> 1.7\"},\n      {:ours, git: \"https://example.com/o.git\", tag: \"v1.2.0\"}",
            vec![
                "phoenix ~> 1.7",
                "ours git+https://example.com/o.git#v1.2.0",
            ],
        ),
        (
            "mix.lock",
            "  \"jason\": {:hex, :jason, \"1.4.1\", \"af1504e35f629ddcdd6addb3513c3853991f694921b1b9368b0bd32beb9f1b63\", [:mix]},",
            vec!["jason 1.4.1"],
        ),
        (
            "pubspec.yaml",
            "environment:\n  sdk: '>=3.0.0 <4.0.0'\ndependencies:\n  http: ^1.2.0\n  flutter:\n    sdk: flutter\n  ours:\n    git:\n      url: https://example.com/o.git\n      ref: main",
            vec!["http ^1.2.0", "ours git+https://example.com/o.git#main"],
        ),
        (
            "Podfile",
            "  pod 'Alamofire', '~> 5.8'\n  pod 'Ours', :git => 'https://example.com/o.git', :branch => 'main'",
            vec![
                "Alamofire ~> 5.8",
                "Ours git+https://example.com/o.git#main",
            ],
        ),
        (
            "Package.swift",
            "        .package(url: \"https://github.com/apple/swift-nio.git\", from: \"2.62.0\"),",
            vec![
                "https://github.com/apple/swift-nio.git 2.62.0 git+https://github.com/apple/swift-nio.git#2.62.0",
            ],
        ),
        (
            "bun.lock",
            "    \"lodash\": [\"lodash@4.17.21\", \"\", {}, \"sha512-v2kDEe57lecTulaDIuNTPy3Ry4gLGJ6Z1O3vE1krgXZNrsQ+LFTGHVxVjcXPs17LhbZVGedAJv8XZ1tvj5FvSg==\"],",
            vec!["lodash 4.17.21"],
        ),
        (
            "deno.json",
            "    \"@std/path\": \"jsr:@std/path@^1.0.0\",\n    \"x\": \"https://example.com/x.ts\"",
            vec!["@std/path ^1.0.0", "x https://example.com/x.ts"],
        ),
        (
            "deploy/Chart.yaml",
            "name: app\nversion: 1.0.0\nmaintainers:\n  - name: Ann\ndependencies:\n  - name: redis\n    version: 18.0.0\n    repository: https://charts.example.com",
            vec!["redis 18.0.0 https://charts.example.com"],
        ),
        (
            "MODULE.bazel",
            "bazel_dep(name = \"rules_go\", version = \"0.46.0\")",
            vec!["rules_go 0.46.0"],
        ),
        (
            "conanfile.txt",
            "[requires]\nzlib/1.3.1\n[generators]\nCMakeDeps",
            vec!["zlib 1.3.1"],
        ),
    ] {
        assert_eq!(read(path, text), expected, "{path}");
    }
}
