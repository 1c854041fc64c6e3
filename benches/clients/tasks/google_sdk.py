"""The Google GenAI SDK for Python: whole and streamed."""

import os

from google import genai

client = genai.Client(api_key=os.environ["KEY"], http_options={"base_url": os.environ["URL"]})
model = os.environ["MODEL"]
whole = client.models.generate_content(model=model, contents="hello").text
text = "".join(chunk.text for chunk in client.models.generate_content_stream(model=model, contents="hello"))
assert whole == text == os.environ["SENTENCE"], (whole, text)
print(text)
