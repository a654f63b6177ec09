// The TypeScript SDK as a contender, on one session that is kept:
// `node sdk.mjs <folder of node_modules> <url> <calls>`, one line of JSON.

import { createRequire } from "node:module";
import { join } from "node:path";
import { pathToFileURL } from "node:url";

const [modules, url, calls] = process.argv.slice(2);
const count = Number(calls);
const require = createRequire(pathToFileURL(join(modules, "here.js")));
const sdk = (path) => import(pathToFileURL(require.resolve(`@modelcontextprotocol/sdk/${path}`)));

const { Client } = await sdk("client/index.js");
const { StreamableHTTPClientTransport } = await sdk("client/streamableHttp.js");

const transport = new StreamableHTTPClientTransport(new URL(url), {
  requestInit: { headers: { authorization: "Bearer test-token-alice" } },
});
const client = new Client({ name: "bench", version: "1.0.0" });
await client.connect(transport);

async function call() {
  const result = await client.callTool({
    name: "weather",
    arguments: { city: "Zurich", days: 3, units: "metric" },
  });
  if (result.isError || result.content[0].text !== "it is sunny") {
    throw new Error("not the answer of the server");
  }
}

// The compiler behind JavaScript takes its time before code is as fast as it gets.
for (let n = 0; n < 500; n += 1) await call();

const now = () => Number(process.hrtime.bigint());
const took = [];
const cpu = process.cpuUsage();
const began = now();
let last = began;
for (let n = 0; n < count; n += 1) {
  await call();
  const end = now();
  took.push(end - last);
  last = end;
}
const used = process.cpuUsage(cpu);
took.sort((one, two) => one - two);
console.log(
  JSON.stringify({
    cpu_ns: ((used.user + used.system) * 1e3) / count,
    wall_ns: (last - began) / count,
    p50_ns: took[Math.floor(count / 2)],
    allocations: 0,
    allocated_bytes: 0,
  }),
);
await client.close();
