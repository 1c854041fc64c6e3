//! The gateway's paths: which protocol a request speaks, known before any route is chosen, so that an error
//! of any layer has the shape that the client reads.

use bsm_wire::Wire;

/// The protocol of a path; none: it is not the gateway's.
pub(super) fn wire_of(path: &str) -> Option<Wire> {
    let path = path.trim_end_matches('/');
    if let Some(call) = gemini_call(path) {
        return Some(if call.ends_with(":countTokens") {
            Wire::GeminiCount
        } else {
            Wire::Gemini
        });
    }
    match path.strip_prefix("/v1/")? {
        "completions" => Some(Wire::Completions),
        "embeddings" => Some(Wire::Embeddings),
        "responses" => Some(Wire::Responses),
        "messages" => Some(Wire::Messages),
        "messages/count_tokens" => Some(Wire::CountTokens),
        _ => Some(Wire::Chat),
    }
}

/// What stands behind `models/` in a path of Gemini: the model, and what is wanted of it.
pub(super) fn gemini_call(path: &str) -> Option<&str> {
    const VERBS: [&str; 3] = [":generateContent", ":streamGenerateContent", ":countTokens"];
    if let Some(call) = path.strip_prefix("/v1beta/models/") {
        return Some(call);
    }
    // Under `/v1` OpenAI's models stand as well.
    let call = path.strip_prefix("/v1/models/")?;
    VERBS
        .iter()
        .any(|verb| call.ends_with(verb))
        .then_some(call)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wire_is_known_by_the_path_alone() {
        assert_eq!(wire_of("/v1/chat/completions"), Some(Wire::Chat));
        assert_eq!(wire_of("/v1/models/a/b"), Some(Wire::Chat));
        assert_eq!(wire_of("/v1/messages/"), Some(Wire::Messages));
        assert_eq!(
            wire_of("/v1/messages/count_tokens"),
            Some(Wire::CountTokens)
        );
        assert_eq!(
            wire_of("/v1beta/models/g:countTokens"),
            Some(Wire::GeminiCount)
        );
        assert_eq!(
            wire_of("/v1beta/models/g:generateContent"),
            Some(Wire::Gemini)
        );
        assert_eq!(wire_of("/v1/models/g:generateContent"), Some(Wire::Gemini));
        assert_eq!(wire_of("/v1/models/g:b"), Some(Wire::Chat));
        assert_eq!(wire_of("/api/runs"), None);
        assert_eq!(wire_of("/v1beta"), None);
    }
}
