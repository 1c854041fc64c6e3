//! What routes take out of a request: a JSON body that was sent as one, and leave to do something.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{ConnectInfo, FromRequest, FromRequestParts, Request};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use axum::http::{StatusCode, header};
use serde::de::DeserializeOwned;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::error::Failure;
use crate::api::request::Peer;
use crate::api::state::Api;

/// A JSON body.
pub(super) struct Json<T>(pub(super) T);

impl<T: DeserializeOwned> FromRequest<Arc<Api>> for Json<T> {
    type Rejection = Failure;

    async fn from_request(request: Request, api: &Arc<Api>) -> Result<Self, Failure> {
        // A page of another site can send text/plain without asking; JSON it cannot.
        let kind = request.headers().get(header::CONTENT_TYPE);
        let is_json = kind
            .and_then(|v| v.to_str().ok())
            .is_some_and(|v| v.split(';').next().unwrap_or_default().trim() == "application/json");
        if !is_json {
            return Err(Failure::new(
                StatusCode::UNSUPPORTED_MEDIA_TYPE,
                "INVALID_INPUT",
                "send application/json",
            ));
        }
        let bytes = Bytes::from_request(request, api)
            .await
            .map_err(|e| Failure::of_status(e.status()))?;
        let value: serde_json::Value = serde_json::from_slice(&bytes)
            .map_err(|e| Failure::new(StatusCode::BAD_REQUEST, "INVALID_JSON", e.to_string()))?;
        serde_json::from_value(value)
            .map(Self)
            .map_err(|e| Failure::input(e.to_string()))
    }
}

fn peer(parts: &Parts) -> Peer {
    parts
        .extensions
        .get::<ConnectInfo<Peer>>()
        .map_or(Peer::Stranger, |c| c.0)
}

/// The token that came, in whichever header.
fn came(headers: &HeaderMap) -> Option<Vec<u8>> {
    let header = |name: &str| {
        let value = headers.get(name)?;
        Some(value.as_bytes().to_vec())
    };
    let bearer = || {
        let value = header("authorization")?;
        let (scheme, token) = value.split_at_checked(7)?;
        let token = token.trim_ascii();
        scheme
            .eq_ignore_ascii_case(b"bearer ")
            .then(|| token.to_vec())
    };
    // What the clients of the gateway's protocols send their keys in.
    let of_client = || {
        let names = ["x-api-key", "api-key", "x-goog-api-key"];
        names.into_iter().find_map(header)
    };
    header("x-admin-token").or_else(bearer).or_else(of_client)
}

/// Compared in a time that says nothing; equal lengths, whatever came.
fn same(came: &[u8], wanted: &str) -> bool {
    let (a, b) = (Sha256::digest(came), Sha256::digest(wanted.as_bytes()));
    a.as_slice().ct_eq(b.as_slice()).into()
}

/// The programs that may use the gateway at this moment: one that the settings named and name no more may not.
fn programs(api: &Api) -> impl Iterator<Item = &(String, String)> {
    let all = api.gateway_tokens.iter();
    all.filter(|(name, _)| api.operator.knows_program(name))
}

/// Whether a request has a token that opens something: it is counted by no rate, wrong ones are.
pub(super) fn is_known(headers: &HeaderMap, api: &Api) -> bool {
    let Some(came) = came(headers) else {
        return false;
    };
    let admin = api.admin_token.iter().map(String::as_str);
    let programs = programs(api).map(|(_, token)| token.as_str());
    admin.chain(programs).any(|token| same(&came, token))
}

/// Whether a token came, and whether it opens something; `None`: none came, or there is none that could be guessed.
pub(super) fn shown_token(headers: &HeaderMap, api: &Api) -> Option<bool> {
    if api.admin_token.is_none() && api.gateway_tokens.is_empty() {
        return None;
    }
    came(headers)?;
    Some(is_known(headers, api))
}

/// Whether the token that came is the admin's; `None`: none came.
fn token(parts: &Parts, api: &Api) -> Option<bool> {
    Some(same(&came(&parts.headers)?, api.admin_token.as_ref()?))
}

/// Leave to use the gateway, and in whose name: the admin's, or a program's of its own.
pub(super) struct Tenant(pub(super) String);

impl FromRequestParts<Arc<Api>> for Tenant {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, Failure> {
        let mut found = None;
        if let Some(came) = came(&parts.headers) {
            for (name, token) in programs(api) {
                if same(&came, token) {
                    found = Some(name.clone());
                }
            }
        }
        if let Some(name) = found {
            return Ok(Self(format!("token {name}")));
        }
        match Admin::from_request_parts(parts, api).await {
            Ok(_) => Ok(Self("admin".into())),
            // There are tokens for it: the one that came is none of them.
            Err(_) if !api.gateway_tokens.is_empty() => Err(Failure::new(
                StatusCode::UNAUTHORIZED,
                "UNAUTHORIZED",
                "the token is missing or wrong",
            )),
            Err(failure) => Err(failure),
        }
    }
}

/// Leave to change the engine: the owner's socket, or the admin token.
pub(super) struct Admin(pub(super) Peer);

impl FromRequestParts<Arc<Api>> for Admin {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, Failure> {
        let peer = peer(parts);
        match (peer, &api.admin_token, token(parts, api)) {
            (Peer::Owner, ..) | (_, Some(_), Some(true)) => Ok(Self(peer)),
            (_, None, _) => Err(Failure::new(
                StatusCode::FORBIDDEN,
                "ADMIN_DISABLED",
                "no admin token is set, so this is served on the owner's socket alone",
            )),
            _ => Err(Failure::new(
                StatusCode::UNAUTHORIZED,
                "UNAUTHORIZED",
                "the admin token is missing or wrong",
            )),
        }
    }
}

/// Leave to look closely: on this machine everybody, from elsewhere with the admin token.
pub(super) struct Reader;

impl FromRequestParts<Arc<Api>> for Reader {
    type Rejection = Failure;

    async fn from_request_parts(parts: &mut Parts, api: &Arc<Api>) -> Result<Self, Failure> {
        if peer(parts).is_local() {
            return Ok(Self);
        }
        Admin::from_request_parts(parts, api).await.map(|_| Self)
    }
}
