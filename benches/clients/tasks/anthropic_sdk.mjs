// The Anthropic SDK for Node: a tool, then a stream.
import Anthropic from "@anthropic-ai/sdk";
const { URL: url, KEY, MODEL: model, SENTENCE } = process.env;
const client = new Anthropic({ baseURL: url, apiKey: KEY });
const tools = [{ name: "weather", input_schema: { type: "object", properties: { city: { type: "string" } } } }];
const messages = [{ role: "user", content: "the weather?" }];
const first = await client.messages.create({ model, max_tokens: 100, messages, tools });
const call = first.content.at(-1);
if (call.type !== "tool_use") throw new Error(JSON.stringify(first));
messages.push({ role: "assistant", content: first.content },
  { role: "user", content: [{ type: "tool_result", tool_use_id: call.id, content: "rain" }] });
const text = await client.messages.stream({ model, max_tokens: 100, messages, tools }).finalText();
if (text !== SENTENCE) throw new Error(text);
console.log(text);
