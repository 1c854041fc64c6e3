// The OpenAI SDK for Node: chat with a tool, a stream, Responses.
import OpenAI from "openai";
const { URL: url, KEY, MODEL: model, SENTENCE } = process.env;
const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: KEY });
const tools = [{ type: "function", function: { name: "weather", parameters: {
  type: "object", properties: { city: { type: "string" } } } } }];
const messages = [{ role: "user", content: "the weather?" }];
const first = (await client.chat.completions.create({ model, messages, tools })).choices[0];
if (first.finish_reason !== "tool_calls") throw new Error(JSON.stringify(first));
messages.push(first.message, { role: "tool", tool_call_id: first.message.tool_calls[0].id, content: "rain" });
let text = "";
for await (const chunk of await client.chat.completions.create({ model, messages, tools, stream: true })) {
  text += chunk.choices[0]?.delta?.content ?? "";
}
const response = await client.responses.create({ model, input: "hello" });
if (text !== SENTENCE || response.output_text !== text) throw new Error(text + response.output_text);
console.log(text);
