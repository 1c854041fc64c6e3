//! Answers of each wire, clean and dirty, as they are read.

use super::*;
use proptest::prelude::*;

fn stream(wire: Wire, text: &str) -> Seen {
    let mut reader = Reader::new(wire);
    reader.push(text.as_bytes());
    reader.finish();
    reader.seen
}

fn whole(wire: Wire, text: &str) -> Seen {
    let mut reader = Reader::new(wire);
    reader.whole(text.as_bytes());
    reader.seen
}

fn usage(
    input: u64,
    output: u64,
    cached_read: u64,
    cache_write: u64,
    reasoning: u64,
) -> Option<Usage> {
    Some(Usage {
        input,
        output,
        cached_read,
        cache_write,
        reasoning,
    })
}

const CHAT: &str = concat!(
    ": processing\r\n\r\n",
    "data: {\"model\":\"gpt-x-2026\",\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"}}]}\n\n",
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"reasoning_content\":\"hm\"}}]}\n\n",
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"h\u{e9}llo\"}}]}\n\n",
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"c1\",\"function\":{\"name\":\"read\",\"arguments\":\"\"}}]}}]}\n\n",
    "data: {\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"{\\\"a\\\":1}\"}}]}}]}\n\n",
    "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"tool_calls\"}]}\n\n",
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":5,\"total_tokens\":14,\"prompt_tokens_details\":{\"cached_tokens\":4},\"completion_tokens_details\":{\"reasoning_tokens\":2}}}\n\n",
    "data: [DONE]\n\n",
);

