"""The Anthropic SDK for Python: a tool, a stream, counted tokens."""

import os

import anthropic

client = anthropic.Anthropic(base_url=os.environ["URL"], api_key=os.environ["KEY"])
model = os.environ["MODEL"]
tools = [{"name": "weather", "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}}}]
messages = [{"role": "user", "content": "the weather?"}]
first = client.messages.create(model=model, max_tokens=100, messages=messages, tools=tools)
assert first.stop_reason == "tool_use", first
call = first.content[-1]
messages += [{"role": "assistant", "content": first.content},
             {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call.id, "content": "rain"}]}]
with client.messages.stream(model=model, max_tokens=100, messages=messages, tools=tools) as stream:
    text = "".join(stream.text_stream)
assert text == os.environ["SENTENCE"], text
assert client.messages.count_tokens(model=model, messages=messages[:1]).input_tokens > 0
print(text)
