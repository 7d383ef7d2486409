// Judges what the conformance suite has found: node conformance.mjs REVISION FOLDER. A check may fail only because it needs a
// tool, a prompt or a resource that the suite's own example server has, or a capability that this server does not offer.
import fs from "node:fs";
import path from "node:path";

const [revision, folder] = process.argv.slice(2);

// Scenarios that need nothing of the kind, and how many checks of each must succeed.
const needed = {
  "2025-11-25": { "server-initialize": 2, ping: 2, "tools-list": 3, "dns-rebinding-protection": 2 },
  "2026-07-28": {
    "server-stateless": 24, "tools-list": 4, "server-sse-multiple-streams": 1, "sep-2164-resource-not-found": 2,
    "dns-rebinding-protection": 2, caching: 4, "http-header-validation": 14, "input-required-result-missing-input-response": 1,
    "input-required-result-unsupported-methods": 2, "input-required-result-ignore-extra-params": 1, "input-required-result-validate-input": 3,
  },
}[revision];

const fixtures = [
  /tool 'test_\w+' not found/,
  /Tool 'json_schema_2020_12_tool' not found/,
  /(prompts|resources|completions|logging) not supported/,
  /^Not testable: server (does not list the diagnostic tool 'test_|exposes no tool with x-mcp-header)/,
];
// Failures that follow from a fixture's absence and do not name it.
const consequences = ["sep-2322-multi-round-r1", "sep-2322-reject-tampered-state"];

let passed = 0, excused = 0;
const bad = [], seen = {};
for (const name of fs.readdirSync(folder)) {
  const scenario = name.replace(/^server-/, "").replace(/-\d{4}-\d\d-\d\dT.*$/, "");
  const checks = JSON.parse(fs.readFileSync(path.join(folder, name, "checks.json"), "utf8"));
  seen[scenario] = checks.filter((c) => c.status === "SUCCESS").length;
  passed += seen[scenario];
  for (const c of checks.filter((c) => c.status === "FAILURE")) {
    const why = c.errorMessage ?? "";
    const extension = scenario.startsWith("tasks-"); // of the protocol, and not offered
    if (extension || consequences.includes(c.id) || fixtures.some((f) => f.test(why))) excused++;
    else bad.push(`${scenario}: ${c.id}: ${why}`);
  }
}
for (const [scenario, least] of Object.entries(needed)) {
  if ((seen[scenario] ?? 0) < least) bad.push(`${scenario}: ${seen[scenario] ?? "not run"} of ${least} checks succeeded`);
}
console.log(`conformance ${revision}: ${passed} checks passed, ${excused} need what only a test server has, ${bad.length} failed`);
if (bad.length > 0) {
  console.error(bad.join("\n"));
  process.exit(1);
}
