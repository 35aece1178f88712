// What programs do with the official TypeScript SDK: prints one JSON object, the outcome of each scenario by its name.
// Usage: node scenarios.mjs BASE_URL API_KEY RESET_URL

import Anthropic from "@anthropic-ai/sdk";

const [baseURL, apiKey, resetURL] = process.argv.slice(2);
const client = new Anthropic({ baseURL, apiKey, maxRetries: 0 });
const MODEL = "claude-haiku-5-5";
const THINKER = "claude-opus-5-5";
const PNG =
  "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
const WEATHER = {
  name: "get_weather",
  description: "The weather of a place.",
  input_schema: {
    type: "object",
    properties: { place: { type: "string" } },
    required: ["place"],
    additionalProperties: false,
  },
};
// What differs from one request to the next, whoever answers.
const VARIES = new Set(["id", "request_id", "_request_id", "created_at", "ended_at", "expires_at", "results_url"]);

const user = (...content) => [{ role: "user", content: content.length === 1 ? content[0] : content }];
const ask = (text, more = {}) => ({ model: MODEL, max_tokens: 100, messages: user(text), ...more });
const fault = (directive, more = {}) => ask(`[[simulate: ${directive}]]`, more);

function plain(value) {
  if (Array.isArray(value)) return value.map(plain);
  if (value && typeof value === "object") {
    const kept = Object.entries(value).filter(([name, item]) => !VARIES.has(name) && typeof item !== "function");
    return Object.fromEntries(kept.map(([name, item]) => [name, plain(item)]));
  }
  return value;
}

async function all(stream) {
  const events = [];
  for await (const event of stream) events.push(plain(event));
  return events;
}

const create = (request) => client.messages.create(request);

const SCENARIOS = {
  text: async () => plain(await create(ask("Say hello.", { system: "Be brief." }))),
  "cached system prompt": async () => {
    const system = [{ type: "text", text: "A long rule. ".repeat(2000), cache_control: { type: "ephemeral" } }];
    return [plain(await create(ask("Hello.", { system }))), plain(await create(ask("Hello.", { system })))];
  },
  tools: async () => plain(await create(fault("tool=get_weather", { tools: [WEATHER] }))),
  image: async () => {
    const image = { type: "image", source: { type: "base64", media_type: "image/png", data: PNG } };
    return plain(await create({ ...ask(""), messages: user(image, { type: "text", text: "What is this?" }) }));
  },
  thinking: async () => plain(await create(ask("Tea.", { model: THINKER, max_tokens: 2000, thinking: { type: "adaptive" } }))),
  "structured output": async () => {
    const schema = {
      type: "object",
      properties: { mood: { type: "string" } },
      required: ["mood"],
      additionalProperties: false,
    };
    return plain(await create(ask("Well?", { output_config: { format: { type: "json_schema", schema } } })));
  },
  "stream of events": async () => all(await create(ask("A story.", { stream: true }))),
  "stream of tools": async () => all(await create(fault("tool=get_weather", { tools: [WEATHER], stream: true }))),
  "stream helper": async () => plain(await client.messages.stream(ask("A story.")).finalMessage()),
  beta: async () => plain(await client.beta.messages.create(ask("Hello.", { betas: ["context-management-2025-06-27"] }))),
  batches: async () => {
    const requests = ["Say hello.", "[[simulate: batch=errored]]"].map((text, row) => ({
      custom_id: `row-${row}`,
      params: ask(text),
    }));
    const made = await client.messages.batches.create({ requests });
    let ended = made;
    while (ended.processing_status !== "ended") {
      await new Promise((resolve) => setTimeout(resolve, 50));
      ended = await client.messages.batches.retrieve(made.id);
    }
    const results = await all(await client.messages.batches.results(made.id));
    const order = (one, other) => one.custom_id.localeCompare(other.custom_id);
    return [plain(made), plain(ended.request_counts), results.sort(order), plain(await client.messages.batches.delete(made.id))];
  },
  counting: async () => plain(await client.messages.countTokens({ model: MODEL, messages: user("Say hello.") })),
  models: async () => {
    const page = await client.models.list({ limit: 3 });
    return [page.data.map((model) => model.display_name), (await client.models.retrieve(MODEL)).display_name];
  },
  400: () => create(fault("status=400")),
  403: () => create(fault("status=403")),
  404: () => create(fault("status=404")),
  409: () => create(fault("status=409")),
  413: () => create(fault("status=413")),
  422: () => create(fault("status=422")),
  429: () => create(fault("status=429 retry-after=none")),
  500: () => create(fault("status=500")),
  529: () => create(fault("status=529")),
  "529 of a stream": async () => all(await create(fault("status=529", { stream: true }))),
  "error event": async () => all(await create(fault("error-event=overloaded_error after=3", { stream: true }))),
  "unknown model": () => create(ask("Hello.", { model: "claude-sonnet-4-20250514" })),
};

async function outcome(scenario) {
  try {
    return await scenario();
  } catch (error) {
    if (!(error instanceof Anthropic.APIError)) throw error;
    return [error.constructor.name, error.status ?? null, plain(error.error ?? null)];
  }
}

const outcomes = {};
for (const [name, scenario] of Object.entries(SCENARIOS)) {
  await fetch(resetURL, { method: "DELETE" });
  outcomes[name] = await outcome(scenario);
}
console.log(JSON.stringify(outcomes));
