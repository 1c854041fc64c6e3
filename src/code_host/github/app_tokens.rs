//! The tokens of a GitHub App: made when they are needed, kept while they last.

use reqwest::Method;
use serde_json::Value;

use super::app::{App, Token, owner_of};
use super::client::{Github, bytes, send};
use crate::code_host::HostError;

/// A token that ends within five minutes is renewed.
const RENEW_S: i64 = 300;
/// Largest answer that is read here, bytes.
const ANSWER: usize = 1 << 20;

impl Github {
    /// The token for a repository (`owner/name`): a kept one while it lasts, else a new one.
    pub(super) async fn app_token(&self, app: &App, repository: &str) -> Result<String, HostError> {
        let owner = owner_of(repository);
        // One at a time: those that come meanwhile take the same one.
        let mut tokens = app.tokens.lock().await;
        let now_s = jiff::Timestamp::now().as_second();
        if let Some(token) = tokens.get(&owner).filter(|t| t.ends_s - RENEW_S > now_s) {
            return Ok(token.text.clone());
        }
        let proof = app.proof(now_s)?;
        let path = format!("repos/{repository}/installation");
        let installation = self.with_proof(Method::GET, &path, &proof).await?;
        let incomplete = |what: &str| HostError::Unreachable(format!("its answer has no {what}"));
        let number = installation["id"].as_u64();
        let number = number.ok_or_else(|| incomplete("installation"))?;
        let path = format!("app/installations/{number}/access_tokens");
        let made = self.with_proof(Method::POST, &path, &proof).await?;
        let text = made["token"].as_str().ok_or_else(|| incomplete("token"))?;
        let ends = made["expires_at"].as_str();
        let ends = ends.and_then(|t| t.parse::<jiff::Timestamp>().ok());
        let token = Token {
            text: text.to_owned(),
            // Without a word it lasts an hour.
            ends_s: ends.map_or(now_s + 3_600, jiff::Timestamp::as_second),
        };
        tokens.insert(owner, token.clone());
        Ok(token.text)
    }

    /// Asks as the app itself.
    pub(super) async fn with_proof(
        &self,
        method: Method,
        path: &str,
        proof: &str,
    ) -> Result<Value, HostError> {
        let request = self.plain_request(method, path)?;
        let request = request
            .header("accept", "application/vnd.github+json")
            .bearer_auth(proof);
        let body = bytes(send(request).await?, ANSWER).await?;
        serde_json::from_slice(&body).map_err(|e| HostError::Unreachable(e.to_string()))
    }

    /// What the app may do, and which events it hears: `GET /app`. `None`: the token is no app's.
    ///
    /// # Errors
    /// As all asking.
    pub async fn app_itself(&self) -> Result<Option<Value>, HostError> {
        let Some(app) = self.app() else {
            return Ok(None);
        };
        let proof = app.proof(jiff::Timestamp::now().as_second())?;
        self.with_proof(Method::GET, "app", &proof).await.map(Some)
    }
}
