//! Recall and false alarms on a generated corpus, beside `detect-secrets`. `cargo bench --bench secrets`
//!
//! `DETECT_SECRETS=PATH` names the rival's program (`pip install detect-secrets`); `BSM_GITLEAKS_TOML=FILE` a
//! copy of gitleaks' published configuration, whose rules then run here, too. Every line of the corpus is a
//! file of its own, so that one finding decides one line. Formats are those that the vendors document.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark prints, and fails by panicking"
)]

use std::collections::{BTreeMap, HashSet};
use std::path::Path;
use std::process::Command;

use bsm::review::diff::parse;
use bsm::review::policy::{Policy, ReviewSettings};
use bsm::review::redact::Redactor;
use bsm::review::scan::{ScanLimits, Scanner};

const EACH: usize = 50;
const UPPER: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const LOWER: &str = "abcdefghijklmnopqrstuvwxyz";
const DIGITS: &str = "0123456789";

struct Line {
    kind: &'static str,
    secret: bool,
    file: String,
    text: String,
}

fn main() {
    let corpus = corpus();
    let dir = tempfile::tempdir().unwrap();
    for line in &corpus {
        std::fs::write(dir.path().join(&line.file), format!("{}\n", line.text)).unwrap();
    }
    let secrets = corpus.iter().filter(|l| l.secret).count();
    println!("{secrets} secrets, {} look-alikes", corpus.len() - secrets);
    let mut table: Vec<(&str, HashSet<String>)> =
        vec![("bsm", with_rules(&corpus, &Policy::default()))];
    if let Ok(path) = std::env::var("BSM_GITLEAKS_TOML") {
        let workspace = tempfile::tempdir().unwrap();
        std::fs::copy(path, workspace.path().join(".gitleaks.toml")).unwrap();
        let policy = {
            let root = bsm::files::Root::open(workspace.path()).unwrap();
            let files = bsm::workspace::policy_files::of_folder(&root);
            Policy::load(Some(&files), true, &ReviewSettings::default())
        };
        table.push(("bsm and gitleaks' rules", with_rules(&corpus, &policy)));
    }
    if let Ok(program) = std::env::var("DETECT_SECRETS") {
        table.push(("detect-secrets", detect_secrets(&program, dir.path())));
    }
    for (name, found) in &table {
        let hits = corpus
            .iter()
            .filter(|l| l.secret && found.contains(&l.file))
            .count();
        let alarms = corpus
            .iter()
            .filter(|l| !l.secret && found.contains(&l.file))
            .count();
        println!(
            "{name}: recall {:.1} %, false alarms {:.1} % of the look-alikes, precision {:.1} %",
            100.0 * hits as f64 / secrets as f64,
            100.0 * alarms as f64 / (corpus.len() - secrets) as f64,
            100.0 * hits as f64 / (hits + alarms).max(1) as f64
        );
    }
    let mut kinds: BTreeMap<(bool, &str), Vec<&Line>> = BTreeMap::new();
    for line in &corpus {
        kinds
            .entry((!line.secret, line.kind))
            .or_default()
            .push(line);
    }
    for ((_, kind), lines) in kinds {
        let found: Vec<String> = table
            .iter()
            .map(|(_, found)| {
                let count = lines.iter().filter(|l| found.contains(&l.file)).count();
                format!("{:>3.0} %", 100.0 * count as f64 / lines.len() as f64)
            })
            .collect();
        let what = if lines[0].secret { "secret" } else { "none" };
        println!("  {what:<7} {kind:<28} {}", found.join("  "));
    }
}

