"""The official client against the gateway: one answer whole, one in pieces, one refusal. Arguments: base
address, key."""

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
