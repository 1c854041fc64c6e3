//! Requests and answers between wires: what is carried, what is lost by name, what is refused.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;

fn target() -> Target {
    Target {
        model: "there".into(),
        default_max_tokens: 4_096,
        newer_limit: false,
    }
}

fn put(from: Wire, to: Wire, body: &Value) -> (Value, Vec<String>) {
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

fn context() -> AnswerContext {
    AnswerContext {
        id: "1".into(),
        created: 5,
        include_usage: true,
        custom_tools: vec!["apply_patch".into()],
        form: None,
    }
}

fn told(from: Wire, to: Wire, body: &Value) -> Value {
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

fn events_of(out: &[u8]) -> Vec<Value> {
    let text = String::from_utf8(out.to_vec()).unwrap();
    let data = text.lines().filter_map(|l| l.strip_prefix("data: "));
    data.filter(|d| *d != "[DONE]")
        .map(|d| serde_json::from_str(d).unwrap())
        .collect()
}

/// A stream of a provider, its answer as a whole, and the wire.
fn chat_stream(texts: &[String], tool: bool) -> (String, Value) {
    let mut stream = String::new();
    let mut chunk = |delta: Value, finish: Value| {
        let chunk = json!({"model": "m", "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]});
        stream.push_str(&format!("data: {chunk}\n\n"));
    };
    for text in texts {
        chunk(json!({"content": text}), Value::Null);
    }
    let mut message = json!({"role": "assistant", "content": texts.concat()});
    if tool {
        chunk(
            json!({"tool_calls": [{"index": 0, "id": "c", "function": {"name": "look", "arguments": ""}}]}),
            Value::Null,
        );
        chunk(
            json!({"tool_calls": [{"index": 0, "function": {"arguments": "{\"at\":"}}]}),
            Value::Null,
        );
        chunk(
            json!({"tool_calls": [{"index": 0, "function": {"arguments": "1}"}}]}),
            Value::Null,
        );
        message["tool_calls"] =
            json!([{"id": "c", "function": {"name": "look", "arguments": "{\"at\":1}"}}]);
    }
    let finish = if tool { "tool_calls" } else { "stop" };
    chunk(json!({}), finish.into());
    let usage = json!({"prompt_tokens": 4, "completion_tokens": 2});
    stream.push_str(&format!(
        "data: {}\n\ndata: [DONE]\n\n",
        json!({"model": "m", "choices": [], "usage": usage})
    ));
    let whole = json!({"model": "m", "usage": usage, "choices": [{"index": 0, "message": message, "finish_reason": finish}]});
    (stream, whole)
}

fn streamed(from: Wire, to: Wire, text: &str, cuts: &[usize]) -> Vec<u8> {
    let mut translator = StreamTranslator::new(from, to, context()).unwrap();
    let (mut out, mut rest) = (Vec::new(), text.as_bytes());
    for cut in cuts {
        let (now, later) = rest.split_at((*cut).min(rest.len()));
        translator.push(now, &mut out);
        rest = later;
    }
    translator.push(rest, &mut out);
    translator.finish(&mut out);
    out
}

/// What a stream of Messages amounts to.
fn assembled(events: &[Value]) -> Value {
    let mut message = Value::Null;
    let mut arguments = String::new();
    for event in events {
        let at = event["index"].as_u64().unwrap_or(0) as usize;
        match event["type"].as_str().unwrap() {
            "message_start" => message = event["message"].clone(),
            "content_block_start" => message["content"]
                .as_array_mut()
                .unwrap()
                .push(event["content_block"].clone()),
            "content_block_delta" => match event["delta"]["type"].as_str().unwrap() {
                "text_delta" => {
                    let said = message["content"][at]["text"].as_str().unwrap().to_owned();
                    message["content"][at]["text"] =
                        (said + event["delta"]["text"].as_str().unwrap()).into();
                }
                _ => arguments.push_str(event["delta"]["partial_json"].as_str().unwrap()),
            },
            "content_block_stop" if !arguments.is_empty() => {
                message["content"][at]["input"] = serde_json::from_str(&arguments).unwrap();
                arguments.clear();
            }
            "message_delta" => {
                message["stop_reason"] = event["delta"]["stop_reason"].clone();
                message["usage"] = event["usage"].clone();
            }
            _ => {}
        }
    }
    message
}

#[test]
fn stream_of_responses_is_numbered_and_closes_what_it_opens() {
    let (stream, whole) = chat_stream(&["a".into(), "b".into()], true);
    let events = events_of(&streamed(Wire::Chat, Wire::Responses, &stream, &[]));
    let numbers: Vec<u64> = events
        .iter()
        .map(|e| e["sequence_number"].as_u64().unwrap())
        .collect();
    assert_eq!(numbers, (0..numbers.len() as u64).collect::<Vec<_>>());
    let kinds: Vec<&str> = events.iter().map(|e| e["type"].as_str().unwrap()).collect();
    assert_eq!(
        kinds,
        [
            "response.created",
            "response.in_progress",
            "response.output_item.added",
            "response.content_part.added",
            "response.output_text.delta",
            "response.output_text.delta",
            "response.output_text.done",
            "response.content_part.done",
            "response.output_item.done",
            "response.output_item.added",
            "response.function_call_arguments.delta",
            "response.function_call_arguments.delta",
            "response.function_call_arguments.done",
            "response.output_item.done",
            "response.completed",
        ]
    );
    assert_eq!(
        events.last().unwrap()["response"],
        told(Wire::Chat, Wire::Responses, &whole)
    );
}

#[test]
fn custom_tool_comes_back_as_one() {
    let chunk = |delta: Value| format!("data: {}\n\n", json!({"choices": [{"delta": delta}]}));
    let stream = chunk(
        json!({"tool_calls": [{"index": 0, "id": "c", "function": {"name": "apply_patch", "arguments": "{\"input\":"}}]}),
    ) + &chunk(
        json!({"tool_calls": [{"index": 0, "function": {"arguments": "\"*** Begin\"}"}}]}),
    );
    let events = events_of(&streamed(Wire::Chat, Wire::Responses, &stream, &[]));
    let done = events
        .iter()
        .find(|e| e["type"] == "response.output_item.done")
        .unwrap();
    assert_eq!(
        (&done["item"]["type"], &done["item"]["input"]),
        (&json!("custom_tool_call"), &json!("*** Begin"))
    );
}

#[test]
fn tools_with_odd_indexes_stay_apart() {
    for (first, second) in [
        (json!(null), json!(null)),
        (json!(0), json!(0)),
        (json!(3), json!(7)),
    ] {
        let call = |index: &Value, id: &str, name: &str, arguments: &str| {
            let call = json!({"index": index, "id": id, "function": {"name": name, "arguments": arguments}});
            format!(
                "data: {}\n\n",
                json!({"choices": [{"delta": {"tool_calls": [call]}}]})
            )
        };
        let stream = call(&first, "a", "one", "{\"x\":")
            + &call(&first, "", "", "1}")
            + &call(&second, "b", "two", "")
            + &call(&second, "", "", "{}");
        let events = events_of(&streamed(Wire::Chat, Wire::Messages, &stream, &[]));
        let message = assembled(&events);
        assert_eq!(message["content"][0]["input"], json!({"x": 1}), "{first}");
        assert_eq!(message["content"][1]["name"], "two", "{first}");
    }
}

proptest! {
    #[test]
    fn stream_amounts_to_the_whole_answer(
        texts in prop::collection::vec("[^\u{0}]{1,8}", 1..5), tool: bool,
        cuts in prop::collection::vec(1..60_usize, 0..40),
    ) {
        let (stream, whole) = chat_stream(&texts, tool);
        let events = events_of(&streamed(Wire::Chat, Wire::Messages, &stream, &cuts));
        prop_assert_eq!(assembled(&events), told(Wire::Chat, Wire::Messages, &whole));
        let events = events_of(&streamed(Wire::Chat, Wire::Responses, &stream, &cuts));
        prop_assert_eq!(&events.last().unwrap()["response"], &told(Wire::Chat, Wire::Responses, &whole));
    }

    #[test]
    fn chat_request_survives_the_way_there_and_back(
        system in "[a-z ]{1,12}", texts in prop::collection::vec("[^\u{0}]{1,12}", 1..4), limit in 1..9_000_u64,
    ) {
        let mut messages = vec![json!({"role": "system", "content": system})];
        for (at, text) in texts.iter().enumerate() {
            let role = if at % 2 == 0 { "user" } else { "assistant" };
            messages.push(json!({"role": role, "content": text}));
        }
        let body = json!({"model": "there", "max_tokens": limit, "temperature": 0.5, "messages": messages});
        let (there, lost) = put(Wire::Chat, Wire::Messages, &body);
        prop_assert!(lost.is_empty());
        let (back, lost) = put(Wire::Messages, Wire::Chat, &there);
        prop_assert!(lost.is_empty());
        let same: Value = serde_json::from_str(&body.to_string()).unwrap();
        prop_assert_eq!(back, same);
    }

    #[test]
    fn no_json_makes_it_panic(name in prop::sample::select(vec![
        "messages", "input", "tools", "system", "tool_choice", "content", "response_format", "text", "reasoning",
    ]), text in "[\\[\\]{}:,\"a-z0-9]{0,40}") {
        let value: Value = serde_json::from_str(&text).unwrap_or(json!([{"role": "user", "content": text}]));
        let body = json!({"model": "m", name: value}).to_string();
        for (from, to) in [
            (Wire::Chat, Wire::Messages), (Wire::Messages, Wire::Chat),
            (Wire::Responses, Wire::Chat), (Wire::Responses, Wire::Messages),
        ] {
            let _ = request(from, to, body.as_bytes(), &target());
            let _ = answer(to, from, body.as_bytes(), &context());
            streamed(to, from, &format!("data: {body}\n\n"), &[]);
        }
    }
}
