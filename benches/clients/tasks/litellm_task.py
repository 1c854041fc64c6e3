"""The LiteLLM SDK: chat completions and Messages."""

import os

import litellm

base, key, model = os.environ["URL"], os.environ["KEY"], os.environ["MODEL"]
messages = [{"role": "user", "content": "hello"}]
whole = litellm.completion(model=f"openai/{model}", api_base=base + "/v1", api_key=key, messages=messages)
stream = litellm.completion(model=f"anthropic/{model}", api_base=base, api_key=key, messages=messages, stream=True)
text = "".join(chunk.choices[0].delta.content or "" for chunk in stream)
assert whole.choices[0].message.content == text == os.environ["SENTENCE"], (whole, text)
print(text)
