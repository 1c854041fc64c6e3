//! Requests and answers between wires: what is carried, what is lost by name, what is refused.

use serde_json::{Value, json};

use super::*;

pub(super) fn target() -> Target {
    Target {
        model: "there".into(),
        default_max_tokens: 4_096,
        newer_limit: false,
    }
}

pub(super) fn put(from: Wire, to: Wire, body: &Value) -> (Value, Vec<String>) {
    let done = request(from, to, body.to_string().as_bytes(), &target()).unwrap();
    (serde_json::from_slice(&done.body).unwrap(), done.lost)
}

fn refused(from: Wire, to: Wire, body: &Value) -> String {
    match request(from, to, body.to_string().as_bytes(), &target()) {
        Err(error) => error.to_string(),
        Ok(done) => panic!("{}", String::from_utf8_lossy(&done.body)),
    }
}

#[test]
fn chat_request_becomes_one_of_messages() {
    let (to, lost) = put(
        Wire::Chat,
        Wire::Messages,
        &json!({
            "model": "here", "max_completion_tokens": 9, "temperature": 1.5, "stop": "END", "stream": true,
            "user": "u", "seed": 7, "parallel_tool_calls": false, "stream_options": {"include_usage": true},
            "messages": [
                {"role": "system", "content": "be brief"},
                {"role": "user", "content": [
                    {"type": "text", "text": "what is this"},
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAA", "detail": "low"}},
                    {"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,BBB"}},
                ]},
                {"role": "assistant", "content": null, "tool_calls": [
                    {"id": "c1", "type": "function", "function": {"name": "look", "arguments": "{\"at\":1}"}},
                    {"id": "c2", "type": "function", "function": {"name": "look", "arguments": ""}},
                ]},
                {"role": "tool", "tool_call_id": "c1", "content": "a cat"},
                {"role": "tool", "tool_call_id": "c2", "content": "a dog"},
                {"role": "user", "content": "and?"},
            ],
            "tools": [{"type": "function", "function": {"name": "look", "description": "d", "parameters": {"type": "object"}, "strict": true}}],
            "tool_choice": "required",
        }),
    );
    assert_eq!(
        to,
        json!({
            "model": "there", "max_tokens": 9, "temperature": 1.0, "stop_sequences": ["END"], "stream": true,
            "metadata": {"user_id": "u"}, "system": "be brief",
            "messages": [
                {"role": "user", "content": [
                    {"type": "text", "text": "what is this"},
                    {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AAA"}},
                    {"type": "document", "source": {"type": "base64", "media_type": "application/pdf", "data": "BBB"}, "title": "a.pdf"},
                ]},
                {"role": "assistant", "content": [
                    {"type": "tool_use", "id": "c1", "name": "look", "input": {"at": 1}},
                    {"type": "tool_use", "id": "c2", "name": "look", "input": {}},
                ]},
                {"role": "user", "content": [
                    {"type": "tool_result", "tool_use_id": "c1", "content": [{"type": "text", "text": "a cat"}]},
                    {"type": "tool_result", "tool_use_id": "c2", "content": [{"type": "text", "text": "a dog"}]},
                    {"type": "text", "text": "and?"},
                ]},
            ],
            "tools": [{"name": "look", "description": "d", "input_schema": {"type": "object"}}],
            "tool_choice": {"type": "any", "disable_parallel_tool_use": true},
        })
    );
    assert_eq!(
        lost,
        [
            "messages.image_url.detail",
            "temperature above 1",
            "tools.strict",
            "seed"
        ]
    );
}

#[test]
fn what_would_mean_something_else_is_refused() {
    let said = json!([{"role": "user", "content": "q"}]);
    for (body, word) in [
        (json!({"model": "m", "messages": said, "n": 2}), "n:"),
        (
            json!({"model": "m", "messages": [{"role": "user", "content": [{"type": "input_audio"}]}]}),
            "input_audio",
        ),
        (
            json!({"model": "m", "messages": [{"role": "user", "content": [{"type": "file", "file": {"file_id": "f"}}]}]}),
            "file",
        ),
        (
            json!({"model": "m", "messages": said, "tools": [{"type": "web_search"}]}),
            "web_search",
        ),
        (
            json!({"model": "m", "messages": said, "modalities": ["audio"]}),
            "modalities",
        ),
    ] {
        let error = refused(Wire::Chat, Wire::Messages, &body);
        assert!(error.contains(word), "{error}");
    }
    for (name, value) in [
        ("previous_response_id", json!("r")),
        ("background", json!(true)),
        ("conversation", json!("c")),
    ] {
        let error = refused(
            Wire::Responses,
            Wire::Chat,
            &json!({"model": "m", "input": "q", name: value}),
        );
        assert!(error.contains(name), "{error}");
    }
    assert!(request(Wire::Embeddings, Wire::Messages, b"{}", &target()).is_err());
    assert!(request(Wire::Chat, Wire::Messages, b"[]", &target()).is_err());
}

