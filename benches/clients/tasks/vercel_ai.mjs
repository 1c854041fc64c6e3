// The Vercel AI SDK: OpenAI's provider (Responses) and Anthropic's, each with a tool, streamed.
import { stepCountIs, streamText, tool } from "ai";
import { createAnthropic } from "@ai-sdk/anthropic";
import { createOpenAI } from "@ai-sdk/openai";
import { z } from "zod";
const { URL: url, KEY, MODEL: model, SENTENCE } = process.env;
const options = { baseURL: `${url}/v1`, apiKey: KEY };
for (const provider of [createOpenAI(options), createAnthropic(options)]) {
  let used = false;
  const weather = tool({ description: "the weather", inputSchema: z.object({ city: z.string() }),
    execute: async () => { used = true; return "rain"; } });
  const result = streamText({ model: provider(model), prompt: "the weather?", tools: { weather },
    stopWhen: stepCountIs(3), onError: ({ error }) => { throw error; } });
  const text = await result.text;
  if (text !== SENTENCE || !used) throw new Error(`${text} ${used}`);
}
console.log(SENTENCE);
