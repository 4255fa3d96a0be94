// What every suite has: an edge of its own with a stub for the core, started before its tests and stopped
// after them.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { Edge, Faults, startCore } from "./harness.mjs";

/**
 * A suite. `define` gets `{ edge, core, faults }`, which are there to be used once the tests run.
 *
 * `bindings`: the Worker's, further ones; or a function that answers with them, called before the start.
 * `faults`: the Durable Objects can be broken; then errors may be in the log.
 */
export function suite(name, { bindings = {}, faults: faulty = false } = {}, define) {
  describe(name, () => {
    const edge = new Edge();
    const core = {};
    const faults = faulty ? new Faults() : undefined;
    before(async () => {
      Object.assign(core, await startCore());
      await faults?.listen();
      const further = typeof bindings === "function" ? await bindings() : bindings;
      await edge.setUp(core.url, further, { faults });
    });
    after(async () => {
      await edge.stop();
      faults?.stop();
      core.stop?.();
    });
    define({ edge, core, faults });
    if (!faulty) {
      test("nothing was logged as an error of ours", () => {
        assert.doesNotMatch(edge.log, /panicked|RuntimeError|request failed|different request/, edge.log);
      });
    }
  });
}

/**
 * An edge for as long as `act` takes. `coreUrl`: where it looks for the core; else it has a stub of its own.
 * `patch`: changes the built module; `counted`: what it costs is counted.
 */
export async function withEdge({ bindings = {}, coreUrl, patch, counted } = {}, act) {
  const core = coreUrl === undefined ? await startCore() : undefined;
  const edge = new Edge();
  try {
    await edge.setUp(coreUrl ?? core.url, bindings, { patch, counted });
    return await act(edge);
  } finally {
    await edge.stop();
    core?.stop();
  }
}

/** The answer is this problem. */
export function problem(answer, status, name) {
  assert.equal(answer.status, status, JSON.stringify(answer.body));
  assert.equal(answer.headers.get("content-type"), "application/problem+json");
  assert.equal(answer.body.type, `https://catraca.dev/problems/${name}`);
  assert.equal(answer.body.status, status);
}

/** What a join asks to be solved first. */
export function required(answer) {
  problem(answer, 403, "challenge_required");
  return answer.body.challenge;
}
