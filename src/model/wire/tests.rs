//! What real servers send, and what nobody should: a corpus of streams whose first line says what each
//! amounts to, and streams made at random, cut at random.

use crate::model::Request;
use crate::workspace::models::Structured;
use std::path::Path;
use std::sync::Arc;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::model::prompt::Prompt;
use crate::model::provider_request::Format;
use crate::model::{Message, RequestOptions, Role, Tool, ToolCall, ToolChoice};
use crate::workspace::models::TokenParameter;

/// Reads a stream in pieces of `cut` bytes.
fn read(kind: &str, bytes: &[u8], cut: usize) -> (AnswerBuilder, Option<Fault>) {
    let wire = of(kind).unwrap();
    let (mut parser, mut fault) = (sse::Parser::default(), None);
    let mut draft = AnswerBuilder::of(Some("verdict".into()));
    let mut each = |event: sse::Event| {
        if fault.is_none() && !draft.done {
            fault = wire.event(&event, &mut draft).err();
        }
    };
    for chunk in bytes.chunks(cut) {
        parser.push(chunk, &mut each).unwrap();
    }
    parser.finish(&mut each).unwrap();
    (draft, fault)
}

/// An id of ours, where the server gave none.
fn made_up(id: &str) -> bool {
    id.len() == 21 && id.starts_with("call_")
}

/// What a stream amounts to, in the words of the corpus.
fn words(draft: &AnswerBuilder, fault: Option<Fault>) -> String {
    match fault {
        Some(Fault::Malformed(_)) => return "malformed".into(),
        Some(Fault::Reported { status, .. }) => return format!("error {status}"),
        None => {}
    }
    let done = if draft.done { "done" } else { "open" };
    let finish = match &draft.finish {
        None => "-",
        Some(FinishReason::Stop | FinishReason::LoadContext) => "stop",
        Some(FinishReason::Length) => "length",
        Some(FinishReason::Refused(_)) => "refused",
        Some(FinishReason::Other(_)) => "other",
    };
    let tokens = draft
        .tokens
        .map_or("-".to_owned(), |t| format!("{}/{}", t.prompt, t.completion));
    let mut out = format!("{done} {finish} {tokens} {}", draft.text);
    if !draft.citations.is_empty() {
        out.push_str(" cites");
        for citation in &draft.citations {
            out.push(' ');
            out.push_str(citation.url.raw());
        }
    }
    for call in draft.calls() {
        out.push_str(&format!(
            " calls {} {}({})",
            if made_up(&call.id) { "*" } else { &call.id },
            call.name,
            call.arguments
        ));
    }
    out
}

#[test]
fn every_stream_of_the_corpus_amounts_to_what_it_says_however_it_is_cut() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpora/streams");
    let mut seen = 0;
    for (kind, _) in KINDS {
        for file in std::fs::read_dir(root.join(kind)).unwrap() {
            let path = file.unwrap().path();
            let bytes = std::fs::read(&path).unwrap();
            let text = String::from_utf8(bytes.clone()).unwrap();
            let first = text.lines().next().unwrap();
            let wanted = first.strip_prefix(": expect ").unwrap();
            for cut in [1, 2, 3, 7, 64, bytes.len()] {
                let (draft, fault) = read(kind, &bytes, cut);
                assert_eq!(words(&draft, fault), wanted, "{} by {cut}", path.display());
            }
            seen += 1;
        }
    }
    assert!(seen >= 25, "{seen}");
}

fn prompt(system: &str, messages: Vec<Message>) -> Arc<Prompt> {
    Arc::new(Prompt {
        system: system.into(),
        messages,
        left_out: Vec::new(),
    })
}

fn request(format: Format, structured: Structured) -> Request {
    let said = |role, text: &str| Message::new(role, text);
    Request {
        model: "m".into(),
        upstream_name: "m".into(),
        prompt: prompt(
            "s",
            vec![
                said(Role::User, "q"),
                said(Role::Assistant, "a"),
                said(Role::User, "r"),
            ],
        ),
        max_output_tokens: 7,
        temperature: Some(1.5),
        parameter: TokenParameter::MaxTokens,
        format,
        structured,
        stream: true,
        recency: Some("week"),
        extras: RequestOptions::none(),
    }
}

fn json_form() -> Format {
    Format::Json {
        name: "verdict".into(),
        description: None,
        schema: Arc::new(json!({"type": "object"})),
        strict: true,
    }
}

