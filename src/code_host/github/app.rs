//! GitHub Apps: an app's private key signs a short proof, and the proof buys tokens that end after an hour, one
//! for each owner of repositories that installed the app.
//!
//! Why the signature comes from rustls: it is in this program already, and a second library that signs would be
//! a second one to keep.

use std::collections::HashMap;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rustls::SignatureScheme;
use rustls::pki_types::PrivateKeyDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::sign::SigningKey;
use serde_json::{Value, json};

use crate::code_host::HostError;

/// A proof is good for nine minutes; GitHub takes ten at most.
const PROOF_S: i64 = 540;
/// It began a minute ago, for clocks that differ.
const AHEAD_S: i64 = 60;

/// An app and its tokens.
pub struct App {
    id: String,
    key: Arc<dyn SigningKey>,
    /// By owner, in small letters.
    pub(super) tokens: tokio::sync::Mutex<HashMap<String, Token>>,
}

/// A token of an installation.
#[derive(Clone)]
pub(super) struct Token {
    /// The token.
    pub(super) text: String,
    /// When it ends, seconds since 1970.
    pub(super) ends_s: i64,
}

impl App {
    /// An app by its id (or client id) and its private key in PEM, with lines ended by newlines or by `\n` in two
    /// characters, as variables have them.
    ///
    /// # Errors
    /// A sentence without the key: it is no RSA key in PEM.
    pub fn new(id: &str, pem: &str) -> Result<Self, String> {
        let wrong = || "the app's private key is no RSA key in PEM".to_owned();
        let pem = pem.replace("\\n", "\n");
        let der = PrivateKeyDer::from_pem_slice(pem.as_bytes()).map_err(|_| wrong())?;
        let key = rustls::crypto::ring::sign::any_supported_type(&der).map_err(|_| wrong())?;
        if key.choose_scheme(&[SCHEME]).is_none() {
            return Err(wrong());
        }
        Ok(Self {
            id: id.to_owned(),
            key,
            tokens: tokio::sync::Mutex::default(),
        })
    }

    /// The proof: a JWT signed with RS256. `now_s`: seconds since 1970.
    pub(super) fn proof(&self, now_s: i64) -> Result<String, HostError> {
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        let head = part(&json!({"alg": "RS256", "typ": "JWT"}));
        let claims = json!({"iat": now_s - AHEAD_S, "exp": now_s + PROOF_S, "iss": self.id});
        let text = format!("{head}.{}", part(&claims));
        let failed = |what: &str| HostError::NotAsked(format!("the app's proof: {what}"));
        let signer = self.key.choose_scheme(&[SCHEME]);
        let signer = signer.ok_or_else(|| failed("no RSA key"))?;
        let signature = signer.sign(text.as_bytes());
        let signature = signature.map_err(|e| failed(&e.to_string()))?;
        Ok(format!("{text}.{}", URL_SAFE_NO_PAD.encode(signature)))
    }

    /// A token that was refused is not used again.
    pub(super) async fn forget(&self, repository: &str) {
        self.tokens.lock().await.remove(&owner_of(repository));
    }
}

/// The owner of `owner/name`, in small letters.
pub(super) fn owner_of(repository: &str) -> String {
    let owner = repository.split('/').next().unwrap_or_default();
    owner.to_ascii_lowercase()
}

const SCHEME: SignatureScheme = SignatureScheme::RSA_PKCS1_SHA256;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_that_is_no_key_is_refused_without_being_quoted() {
        for pem in [
            "",
            "not a key",
            "-----BEGIN X-----\nc2VjcmV0\n-----END X-----\n",
        ] {
            let error = App::new("1", pem).err().unwrap();
            assert!(error.contains("no RSA key in PEM"), "{error}");
            assert!(!error.contains("c2VjcmV0"));
        }
    }
}
