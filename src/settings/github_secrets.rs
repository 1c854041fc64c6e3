//! The secrets that GitHub's settings name: in a variable, or in a file that the user's own settings name.
//!
//! Why a file too: a variable stays as it was when the process started; a file is read again by a reload.

use std::path::Path;

use super::GithubSettings;
use super::env::Env;
use crate::files::Root;

/// Largest file of a secret, bytes.
const LARGEST: u64 = 64 << 10;

impl GithubSettings {
    /// The token: its file's, else its variable's. `None`: there is none.
    ///
    /// # Errors
    /// A sentence: its file cannot be read.
    pub fn token(&self, env: &Env) -> Result<Option<String>, String> {
        one(&self.token_file, &self.token_env, env, "github.tokenFile")
    }

    /// The app's private key, in PEM. `None`: there is none.
    ///
    /// # Errors
    /// A sentence: its file cannot be read.
    pub fn app_key(&self, env: &Env) -> Result<Option<String>, String> {
        one(
            &self.app_key_file,
            &self.app_key_env,
            env,
            "github.appKeyFile",
        )
    }

    /// What no output may show of them: a key's lines too.
    pub fn secrets(&self, env: &Env) -> Vec<String> {
        let mut secrets = Vec::new();
        for secret in [self.token(env), self.app_key(env)] {
            let Ok(Some(secret)) = secret else { continue };
            let written = secret.replace("\\n", "\n");
            let lines = written.lines().map(str::trim);
            let bodies = lines.filter(|line| line.len() >= 16 && !line.starts_with("-----"));
            secrets.extend(bodies.map(str::to_owned));
            secrets.push(secret);
        }
        secrets
    }
}

/// A secret from its file, else from its variable.
fn one(file: &str, variable: &str, env: &Env, key: &str) -> Result<Option<String>, String> {
    if file.is_empty() {
        let value = env.get(variable).map(|v| v.trim().to_owned());
        return Ok(value.filter(|v| !v.is_empty()));
    }
    let path = Path::new(file);
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(format!("{key}: {file} names no file"));
    };
    if !path.is_absolute() {
        return Err(format!("{key}: {file} is no absolute path"));
    }
    let read = Root::open(folder).and_then(|root| root.read_text(Path::new(name), LARGEST));
    let text = read.map_err(|e| format!("{key}: {file}: {e}"))?;
    let text = text.trim().to_owned();
    Ok(Some(text).filter(|t| !t.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_goes_before_the_variable_and_is_read_each_time() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("token");
        std::fs::write(&path, "from-the-file-1\n").unwrap();
        let env = Env::of([("GITHUB_BSU_TOKEN", "from-the-variable")]);
        let mut settings = GithubSettings::default();
        let token = |s: &GithubSettings| s.token(&env).unwrap().unwrap();
        assert_eq!(token(&settings), "from-the-variable");
        settings.token_file = path.to_str().unwrap().to_owned();
        assert_eq!(token(&settings), "from-the-file-1");
        std::fs::write(&path, "from-the-file-2\n").unwrap();
        assert_eq!(token(&settings), "from-the-file-2");
        std::fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("/etc/hostname", &path).unwrap();
        assert!(settings.token(&env).is_err(), "a link is not followed");
        settings.token_file = "token".into();
        assert!(settings.token(&env).unwrap_err().contains("absolute"));
    }

    #[test]
    fn each_line_of_a_key_is_a_secret() {
        let line = "abcdefghijklmnopqrstuvwxyz";
        let key = format!("-----BEGIN X-----\\n{line}\\n-----END X-----");
        let env = Env::of([("BSM_GITHUB_APP_KEY", key.as_str())]);
        let secrets = GithubSettings::default().secrets(&env);
        assert!(secrets.iter().any(|s| s == line), "{secrets:?}");
        assert!(secrets.iter().all(|s| !s.starts_with("-----END")));
    }
}
