//! Paths that the middleware knows.

/// Whether a path asks for health: never rate limited, and answered when all connections are taken.
pub(in crate::api) fn asks_health(path: &str) -> bool {
    matches!(path, "/livez" | "/readyz" | "/health" | "/api/health")
        || path.starts_with("/api/health/")
}

/// Whether a path is one that webhooks come to: signatures guard it, and a count of requests does not.
pub(in crate::api) fn is_webhook(path: &str) -> bool {
    matches!(path, "/api/webhooks/github" | "/webhook/github")
}
