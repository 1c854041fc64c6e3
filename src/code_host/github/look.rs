//! Looking around with the credentials: for `bsm doctor --forge`, which asks what they may do.

use reqwest::Method;
use serde_json::Value;

use super::client::Github;
use crate::code_host::HostError;

impl Github {
    /// What GitHub has at a path of its API.
    ///
    /// # Errors
    /// As all asking.
    pub async fn look(&self, path: &str) -> Result<Value, HostError> {
        self.json(Method::GET, path, None).await
    }
}
