"""The official client against the gateway: answers whole and in pieces, tools, a form, refusals. Arguments:
base address, key."""

import sys

import openai

client = openai.OpenAI(base_url=sys.argv[1], api_key=sys.argv[2], max_retries=0)
said = [{"role": "system", "content": "s"}, {"role": "user", "content": "hello"}]

assert any(model.id == "gpt-4o-mini" for model in client.models.list())

whole = client.chat.completions.create(model="gpt-4o-mini", messages=said)
assert "You asked: hello" in whole.choices[0].message.content, whole
assert whole.choices[0].finish_reason == "stop" and whole.usage.total_tokens > 0

said[1]["content"] = "pieces"
pieces = client.chat.completions.create(
    model="auto", messages=said, stream=True, stream_options={"include_usage": True}
)
text, usage = "", None
for chunk in pieces:
    usage = chunk.usage or usage
    if chunk.choices:
        text += chunk.choices[0].delta.content or ""
assert "You asked: pieces" in text, text
assert usage.total_tokens > 0

tools = [{"type": "function", "function": {"name": "weather", "parameters": {
    "type": "object", "required": ["city"], "properties": {"city": {"type": "string"}}}}}]
talk = [{"role": "user", "content": "weather"}]
wanted = client.chat.completions.create(model="gpt-4o-mini", messages=talk, tools=tools)
call = wanted.choices[0].message.tool_calls[0]
assert wanted.choices[0].finish_reason == "tool_calls" and call.function.name == "weather", wanted
talk += [wanted.choices[0].message, {"role": "tool", "tool_call_id": call.id, "content": "rain"}]
told = client.chat.completions.create(model="gpt-4o-mini", messages=talk, tools=tools)
assert "You asked: rain" in told.choices[0].message.content, told
with client.chat.completions.stream(model="gpt-4o-mini", messages=talk[:1], tools=tools) as stream:
    done = stream.get_final_completion()
assert done.choices[0].message.tool_calls[0].function.arguments == '{"city":"simulated"}', done
form = {"type": "json_schema", "json_schema": {"name": "v", "schema": {"type": "object"}}}
formed = client.chat.completions.create(model="gpt-4o-mini", messages=said, response_format=form)
assert formed.choices[0].message.content.startswith("{"), formed

try:
    client.chat.completions.create(model="nosuch", messages=said)
    raise SystemExit("an unknown model was answered")
except openai.NotFoundError as error:
    assert error.code == "model_not_found", error

try:
    openai.OpenAI(base_url=sys.argv[1], api_key="wrong", max_retries=0).models.list()
    other = openai.OpenAI(base_url=sys.argv[1], api_key="wrong", max_retries=0)
    other.chat.completions.create(model="auto", messages=said)
    raise SystemExit("a wrong key was answered")
except openai.AuthenticationError:
    pass

print("ok")
