"""The OpenAI SDK for Python: models, chat with a tool, a stream, Responses, embeddings."""

import os

import openai

client = openai.OpenAI(base_url=os.environ["URL"] + "/v1", api_key=os.environ["KEY"])
model = os.environ["MODEL"]
assert any(m.id == model for m in client.models.list())
tools = [{"type": "function", "function": {"name": "weather", "parameters": {
    "type": "object", "properties": {"city": {"type": "string"}}}}}]
messages = [{"role": "user", "content": "the weather?"}]
first = client.chat.completions.create(model=model, messages=messages, tools=tools).choices[0]
assert first.finish_reason == "tool_calls", first
messages += [first.message, {"role": "tool", "tool_call_id": first.message.tool_calls[0].id, "content": "rain"}]
text = ""
for chunk in client.chat.completions.create(model=model, messages=messages, tools=tools, stream=True):
    if chunk.choices:
        text += chunk.choices[0].delta.content or ""
assert text == os.environ["SENTENCE"], text
with client.responses.stream(model=model, input="hello") as stream:
    done = stream.get_final_response() if [e for e in stream] else None
assert done.output_text == text, done
assert client.embeddings.create(model=model, input="a", encoding_format="float").data[0].embedding == [0.5]
print(text)
