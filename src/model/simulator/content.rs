//! What the simulator says to a question: a verdict, arguments of a tool, or prose.

use serde_json::{Value, json};

use super::answers::{Content, Shape};
use super::dice::Dice;

/// A verdict where one is asked for, else prose; both say that they are simulated.
pub(super) fn content(shape: Shape, request: &Value, dice: &mut Dice) -> Content {
    let messages = request["messages"].as_array();
    let said: Vec<&str> = messages
        .into_iter()
        .flatten()
        .filter_map(|m| m["content"].as_str())
        .chain(request["system"].as_str())
        .collect();
    let tool = wanted_tool(shape, request);
    let verdict = tool.as_ref().map_or_else(
        || !request["response_format"].is_null() || said.iter().any(|s| s.contains("\"decision\"")),
        |(name, _)| name == "verdict",
    );
    let text = if verdict {
        let answer = json!({
            "decision": "approve",
            "score": 80 + (dice.throw() * 20.0) as u64,
            "comments": ["Simulated answer: no model has looked at this."],
        });
        // With blanks, as models write it.
        serde_json::to_string_pretty(&answer).unwrap_or_default()
    } else if let Some((_, schema)) = &tool {
        made_up(schema, 0).to_string()
    } else {
        let asked = messages
            .and_then(|m| m.last())
            .and_then(|m| m["content"].as_str())
            .unwrap_or_default();
        format!(
            "Simulated answer: no model has looked at this. You asked: {}",
            crate::text::cut(asked, 200)
        )
    };
    let read: usize = said.iter().map(|s| s.len()).sum();
    Content {
        shape,
        id: format!("sim-{:08x}", (dice.throw() * f64::from(u32::MAX)) as u32),
        model: request["model"].as_str().unwrap_or("simulated").to_owned(),
        text,
        finish: "stop",
        prompt_tokens: read.div_ceil(4) as u64,
        tool: tool.map(|(name, _)| name),
    }
}

/// The tool that is used, and its schema: the one that must be, else the first, and none to answer a tool.
fn wanted_tool(shape: Shape, request: &Value) -> Option<(String, Value)> {
    let last = request["messages"].as_array()?.last()?;
    let choice = &request["tool_choice"];
    let answers_a_tool = last["role"] == "tool" || last["content"][0]["type"] == "tool_result";
    if answers_a_tool || *choice == "none" || choice["type"] == "none" {
        return None;
    }
    let (named, key) = match shape {
        Shape::Chat => (&choice["function"]["name"], "parameters"),
        Shape::Messages => (&choice["name"], "input_schema"),
    };
    let tools = request["tools"].as_array()?.iter();
    let mut tools = tools.map(|tool| match shape {
        Shape::Chat => &tool["function"],
        Shape::Messages => tool,
    });
    let tool = tools.find(|tool| named.is_null() || tool["name"] == *named)?;
    Some((tool["name"].as_str()?.to_owned(), tool[key].clone()))
}

/// Something of the schema: what is required, and of the right type.
fn made_up(schema: &Value, depth: u32) -> Value {
    if let Some(first) = schema["enum"].as_array().and_then(|values| values.first()) {
        return first.clone();
    }
    match schema["type"].as_str() {
        Some("string") => "simulated".into(),
        Some("integer" | "number") => 1.into(),
        Some("boolean") => true.into(),
        Some("array") => json!([]),
        Some("null") => Value::Null,
        _ if depth > 8 => json!({}),
        _ => {
            let required = |name: &str| {
                let names = schema["required"].as_array();
                names.is_some_and(|names| names.iter().any(|n| n == name))
            };
            let properties = schema["properties"].as_object().into_iter().flatten();
            let fields = properties
                .filter(|(name, _)| required(name))
                .map(|(name, field)| (name.clone(), made_up(field, depth + 1)));
            Value::Object(fields.collect())
        }
    }
}