/// The files in which the rules report a secret.
fn with_rules(corpus: &[Line], policy: &Policy) -> HashSet<String> {
    let redactor = Redactor::new(policy.rules(), &[], [1; 32]);
    let limits = ScanLimits {
        findings: usize::MAX,
        ..ScanLimits::default()
    };
    let mut scanner = Scanner::new(&redactor, limits, &|| false).under(policy);
    let diff: String = corpus
        .iter()
        .map(|l| {
            let lines: Vec<String> = l.text.lines().map(|t| format!("+{t}\n")).collect();
            format!(
                "--- /dev/null\n+++ b/{}\n@@ -0,0 +1,{} @@\n{}",
                l.file,
                lines.len(),
                lines.concat()
            )
        })
        .collect();
    parse(diff.as_bytes(), &mut scanner).unwrap();
    let found = scanner.finish().findings;
    found
        .iter()
        .filter(|f| f.rule.starts_with("secrets/"))
        .filter_map(|f| Some(f.file.as_ref()?.raw().to_owned()))
        .collect()
}

fn detect_secrets(program: &str, dir: &Path) -> HashSet<String> {
    let output = Command::new(program)
        .args(["scan", "--all-files", "."])
        .current_dir(dir)
        .output()
        .unwrap();
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    report["results"]
        .as_object()
        .unwrap()
        .keys()
        .map(|k| k.trim_start_matches("./").to_owned())
        .collect()
}