#[test]
fn each_kind_asks_in_its_own_words() {
    let body = |kind: &str, format, structured, habits| {
        of(kind).unwrap().body(&request(format, structured), habits)
    };
    let plain = ProviderQuirks::default();
    let chat = body("chat", json_form(), Structured::Schema, plain);
    assert_eq!(chat["messages"].as_array().unwrap().len(), 4);
    assert_eq!(
        (&chat["max_tokens"], &chat["stream"]),
        (&json!(7), &json!(true))
    );
    assert_eq!(chat["response_format"]["json_schema"]["strict"], true);
    assert_eq!(chat["stream_options"]["include_usage"], true);
    let object = body("chat", json_form(), Structured::Object, plain);
    assert_eq!(object["response_format"], json!({"type": "json_object"}));
    for (format, structured) in [
        (Format::Text, Structured::Schema),
        (json_form(), Structured::None),
    ] {
        assert_eq!(
            body("chat", format, structured, plain).get("response_format"),
            None
        );
    }
    let perplexity = body("perplexity", json_form(), Structured::Schema, plain);
    assert_eq!(
        perplexity["response_format"]["json_schema"]["schema"]["type"],
        "object"
    );
    assert_eq!(perplexity["search_recency_filter"], "week");
    assert_eq!(perplexity.get("stream_options"), None);
    let anthropic = body("anthropic", json_form(), Structured::Schema, plain);
    assert_eq!(
        (&anthropic["system"], &anthropic["temperature"]),
        (&json!("s"), &json!(1.0))
    );
    assert_eq!(anthropic["tool_choice"]["name"], "verdict");
    assert_eq!(anthropic["messages"].as_array().unwrap().len(), 3);
    let text = body("anthropic", Format::Text, Structured::Schema, plain);
    assert_eq!(text.get("tools"), None);
}

/// A conversation about a tool, and what goes with it.
fn with_tools() -> Request {
    let call = |id: &str, name: &str| ToolCall {
        id: id.into(),
        name: name.into(),
        arguments: r#"{"city":"Oslo"}"#.into(),
    };
    let answer = |id: &str| Message {
        answers: id.into(),
        ..Message::new(Role::Tool, "rain")
    };
    Request {
        prompt: prompt(
            "",
            vec![
                Message::new(Role::User, "weather?"),
                Message {
                    calls: vec![call("a", "lookup"), call("b", "lookup")],
                    ..Message::new(Role::Assistant, "")
                },
                answer("a"),
                answer("b"),
            ],
        ),
        extras: Arc::new(RequestOptions {
            tools: vec![Tool {
                name: "lookup".into(),
                description: Some("The weather.".into()),
                parameters: Some(json!({"type": "object"})),
                strict: Some(true),
            }],
            choice: Some(ToolChoice::Named("lookup".into())),
            parallel: Some(false),
            stop: vec!["END".into()],
            top_p: Some(0.5),
            chat: serde_json::Map::from_iter([("seed".to_owned(), json!(7))]),
            passed_on: true,
        }),
        ..request(Format::Text, Structured::Schema)
    }
}

#[test]
fn tools_and_what_they_said_go_out_in_each_kinds_own_form() {
    let chat = of("chat")
        .unwrap()
        .body(&with_tools(), ProviderQuirks::default());
    let call = |id: &str| json!({"id": id, "type": "function", "function": {"name": "lookup", "arguments": "{\"city\":\"Oslo\"}"}});
    assert_eq!(
        chat["messages"],
        json!([
            {"role": "user", "content": "weather?"},
            {"role": "assistant", "content": null, "tool_calls": [call("a"), call("b")]},
            {"role": "tool", "content": "rain", "tool_call_id": "a"},
            {"role": "tool", "content": "rain", "tool_call_id": "b"},
        ])
    );
    assert_eq!(
        chat["tools"],
        json!([{"type": "function", "function": {
            "name": "lookup", "description": "The weather.", "parameters": {"type": "object"}, "strict": true,
        }}])
    );
    assert_eq!(chat["tool_choice"]["function"]["name"], "lookup");
    assert_eq!(
        json!([
            chat["parallel_tool_calls"],
            chat["stop"],
            chat["top_p"],
            chat["seed"]
        ]),
        json!([false, ["END"], 0.5, 7])
    );

    let anthropic = of("anthropic")
        .unwrap()
        .body(&with_tools(), ProviderQuirks::default());
    let used = |id: &str| json!({"type": "tool_use", "id": id, "name": "lookup", "input": {"city": "Oslo"}});
    let result = |id: &str| json!({"type": "tool_result", "tool_use_id": id, "content": "rain"});
    assert_eq!(
        anthropic["messages"],
        json!([
            {"role": "user", "content": "weather?"},
            {"role": "assistant", "content": [used("a"), used("b")]},
            {"role": "user", "content": [result("a"), result("b")]},
        ])
    );
    assert_eq!(
        anthropic["tools"],
        json!([{"name": "lookup", "description": "The weather.", "input_schema": {"type": "object"}}])
    );
    assert_eq!(
        anthropic["tool_choice"],
        json!({"type": "tool", "name": "lookup", "disable_parallel_tool_use": true})
    );
    assert_eq!(anthropic["stop_sequences"], json!(["END"]));
    assert_eq!(
        (anthropic.get("system"), anthropic.get("seed")),
        (None, None)
    );
}

