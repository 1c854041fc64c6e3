//! Streams between wires: they amount to the whole answer, however they are cut.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::tests::{context, put, target, told};
use super::*;

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

#[test]
fn arguments_that_come_in_turns_stay_whole() {
    let call = |index: u64, id: &str, name: &str, arguments: &str| {
        let call =
            json!({"index": index, "id": id, "function": {"name": name, "arguments": arguments}});
        format!(
            "data: {}\n\n",
            json!({"choices": [{"delta": {"tool_calls": [call]}}]})
        )
    };
    let stream = call(0, "a", "one", "{\"x\":")
        + &call(1, "b", "two", "{\"y\":")
        + &call(0, "", "", "1}")
        + &call(1, "", "", "2}")
        + "data: {\"choices\":[{\"delta\":{},\"finish_reason\":\"tool_calls\"}]}\n\n";
    let message = assembled(&events_of(&streamed(
        Wire::Chat,
        Wire::Messages,
        &stream,
        &[],
    )));
    assert_eq!(message["content"][0]["input"], json!({"x": 1}));
    assert_eq!(message["content"][1]["input"], json!({"y": 2}));
    let events = events_of(&streamed(Wire::Chat, Wire::Responses, &stream, &[]));
    let done: Vec<&Value> = events
        .iter()
        .filter(|e| e["type"] == "response.output_item.done")
        .map(|e| &e["item"]["arguments"])
        .collect();
    assert_eq!(done, ["{\"x\":1}", "{\"y\":2}"]);
}

#[test]
fn what_is_no_answer_is_not_translated_into_one() {
    for body in [
        "{}",
        "[]",
        r#"{"error":{"message":"busy"}}"#,
        r#"{"choices":[{"message":{},"finish_reason":"error"}]}"#,
    ] {
        assert!(
            answer(Wire::Chat, Wire::Messages, body.as_bytes(), &context()).is_err(),
            "{body}"
        );
    }
    assert!(answer(Wire::Messages, Wire::Chat, b"{}", &context()).is_err());
    let huge = json!({"model": "m", "stop_reason": "end_turn", "content": [{"type": "text", "text": "a"}],
        "usage": {"input_tokens": u64::MAX, "cache_read_input_tokens": 1, "output_tokens": u64::MAX}});
    assert!(told(Wire::Messages, Wire::Responses, &huge)["usage"]["total_tokens"].is_u64());
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
