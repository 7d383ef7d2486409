// A whole clip by the TypeScript SDK's client: node typescript.mjs http|sse URL CLIP, in both protocol eras over http.
import { Client, SSEClientTransport, StreamableHTTPClientTransport } from "@modelcontextprotocol/client";

const [kind, base, clip] = process.argv.slice(2);

async function clipIn(mode) {
  const client = new Client({ name: "ci", version: "1" }, { versionNegotiation: { mode } });
  const transport = kind === "sse" ? new SSEClientTransport(new URL("/sse", base)) : new StreamableHTTPClientTransport(new URL("/mcp", base));
  await client.connect(transport);
  const call = async (name, args) => {
    const result = await client.callTool({ name, arguments: args });
    if (result.isError) throw new Error(`${name}: ${result.content[0].text}`);
    return result.structuredContent;
  };
  const { tools } = await client.listTools();
  const request = {
    prompt: "Video 1 waves", duration: 5, resolution: "720P", idempotency_key: `typescript-${kind}-${mode}`,
    references: [{ url: clip, duration_seconds: 4 }],
  };
  const estimate = await call("estimate_cost", request);
  let task = await call("generate_r2v", request);
  for (let i = 0; i < 10 && !task.ended_at; i++) task = await call("get_task", { task_id: task.task_id, wait_seconds: 20 });
  if (task.status !== "SUCCEEDED" || Number(task.cost.billed) !== Number(estimate.cost.high)) throw new Error(JSON.stringify(task));
  console.log(`TypeScript client, ${kind}, ${mode}: ${tools.length} tools, estimated ${estimate.cost.high}, billed ${task.cost.billed}`);
  await client.close();
}

for (const mode of kind === "sse" ? ["legacy"] : ["legacy", "auto"]) await clipIn(mode);
