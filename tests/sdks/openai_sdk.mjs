// The official OpenAI client for Node, unchanged, against the gateway.
//
// Run with the gateway's base URL and the models to ask. It prints one line for each thing that
// it tried and exits with an error at the first that did not hold.

import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { join } from "node:path";

const require = createRequire(join(process.env.BACKSTOP_NODE_MODULES, "openai", "index.js"));
const { default: OpenAI } = require("openai");

const [base, models] = process.argv.slice(2);
const client = new OpenAI({ baseURL: `${base}/v1`, apiKey: "unused", maxRetries: 0 });
const messages = [
  { role: "system", content: "Be brief." },
  { role: "user", content: "Say hello." },
];
const weather = {
  type: "function",
  function: {
    name: "get_weather",
    parameters: {
      type: "object",
      properties: { city: { type: "string" } },
      required: ["city"],
    },
  },
};
const done = (what) => console.log(`ok: ${what}`);

for (const model of models.split(",")) {
  const answer = await client.chat.completions.create({ model, messages });
  assert.equal(answer.choices[0].finish_reason, "stop");
  assert.ok(answer.choices[0].message.content);
  done(`chat with ${model}`);

  let text = "";
  let finish = null;
  for await (const chunk of await client.chat.completions.create({
    model,
    messages,
    stream: true,
  })) {
    text += chunk.choices[0]?.delta?.content ?? "";
    finish = chunk.choices[0]?.finish_reason ?? finish;
  }
  assert.ok(text);
  assert.equal(finish, "stop");
  done(`stream with ${model}`);

  const forced = await client.chat.completions.create({
    model,
    messages,
    tools: [weather],
    tool_choice: { type: "function", function: { name: "get_weather" } },
  });
  const call = forced.choices[0].message.tool_calls[0];
  assert.equal(call.function.name, "get_weather");
  assert.ok("city" in JSON.parse(call.function.arguments));
  done(`tool call with ${model}`);
}

// A stream that breaks off is an error, and never an answer that looks whole.
let said = "";
await assert.rejects(
  async () => {
    const ask = { model: "cut", messages, stream: true };
    for await (const chunk of await client.chat.completions.create(ask)) {
      said += chunk.choices[0]?.delta?.content ?? "";
    }
  },
  (error) => error instanceof OpenAI.APIError,
);
assert.ok(said);
done("cut is an error in the stream");

// The client's own retries are told the truth: how often each failing model is asked.
for (const [model, calls] of [["unwilling", 1], ["invalid", 1], ["overloaded", 2]]) {
  let asked = 0;
  const patient = client.withOptions({
    maxRetries: 1,
    fetch: (...request) => {
      asked += 1;
      return fetch(...request);
    },
  });
  await assert.rejects(patient.chat.completions.create({ model, messages }));
  assert.equal(asked, calls, model);
}
done("retries where they may help and nowhere else");

for (const [model, kind, status] of [
  ["no-such-model", OpenAI.NotFoundError, 404],
  ["overloaded", OpenAI.InternalServerError, 503],
  ["limited", OpenAI.RateLimitError, 429],
  ["denied", OpenAI.InternalServerError, 503],
  ["invalid", OpenAI.BadRequestError, 400],
]) {
  await assert.rejects(
    client.chat.completions.create({ model, messages }),
    (error) => error instanceof kind && error.status === status,
    `${model} should be ${status}`,
  );
  done(`${model} is ${kind.name} with ${status}`);
}