#[test]
fn what_anthropic_would_refuse_is_said_otherwise() {
    let mut request = with_tools();
    Arc::make_mut(&mut request.prompt)
        .messages
        .insert(1, Message::new(Role::Assistant, ""));
    request.temperature = None;
    let mut extras = (*request.extras).clone();
    extras.tools[0].parameters = Some(json!({"properties": {}}));
    extras.stop = vec!["\n".into(), "END".into()];
    request.extras = Arc::new(extras.clone());
    let wire = of("anthropic").unwrap();
    let body = wire.body(&request, ProviderQuirks::default());
    assert_eq!(
        body["messages"].as_array().unwrap().len(),
        3,
        "nothing said is left out"
    );
    assert_eq!(body["tools"][0]["input_schema"]["type"], "object");
    assert_eq!(body["stop_sequences"], json!(["END"]));
    assert_eq!(
        (&body["top_p"], body.get("temperature")),
        (&json!(0.5), None)
    );
    // No tool may be used any more, and those of the conversation must be known.
    extras.tools.clear();
    request.extras = Arc::new(extras);
    let body = wire.body(&request, ProviderQuirks::default());
    assert_eq!(
        body["tools"],
        json!([{"name": "lookup", "input_schema": {"type": "object"}}])
    );
    assert_eq!(body["tool_choice"], json!({"type": "none"}));
    // Who can be held to what.
    let schema = || Format::Json {
        name: "v".into(),
        description: None,
        schema: Arc::new(json!({})),
        strict: false,
    };
    for (kind, format, structured, tools, can) in [
        ("chat", Format::Object, Structured::Object, true, true),
        ("chat", schema(), Structured::None, false, false),
        (
            "perplexity",
            Format::Object,
            Structured::Schema,
            false,
            false,
        ),
        ("anthropic", schema(), Structured::Schema, false, true),
        ("anthropic", schema(), Structured::Schema, true, false),
        (
            "anthropic",
            Format::Object,
            Structured::Schema,
            false,
            false,
        ),
        ("anthropic", Format::Text, Structured::None, true, true),
    ] {
        let has = of(kind).unwrap().has_form(&format, structured, tools);
        assert_eq!(has, can, "{kind} {format:?}");
    }
}

#[test]
fn what_a_model_refuses_is_left_out_or_said_otherwise() {
    let chat = of("chat").unwrap();
    let mut habits = ProviderQuirks::default();
    for field in [
        "max_tokens",
        "temperature",
        "response_format.json_schema", // less is asked for
        "response_format",             // nothing is
        "stream_options",
        "stream",
    ] {
        assert!(habits.learn(field), "{field}");
    }
    for field in ["max_tokens", "json_schema", "stream"] {
        assert!(!habits.learn(field), "{field}: once");
    }
    assert!(!habits.learn("messages[1].content"));
    let body = chat.body(&request(json_form(), Structured::Schema), habits);
    let fields: Vec<&String> = body.as_object().unwrap().keys().collect();
    assert_eq!(fields, ["model", "messages", "max_completion_tokens"]);
    let body = of("anthropic")
        .unwrap()
        .body(&request(json_form(), Structured::Schema), habits);
    assert_eq!(body.get("tools"), None);
}

proptest! {
    /// Events of the right shape with anything in them: never a panic, and the cuts change nothing.
    #[test]
    fn streams_at_random_are_read_the_same_however_they_are_cut(
        kind in prop::sample::select(vec!["chat", "perplexity", "anthropic"]),
        pieces in prop::collection::vec("\\PC{0,12}", 0..8),
        end in prop::sample::select(vec!["stop", "length", "content_filter", "end_turn", "max_tokens", ""]),
        cut in 1..40usize,
    ) {
        let event = |text: &str| if kind == "anthropic" {
            json!({"type": "content_block_delta", "delta": {"type": "text_delta", "text": text}})
        } else {
            json!({"choices": [{"delta": {"content": text}}]})
        };
        let mut stream: String = pieces.iter().map(|p| format!("data: {}\r\n\r\n", event(p))).collect();
        let last = if kind == "anthropic" {
            json!({"type": "message_delta", "delta": {"stop_reason": end}})
        } else {
            json!({"choices": [{"delta": {}, "finish_reason": end}]})
        };
        stream.push_str(&format!("data: {last}\n\n"));
        let (draft, fault) = read(kind, stream.as_bytes(), cut);
        prop_assert_eq!(fault, None);
        prop_assert_eq!(draft.text, pieces.concat());
    }

    #[test]
    fn rubbish_is_malformed_and_never_a_panic(
        kind in prop::sample::select(vec!["chat", "perplexity", "anthropic"]),
        lines in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 0..8),
        json in "\\{(\"(type|choices|delta|error|usage|content|message)\":(null|1|\"x\"|\\[\\]|\\{\\}),?){0,4}\\}",
    ) {
        let wire = of(kind).unwrap();
        let mut stream = Vec::new();
        for line in &lines {
            stream.extend_from_slice(b"data: ");
            stream.extend_from_slice(line);
            stream.extend_from_slice(b"\n\n");
        }
        let _ = read(kind, &stream, 16);
        let _ = read(kind, format!("data: {json}\n\n").as_bytes(), 16);
        let _ = wire.whole(json.as_bytes(), &mut AnswerBuilder::default());
        let _ = wire.whole(&stream, &mut AnswerBuilder::default());
    }
}
