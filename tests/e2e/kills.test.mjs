// Kill -9 of every process in the middle of a crowd. The auditor judges, from outside.
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readFileSync, rmSync } from "node:fs";
import { dirname, join } from "node:path";
import { test } from "node:test";
import { openEvent, runningStack, until } from "./client.mjs";

const runJson = process.env.CATRACA_RUN_JSON ?? ".local/run.json";
const load = process.env.CATRACA_LOAD ?? "target/debug/catraca-load";
const crowd = process.env.KILLS_CROWD ?? "150";
// At the first pace the crowd outlasts the kills on a slow machine too; then the rest may hurry.
const unhurried = 90;
const hurried = 600;
// Everything whose death the product must survive, the three first and more than once.
const victims = ["core", "worker", "edge", "core", "redis", "edge", "postgres", "worker", "sandbox"];

function program(args) {
  const child = spawn(load, args, { stdio: ["ignore", "pipe", "inherit"] });
  let output = "";
  child.stdout.on("data", (chunk) => {
    output += chunk;
    process.stdout.write(chunk);
  });
  const ended = new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("exit", (code) => resolve({ code, output }));
  });
  return { child, ended };
}

test("nothing is lost or doubled when processes are killed under a crowd", async (t) => {
  const stack = runningStack();
  const journal = join(dirname(runJson), "kills.jsonl");
  rmSync(journal, { force: true });
  const venue = (name) => readFileSync(`load/venues/${name}.csv`, "utf8");
  const theatre = await openEvent(stack.edge, {
    csv: venue("teatro"),
    name: "kills",
    room: { rate_per_minute: unhurried, max_active: 60, session_seconds: 120 },
  });
  const run = program([
    "onsale", "--edge", stack.edge, "--event", theatre.slug, "--crowd", crowd,
    "--arrive-seconds", "10", "--seed", "7", "--journal", journal,
  ]);
  let running = true;
  run.ended.finally(() => {
    running = false;
  });
  const killed = [];
  for (const name of victims) {
    // The pause spreads the kills over the crowd's run; nothing is awaited by it.
    await new Promise((resolve) => setTimeout(resolve, 3_000));
    if (!running) break;
    const pid = JSON.parse(readFileSync(runJson, "utf8")).pids[name];
    assert.ok(pid, `${name} has a pid`);
    process.kill(pid, "SIGKILL");
    const reborn = await until(`${name} to be restarted`, async () => {
      const now = JSON.parse(readFileSync(runJson, "utf8")).pids[name];
      return now && now !== pid ? now : undefined;
    });
    killed.push(name);
    t.diagnostic(`killed ${name} (${pid}), back as ${reborn}`);
  }
  await until("the operator to be heard", async () => {
    const faster = { json: { rate_per_minute: hurried } };
    const asked = theatre.operator.ask("PUT", `/api/v1/admin/rooms/${theatre.slug}`, faster);
    // A connection may still lead to a process that was killed.
    const answer = await asked.catch(() => undefined);
    return answer?.status === 200 ? answer : undefined;
  });
  const { code, output } = await run.ended;
  assert.deepEqual([...new Set(killed)].sort(), [...new Set(victims)].sort(), "all were killed");
  assert.equal(code, 0, output.slice(-2000));
  const audit = program([
    "audit", "--postgres", stack.postgres, "--sandbox", stack.sandbox, "--journal", journal,
    "--settle-seconds", "120", "--require-sales",
  ]);
  const verdict = await audit.ended;
  assert.equal(verdict.code, 0, verdict.output);
});
