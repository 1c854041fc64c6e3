//! What is read of an answer, and how much of it at most.
//!
//! Why bounds: a body is as long as whoever sends it likes. Clients are made in [`crate::outbound`].

use std::time::Duration;

use super::error::ModelError;
use crate::text::clean_line;

/// Largest answer that is read, bytes.
pub const LARGEST_ANSWER: usize = 4 << 20;

/// Reads a body of at most [`LARGEST_ANSWER`] bytes.
///
/// # Errors
/// When it is larger, or the connection breaks.
pub async fn body(provider: &str, mut response: reqwest::Response) -> Result<Vec<u8>, ModelError> {
    let mut bytes = Vec::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if bytes.len() + chunk.len() > LARGEST_ANSWER => {
                return Err(too_large(provider));
            }
            Ok(Some(chunk)) => bytes.extend_from_slice(&chunk),
            Ok(None) => return Ok(bytes),
            Err(error) => return Err(broken(provider, &error)),
        }
    }
}

/// The error of an answer that does not end.
pub fn too_large(provider: &str) -> ModelError {
    ModelError::Malformed {
        provider: provider.to_owned(),
        message: format!("more than {LARGEST_ANSWER} bytes"),
    }
}

/// A transport error without the URL (it may name internal hosts) and without anything secret.
pub fn broken(provider: &str, error: &reqwest::Error) -> ModelError {
    if error.is_timeout() && !error.is_connect() {
        return ModelError::Timeout(Duration::ZERO);
    }
    let mut message = String::new();
    let mut source: Option<&dyn std::error::Error> = std::error::Error::source(error);
    while let Some(inner) = source {
        message = inner.to_string();
        source = inner.source();
    }
    if message.is_empty() {
        message = if error.is_connect() {
            "cannot connect".into()
        } else {
            "the connection broke".into()
        };
    }
    ModelError::Connect {
        provider: provider.to_owned(),
        message: clean_line(&message, 200),
    }
}