const MESSAGES: &str = concat!(
    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"model\":\"claude-y\",\"usage\":{\"input_tokens\":3,\"cache_creation_input_tokens\":2,\"cache_read_input_tokens\":10,\"output_tokens\":1}}}\n\n",
    "event: ping\ndata: {\"type\":\"ping\"}\n\n",
    "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"thinking\",\"thinking\":\"\"}}\n\n",
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"thinking_delta\",\"thinking\":\"hm\"}}\n\n",
    "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":1,\"content_block\":{\"type\":\"tool_use\",\"id\":\"t1\",\"name\":\"read\",\"input\":{}}}\n\n",
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":1,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"{\\\"a\\\":\"}}\n\n",
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":1,\"delta\":{\"type\":\"input_json_delta\",\"partial_json\":\"1}\"}}\n\n",
    "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"tool_use\"},\"usage\":{\"output_tokens\":7}}\n\n",
    "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
);

const RESPONSES: &str = concat!(
    "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"model\":\"gpt-z\",\"status\":\"in_progress\"}}\n\n",
    "event: response.output_item.added\ndata: {\"type\":\"response.output_item.added\",\"output_index\":0,\"item\":{\"type\":\"function_call\",\"name\":\"read\",\"call_id\":\"c\"}}\n\n",
    "event: response.function_call_arguments.delta\ndata: {\"type\":\"response.function_call_arguments.delta\",\"output_index\":0,\"delta\":\"{\\\"a\\\":1}\"}\n\n",
    "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"output_index\":1,\"delta\":\"hi\"}\n\n",
    "event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"model\":\"gpt-z\",\"status\":\"completed\",\"output\":[{\"type\":\"function_call\",\"name\":\"read\",\"arguments\":\"{}\"}],\"usage\":{\"input_tokens\":8,\"input_tokens_details\":{\"cached_tokens\":3},\"output_tokens\":6,\"output_tokens_details\":{\"reasoning_tokens\":1}}}}\n\n",
);

const GEMINI: &str = concat!(
    "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"hm\",\"thought\":true}]}}],\"modelVersion\":\"gemini-q\"}\r\n\r\n",
    "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"hi\"},{\"functionCall\":{\"name\":\"read\",\"args\":{\"a\":1}}}]},\"finishReason\":\"STOP\"}],\"usageMetadata\":{\"promptTokenCount\":11,\"candidatesTokenCount\":2,\"thoughtsTokenCount\":3,\"cachedContentTokenCount\":5}}\r\n\r\n",
);

const ALL: [(Wire, &str); 4] = [
    (Wire::Chat, CHAT),
    (Wire::Messages, MESSAGES),
    (Wire::Responses, RESPONSES),
    (Wire::Gemini, GEMINI),
];

#[test]
fn stream_of_every_wire_is_read() {
    let wanted = [
        ("gpt-x-2026", usage(9, 5, 4, 0, 2), End::ToolCalls),
        ("claude-y", usage(15, 7, 10, 2, 0), End::ToolCalls),
        ("gpt-z", usage(8, 6, 3, 0, 1), End::ToolCalls),
        ("gemini-q", usage(11, 5, 5, 0, 3), End::Stop),
    ];
    for ((wire, text), (model, used, end)) in ALL.into_iter().zip(wanted) {
        let seen = stream(wire, text);
        assert_eq!(seen.model.as_deref(), Some(model), "{wire:?}");
        assert_eq!(seen.usage, used, "{wire:?}");
        assert_eq!(seen.end, Some(end), "{wire:?}");
        assert!(
            seen.is_complete && seen.has_content && !seen.is_malformed,
            "{wire:?}"
        );
        assert!(seen.error.is_none(), "{wire:?}");
        let tools = seen.tools();
        assert_eq!((tools.len(), &*tools[0].name), (1, "read"), "{wire:?}");
    }
    // The same call has the same hash, whatever wire it came by.
    let hashes = ALL.map(|(wire, text)| stream(wire, text).tools()[0].arguments);
    assert!(hashes.iter().all(|h| *h == hashes[0]), "{hashes:?}");
}

#[test]
fn whole_answer_of_every_wire_is_read() {
    let chat = r#"{"model":"m","choices":[{"index":0,"message":{"content":"hi","tool_calls":[{"id":"c","function":{"name":"read","arguments":"{\"a\":1}"}}]},"finish_reason":"stop"}],"usage":{"prompt_tokens":1,"completion_tokens":2}}"#;
    let messages = r#"{"type":"message","model":"m","content":[{"type":"text","text":"hi"},{"type":"tool_use","name":"read","input":{"a":1}}],"stop_reason":"end_turn","usage":{"input_tokens":1,"output_tokens":2}}"#;
    let responses = r#"{"model":"m","status":"incomplete","incomplete_details":{"reason":"max_output_tokens"},"output":[{"type":"message","content":[{"type":"output_text","text":"hi"}]},{"type":"function_call","name":"read","arguments":"{\"a\":1}"}],"usage":{"input_tokens":1,"output_tokens":2}}"#;
    let gemini = r#"[{"candidates":[{"content":{"parts":[{"text":"hi"},{"functionCall":{"name":"read","args":{"a":1}}}]},"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":1,"candidatesTokenCount":2},"modelVersion":"m"}]"#;
    let completions = r#"{"model":"m","choices":[{"text":"hi","finish_reason":"length"}],"usage":{"prompt_tokens":1,"completion_tokens":2}}"#;
    let all = [
        (Wire::Chat, chat, End::Stop),
        (Wire::Messages, messages, End::Stop),
        (Wire::Responses, responses, End::Length),
        (Wire::Gemini, gemini, End::Stop),
        (Wire::Completions, completions, End::Length),
    ];
    let mut prints = Vec::new();
    for (wire, text, end) in all {
        let seen = whole(wire, text);
        assert_eq!(
            (seen.model.as_deref(), seen.end.clone()),
            (Some("m"), Some(end)),
            "{wire:?}"
        );
        assert_eq!(seen.usage, usage(1, 2, 0, 0, 0), "{wire:?}");
        assert!(seen.is_complete && seen.has_content, "{wire:?}");
        prints.push(seen.fingerprint());
    }
    assert!(prints[..4].iter().all(|p| *p == prints[0]) && prints[4] != prints[0]);
    let embeddings = whole(
        Wire::Embeddings,
        r#"{"model":"e","data":[],"usage":{"prompt_tokens":4,"total_tokens":4}}"#,
    );
    assert_eq!(embeddings.usage, usage(4, 0, 0, 0, 0));
}

#[test]
fn stream_that_breaks_off_is_not_complete() {
    for (wire, text) in ALL {
        let half = &text[..text.len() / 2];
        let seen = stream(wire, half);
        assert!(!seen.is_complete, "{wire:?}");
    }
    // An end without [DONE] is known by its reason.
    let seen = stream(
        Wire::Chat,
        "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n",
    );
    assert!(!seen.is_complete && seen.end == Some(End::Stop));
}

#[test]
fn errors_inside_a_stream_are_seen_in_every_wire() {
    let all = [
        (
            Wire::Chat,
            "data: {\"error\":{\"message\":\"busy\",\"code\":529}}\n\n",
        ),
        (
            Wire::Messages,
            "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"busy\"}}\n\n",
        ),
        (
            Wire::Responses,
            "data: {\"type\":\"error\",\"code\":\"server_error\",\"message\":\"busy\"}\n\n",
        ),
        (
            Wire::Responses,
            "data: {\"type\":\"response.failed\",\"response\":{\"status\":\"failed\",\"error\":{\"code\":\"x\",\"message\":\"busy\"}}}\n\n",
        ),
        (
            Wire::Gemini,
            "data: {\"error\":{\"code\":503,\"message\":\"busy\",\"status\":\"UNAVAILABLE\"}}\n\n",
        ),
    ];
    for (wire, text) in all {
        let seen = stream(wire, text);
        assert_eq!(
            seen.error.map(|e| e.message),
            Some("busy".into()),
            "{wire:?}"
        );
    }
}

#[test]
fn foreign_fields_spoil_nothing() {
    let dirty = concat!(
        "data: {\"model\":7,\"choices\":{\"a\":1},\"usage\":null}\n\n",
        "data: not json\n\n",
        "data: {\"choices\":null}\n\n",
        "data: {\"choices\":[]}\n\n",
        "data: {\"id\":\"\",\"object\":\"\",\"model\":\"\",\"choices\":[],\"prompt_filter_results\":[]}\n\n",
        "data: {\"choices\":[{\"delta\":{\"content\":[{\"type\":\"text\",\"text\":\"a\"}],\"tool_calls\":[{\"function\":{\"name\":\"f\",\"arguments\":\"1\"}},{\"function\":{\"name\":\"g\",\"arguments\":\"2\"}}]},\"finish_reason\":5}]}\n\n",
        "data: {\"choices\":[{\"delta\":{\"refusal\":\"no\"},\"finish_reason\":\"content_filter\"}]}\n\ndata: [DONE]",
    );
    let seen = stream(Wire::Chat, dirty);
    assert!(seen.is_malformed && seen.is_complete && seen.has_content);
    assert_eq!(seen.end, Some(End::ContentFilter));
    assert_eq!(seen.tools().len(), 2);
    assert_eq!((seen.model, seen.usage), (None, None));
}

#[test]
fn thought_under_two_names_and_empty_ends_are_read() {
    let both = "data: {\"choices\":[{\"delta\":{\"content\":\"a\",\"reasoning\":null,\"reasoning_content\":null},\"finish_reason\":\"\"}]}\n\n";
    let seen = stream(Wire::Chat, both);
    assert!(seen.has_content && seen.end.is_none() && !seen.is_malformed);
    let failed = stream(
        Wire::Chat,
        "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"error\"}]}\n\n",
    );
    assert!(failed.error.is_some());
}

proptest! {
    #[test]
    fn cuts_change_nothing_that_is_read(which in 0..4_usize, cuts in prop::collection::vec(1..40_usize, 0..60)) {
        let (wire, text) = ALL[which];
        let mut reader = Reader::new(wire);
        let mut rest = text.as_bytes();
        for cut in cuts {
            let (now, later) = rest.split_at(cut.min(rest.len()));
            reader.push(now);
            rest = later;
        }
        reader.push(rest);
        reader.finish();
        let (cut, at_once) = (reader.seen, stream(wire, text));
        prop_assert_eq!(cut.usage, at_once.usage);
        prop_assert_eq!(cut.fingerprint(), at_once.fingerprint());
        prop_assert_eq!(cut.content_bytes, at_once.content_bytes);
        prop_assert_eq!(cut.tools(), at_once.tools());
        prop_assert!(cut.is_complete && !cut.is_malformed);
    }

    #[test]
    fn nothing_that_comes_makes_it_panic(text in ".{0,200}", which in 0..4_usize) {
        let (wire, _) = ALL[which];
        stream(wire, &text);
        whole(wire, &text);
        stream(wire, &format!("data: {text}\n\n"));
    }
}