#[test]
fn messages_request_becomes_a_chats() {
    let (to, lost) = put(
        Wire::Messages,
        Wire::Chat,
        &json!({
            "model": "here", "max_tokens": 9, "stream": true, "top_k": 3, "thinking": {"type": "enabled", "budget_tokens": 5},
            "system": [{"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}}, {"type": "text", "text": "b"}],
            "metadata": {"user_id": "u"}, "stop_sequences": ["END"],
            "messages": [
                {"role": "user", "content": "q"},
                {"role": "assistant", "content": [
                    {"type": "thinking", "thinking": "hm", "signature": "s"},
                    {"type": "text", "text": "I look"},
                    {"type": "tool_use", "id": "t1", "name": "look", "input": {"at": 1}},
                ]},
                {"role": "user", "content": [
                    {"type": "tool_result", "tool_use_id": "t1", "is_error": true, "content": [
                        {"type": "text", "text": "a cat"},
                        {"type": "image", "source": {"type": "url", "url": "https://x/y.png"}},
                    ]},
                    {"type": "text", "text": "and?"},
                ]},
            ],
            "tools": [
                {"name": "look", "description": "d", "input_schema": {"type": "object"}},
                {"type": "web_search_20250305", "name": "web_search"},
            ],
            "tool_choice": {"type": "tool", "name": "look", "disable_parallel_tool_use": true},
        }),
    );
    assert_eq!(
        to,
        json!({
            "model": "there", "max_tokens": 9, "stream": true, "stream_options": {"include_usage": true},
            "user": "u", "stop": ["END"],
            "messages": [
                {"role": "system", "content": "a\nb"},
                {"role": "user", "content": "q"},
                {"role": "assistant", "content": "I look", "tool_calls": [
                    {"id": "t1", "type": "function", "function": {"name": "look", "arguments": "{\"at\":1}"}},
                ]},
                {"role": "tool", "tool_call_id": "t1", "content": "a cat"},
                {"role": "user", "content": [
                    {"type": "image_url", "image_url": {"url": "https://x/y.png"}},
                    {"type": "text", "text": "and?"},
                ]},
            ],
            "tools": [{"type": "function", "function": {"name": "look", "description": "d", "parameters": {"type": "object"}}}],
            "tool_choice": {"type": "function", "function": {"name": "look"}}, "parallel_tool_calls": false,
        })
    );
    assert_eq!(
        lost,
        [
            "system.cache_control",
            "messages.thinking",
            "messages.tool_result.is_error",
            "tools.web_search_20250305",
            "top_k",
            "thinking",
        ]
    );
}

fn codex() -> Value {
    json!({
        "model": "here", "instructions": "be brief", "stream": true, "store": false,
        "input": [
            {"type": "message", "role": "developer", "content": [{"type": "input_text", "text": "rules"}]},
            {"role": "user", "content": [{"type": "input_text", "text": "q"}, {"type": "input_image", "image_url": "data:image/png;base64,A", "detail": "auto"}]},
            {"type": "reasoning", "encrypted_content": "sealed", "summary": []},
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "I look", "annotations": []}]},
            {"type": "function_call", "call_id": "c1", "name": "shell", "arguments": "{\"cmd\":\"ls\"}"},
            {"type": "custom_tool_call", "call_id": "c2", "name": "apply_patch", "input": "*** Begin"},
            {"type": "function_call_output", "call_id": "c1", "output": "a b"},
            {"type": "custom_tool_call_output", "call_id": "c2", "output": [{"type": "input_text", "text": "done"}]},
        ],
        "tools": [
            {"type": "function", "name": "shell", "parameters": {"type": "object"}, "strict": false},
            {"type": "custom", "name": "apply_patch", "description": "d", "format": {"type": "grammar"}},
            {"type": "web_search"},
        ],
        "tool_choice": "auto", "parallel_tool_calls": true, "reasoning": {"effort": "low", "summary": "auto"},
        "include": ["reasoning.encrypted_content"], "prompt_cache_key": "k",
        "text": {"verbosity": "low"},
    })
}

