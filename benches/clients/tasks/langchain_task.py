"""LangChain: a tool, then a stream."""

import os

from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI


@tool
def weather(city: str) -> str:
    """The weather."""
    return "rain"


model = ChatOpenAI(base_url=os.environ["URL"] + "/v1", api_key=os.environ["KEY"], model=os.environ["MODEL"])
model = model.bind_tools([weather])
messages = [HumanMessage("the weather?")]
first = model.invoke(messages)
call = first.tool_calls[0]
messages += [first, ToolMessage(weather.invoke(call["args"]), tool_call_id=call["id"])]
text = "".join(chunk.text if isinstance(chunk.text, str) else chunk.text() for chunk in model.stream(messages))
assert text == os.environ["SENTENCE"], text
print(text)
