//! Assignments in every usual form are found, and settings are left alone.

use super::*;
use crate::languages::language;

fn found(path: &str, text: &str) -> Vec<String> {
    let mut values = Vec::new();
    for form in [Form::Quoted, Form::Bare] {
        find(
            language(path),
            text.as_bytes(),
            &[(0, text.len())],
            form,
            |assigned| {
                values.push(text[assigned.value.0..assigned.value.1].to_owned());
                true
            },
        );
    }
    values
}

/// Put together here, so that no whole secret stands in the tree.
fn value() -> String {
    ["Zk9vQ2", "xW7pLm4", "Rt8n"].concat()
}

#[test]
fn secret_is_found_in_every_form_of_assignment() {
    let v = value();
    for (path, text) in [
        ("a.py", format!("db_password = \"{v}\"")),
        ("a.py", format!("config['secret_key'] = '{v}'")),
        ("a.py", format!("password: str = \"{v}\"")),
        ("a.py", format!("os.environ.get(\"API_KEY\", \"{v}\")")),
        ("a.ts", format!("const apiKey: string = `{v}`;")),
        (
            "a.java",
            format!("p.setProperty(\"db.password\", \"{v}\");"),
        ),
        ("a.go", format!("const authToken string = \"{v}\"")),
        ("a.rb", format!(":password => '{v}'")),
        ("a.yml", format!("  password: {v}")),
        ("a.yml", format!("  password: {v} # why")),
        ("a.properties", format!("spring.datasource.password={v}")),
        (".env", format!("export DB_PASSWORD={v}")),
        ("a.toml", format!("token = \"{v}\"")),
        ("a.json", format!("{{\"clientSecret\": \"{v}\"}}")),
        ("a.ipynb", format!("\"db_password = \\\"{v}\\\"\\n\"")),
        ("Dockerfile", format!("ENV DB_PASSWORD {v}")),
        ("Dockerfile", format!("ENV DB_PASSWORD={v}")),
        ("a.sh", format!("mysql --password {v} db")),
        ("a.sh", format!("mysql --password={v} db")),
        (".netrc", format!("machine x.org login me password {v}")),
        ("a.xml", format!("<password>{v}</password>")),
        ("a.xml", format!("<add key=\"DbPassword\" value=\"{v}\"/>")),
        (
            "a.cs",
            format!("var c = \"Server=x;User=y;Password={v};\";"),
        ),
        ("README.md", format!("token: {v}")),
        ("a.java", format!("if (\"{v}\" == dbPassword) {{")),
        ("a.js", format!("if ('{v}' !== my_password) {{")),
        ("a.rb", format!("  password \"{v}\"")),
    ] {
        assert_eq!(
            found(path, &text),
            std::slice::from_ref(&v),
            "{path}: {text}"
        );
    }
}

#[test]
fn password_made_of_signs_is_no_code_in_a_file_of_settings() {
    let signs = ["q{(x)p$", "[z@b#d!>", "-w%&y;"].concat();
    let text = format!("db_pass = {signs}");
    assert_eq!(found("a.conf", &text), [signs]);
    let pattern = "password = ^(?=.*[a-z])(?=.*[0-9])[!@#$%&*;]{8,}$";
    assert_eq!(found("a.conf", pattern), Vec::<String>::new());
}

#[test]
fn setting_that_is_no_secret_is_left_alone() {
    for (path, text) in [
        ("a.py", "password = get_password()"),
        ("a.py", "password = \"${DB_PASSWORD}\""),
        ("a.py", "password_field = \"user[password1]x\""),
        (
            "a.py",
            "token_url = \"https://id.example.org/oauth2/token1\"",
        ),
        ("a.go", "token := scanner.Token1Next"),
        ("a.yml", "password: {{ vault_password1 }}"),
        ("a.yml", "secretName: payments-database-main1"),
        ("a.properties", "api.key.header=X-Api-Key-Name1"),
        ("a.properties", "db.password.file=/run/secrets/db_password1"),
        ("a.json", "\"compass\": \"a1b2c3d4e5f6a7\""),
        ("a.md", "The password: it must have 12 characters"),
        ("a.js", "const bypass = \"a1b2c3d4e5f6a7\""),
        ("a.env", "DB_PASSWORD=changeme123"),
        ("a.env", "API_KEY="),
        ("a.js", "if (\"text\" === password) {"),
        ("a.c", "printf(\"wrong1\"); password \"Again1x!\" x"),
    ] {
        assert_eq!(found(path, text), Vec::<String>::new(), "{path}: {text}");
    }
}

#[test]
fn hostile_lines_cost_linear_time() {
    let text = "password=".repeat(200_000);
    assert!(found("a.env", &text).len() <= 1);
}