#[test]
fn responses_request_becomes_a_chats_and_one_of_messages() {
    let (to, lost) = put(Wire::Responses, Wire::Chat, &codex());
    assert_eq!(
        to["messages"],
        json!([
            {"role": "system", "content": "be brief"},
            {"role": "system", "content": "rules"},
            {"role": "user", "content": [{"type": "text", "text": "q"}, {"type": "image_url", "image_url": {"url": "data:image/png;base64,A", "detail": "auto"}}]},
            {"role": "assistant", "content": "I look", "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "shell", "arguments": "{\"cmd\":\"ls\"}"}},
                {"id": "c2", "type": "function", "function": {"name": "apply_patch", "arguments": "{\"input\":\"*** Begin\"}"}},
            ]},
            {"role": "tool", "tool_call_id": "c1", "content": "a b"},
            {"role": "tool", "tool_call_id": "c2", "content": "done"},
        ])
    );
    assert_eq!(to["tools"].as_array().unwrap().len(), 2);
    assert_eq!(to["reasoning_effort"], "low");
    assert_eq!(
        lost,
        [
            "input.reasoning",
            "tools.format",
            "tools.web_search",
            "reasoning.summary",
            "text.verbosity",
            "include",
            "prompt_cache_key",
        ]
    );
    let (to, _) = put(Wire::Responses, Wire::Messages, &codex());
    assert_eq!(
        to["system"],
        json!([{"type": "text", "text": "be brief"}, {"type": "text", "text": "rules"}])
    );
    assert_eq!(to["messages"][2]["content"][1]["tool_use_id"], "c2");
}

pub(super) fn context() -> AnswerContext {
    AnswerContext {
        id: "1".into(),
        created: 5,
        include_usage: true,
        custom_tools: vec!["apply_patch".into()],
        form: None,
    }
}

pub(super) fn told(from: Wire, to: Wire, body: &Value) -> Value {
    let body = answer(from, to, body.to_string().as_bytes(), &context()).unwrap();
    serde_json::from_slice(&body).unwrap()
}

#[test]
fn answer_of_messages_becomes_a_chats_and_one_of_responses() {
    let body = json!({
        "type": "message", "model": "claude", "stop_reason": "tool_use",
        "content": [
            {"type": "thinking", "thinking": "hm", "signature": "s"},
            {"type": "text", "text": "I look"},
            {"type": "tool_use", "id": "t1", "name": "look", "input": {"at": 1}},
        ],
        "usage": {"input_tokens": 3, "cache_read_input_tokens": 10, "cache_creation_input_tokens": 2, "output_tokens": 7},
    });
    let chat = told(Wire::Messages, Wire::Chat, &body);
    assert_eq!(
        chat["choices"][0],
        json!({
            "index": 0, "logprobs": null, "finish_reason": "tool_calls",
            "message": {"role": "assistant", "content": "I look", "refusal": null, "reasoning_content": "hm", "tool_calls": [
                {"id": "t1", "type": "function", "function": {"name": "look", "arguments": "{\"at\":1}"}},
            ]},
        })
    );
    assert_eq!(
        (&chat["model"], &chat["usage"]["prompt_tokens"]),
        (&json!("claude"), &json!(15))
    );
    let response = told(Wire::Messages, Wire::Responses, &body);
    let kinds: Vec<&Value> = response["output"]
        .as_array()
        .unwrap()
        .iter()
        .map(|o| &o["type"])
        .collect();
    assert_eq!(kinds, ["reasoning", "message", "function_call"]);
    assert_eq!(response["status"], "completed");
}

#[test]
fn answer_of_a_chat_becomes_one_of_messages() {
    let body = json!({
        "model": "gpt", "choices": [{"index": 0, "finish_reason": "length", "message": {
            "role": "assistant", "content": "hi", "reasoning_content": "hm",
            "tool_calls": [{"id": "c", "function": {"name": "look", "arguments": "not json"}}],
        }}],
        "usage": {"prompt_tokens": 9, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 4}},
    });
    let message = told(Wire::Chat, Wire::Messages, &body);
    assert_eq!(message["stop_reason"], "max_tokens");
    assert_eq!(
        message["usage"],
        json!({
            "input_tokens": 5, "cache_creation_input_tokens": 0, "cache_read_input_tokens": 4, "output_tokens": 5,
        })
    );
    assert_eq!(
        message["content"][2]["input"],
        json!({"arguments": "not json"})
    );
}

#[test]
fn form_is_asked_for_by_a_tool_and_comes_back_as_text() {
    let body = json!({
        "model": "m", "messages": [{"role": "user", "content": "q"}],
        "response_format": {"type": "json_schema", "json_schema": {"name": "v", "schema": {"type": "object"}}},
    });
    let done = request(
        Wire::Chat,
        Wire::Messages,
        body.to_string().as_bytes(),
        &target(),
    )
    .unwrap();
    let sent: Value = serde_json::from_slice(&done.body).unwrap();
    assert_eq!(sent["tool_choice"], json!({"type": "tool", "name": "v"}));
    let came = json!({
        "model": "c", "content": [{"type": "tool_use", "id": "t", "name": "v", "input": {"ok": true}}],
        "stop_reason": "tool_use",
    });
    let body = answer(
        Wire::Messages,
        Wire::Chat,
        came.to_string().as_bytes(),
        &done.answer,
    )
    .unwrap();
    let chat: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(chat["choices"][0]["message"]["content"], "{\"ok\":true}");
    assert_eq!(chat["choices"][0]["finish_reason"], "stop");
}
