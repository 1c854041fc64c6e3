//! Paths that the middleware knows.

/// Whether a path is one that webhooks come to: signatures guard it, and a count of requests does not.
pub(in crate::api) fn is_webhook(path: &str) -> bool {
    matches!(path, "/api/webhooks/github" | "/webhook/github")
}