fn corpus() -> Vec<Line> {
    let mut random = fastrand::Rng::with_seed(20_261_122);
    let mut from = |alphabet: &str, count: usize| -> String {
        let letters: Vec<char> = alphabet.chars().collect();
        (0..count)
            .map(|_| letters[random.usize(..letters.len())])
            .collect()
    };
    let alnum = [UPPER, LOWER, DIGITS].concat();
    let base64 = format!("{alnum}+/");
    let url = format!("{alnum}-_");
    let hex = "0123456789abcdef";
    let mut lines = Vec::new();
    for n in 0..EACH {
        let in_code = |value: &str| match n % 5 {
            0 => ("py", format!("client = Client(\"{value}\")")),
            1 => ("yml", format!("  credential: {value}")),
            2 => ("env", format!("SERVICE_VALUE={value}")),
            3 => ("json", format!("  \"value\": \"{value}\",")),
            _ => (
                "sh",
                format!("curl -H 'X-Auth: {value}' https://api.example.com/v1"),
            ),
        };
        let tokens: Vec<(&'static str, String)> = vec![
            ("GitHub token", format!("ghp_{}", from(&alnum, 36))),
            (
                "GitHub fine-grained",
                format!("github_pat_{}_{}", from(&alnum, 22), from(&alnum, 59)),
            ),
            ("GitLab token", format!("glpat-{}", from(&url, 20))),
            (
                "AWS access key id",
                format!("AKIA{}", from(&[UPPER, "234567"].concat(), 16)),
            ),
            (
                "Slack bot token",
                format!(
                    "xoxb-{}-{}-{}",
                    from(DIGITS, 12),
                    from(DIGITS, 12),
                    from(&alnum, 24)
                ),
            ),
            ("Stripe live key", format!("sk_live_{}", from(&alnum, 24))),
            ("OpenAI project key", format!("sk-proj-{}", from(&url, 74))),
            (
                "Anthropic key",
                format!("sk-ant-api03-{}AA", from(&url, 93)),
            ),
            ("Google API key", format!("AIza{}", from(&url, 35))),
            ("npm token", format!("npm_{}", from(&alnum, 36))),
            (
                "PyPI token",
                format!("pypi-AgEIcHlwaS5vcmc{}", from(&url, 90)),
            ),
            (
                "SendGrid key",
                format!("SG.{}.{}", from(&url, 22), from(&url, 43)),
            ),
            (
                "JWT",
                format!(
                    "eyJhbGciOiJIUzI1NiJ9.eyJ{}.{}",
                    from(&url, 60),
                    from(&url, 43)
                ),
            ),
            (
                "Telegram token",
                format!("{}:AA{}", from(DIGITS, 10), from(&url, 33)),
            ),
        ];
        for (kind, value) in tokens {
            let (end, text) = in_code(&value);
            lines.push((kind, true, end, text));
        }
        let password = from(&format!("{alnum}!#%^*"), 18);
        for (kind, end, text) in [
            (
                "AWS secret key",
                "ini",
                format!("aws_secret_access_key = {}", from(&base64, 40)),
            ),
            (
                "password in an address",
                "py",
                format!(
                    "url = 'postgres://app:{}@db.internal:5432/app'",
                    from(&alnum, 16)
                ),
            ),
            (
                "assigned password",
                "py",
                format!("DB_PASSWORD = \"{password}\""),
            ),
            (
                "assigned API key (hex)",
                "js",
                format!("const apiKey = '{}';", from(hex, 32)),
            ),
            (
                "private key",
                "pem",
                format!(
                    "-----BEGIN {} PRIVATE KEY-----\n{}\n{}\n-----END {} PRIVATE KEY-----",
                    "RSA",
                    from(&base64, 64),
                    from(&base64, 64),
                    "RSA"
                ),
            ),
            (
                "Azure storage key",
                "cs",
                format!(
                    "var c = \"AccountName=a;AccountKey={}==;\";",
                    from(&base64, 86)
                ),
            ),
        ] {
            lines.push((kind, true, end, text));
        }
        let uuid = [8, 4, 4, 4, 12].map(|c| from(hex, c)).join("-");
        for (kind, end, text) in [
            ("git commit", "txt", format!("commit {}", from(hex, 40))),
            (
                "action pinned",
                "yml",
                format!("- uses: actions/checkout@{}", from(hex, 40)),
            ),
            ("UUID", "py", format!("TENANT = \"{uuid}\"")),
            (
                "SHA-256 in a list",
                "txt",
                format!("{}  tool.tar.gz", from(hex, 64)),
            ),
            (
                "lock file checksum",
                "lock",
                format!("checksum = \"{}\"", from(hex, 64)),
            ),
            (
                "subresource integrity",
                "html",
                format!("<script integrity=\"sha384-{}\">", from(&base64, 64)),
            ),
            (
                "image as data",
                "css",
                format!("url(data:image/png;base64,{})", from(&base64, 120)),
            ),
            (
                "password from environment",
                "py",
                "password = os.environ[\"DB_PASSWORD\"]".to_owned(),
            ),
            (
                "password placeholder",
                "yml",
                "password: \"${DB_PASSWORD}\"".to_owned(),
            ),
            (
                "password to be changed",
                "yml",
                "password: \"changeme-please\"".to_owned(),
            ),
            (
                "secret's name",
                "yml",
                format!("secretName: \"payments-{}-tls\"", from(LOWER, 6)),
            ),
            (
                "key of a map",
                "js",
                format!("const key = \"user.settings.{}\";", from(LOWER, 8)),
            ),
            (
                "token counter",
                "rs",
                format!("let token_count = {};", from(DIGITS, 6)),
            ),
            (
                "public key",
                "txt",
                format!("ssh-ed25519 AAAA{} a@b", from(&base64, 64)),
            ),
            (
                "address without a password",
                "py",
                format!("url = 'https://example.com/{}/x'", from(LOWER, 10)),
            ),
            (
                "container digest",
                "yml",
                format!("image: debian@sha256:{}", from(hex, 64)),
            ),
            (
                "etag",
                "js",
                format!("headers['ETag'] = '{}'", from(hex, 32)),
            ),
            (
                "identifier",
                "java",
                "String accessKeyConfigurationPropertyName = \"aws.access.key\";".to_owned(),
            ),
            (
                "regex",
                "py",
                "PASSWORD_RE = r\"password\\s*=\\s*[A-Za-z0-9]+\"".to_owned(),
            ),
            (
                "version",
                "toml",
                format!(
                    "version = \"{}.{}.{}\"",
                    from("123", 1),
                    from(DIGITS, 2),
                    from(DIGITS, 1)
                ),
            ),
        ] {
            lines.push((kind, false, end, text));
        }
    }
    lines
        .into_iter()
        .enumerate()
        .map(|(n, (kind, secret, end, text))| Line {
            kind,
            secret,
            file: format!("f{n}.{end}"),
            text,
        })
        .collect()
}
