// Challenges: a place costs work, or Turnstile's word; each solution is good once.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { createServer } from "node:http";
import { after, before, describe, test } from "node:test";
import { Edge, startCore } from "./harness.mjs";

/** Cloudflare's documented keys for tests: always passes, always fails. */
const PASSES = "1x0000000000000000000000000000000AA";
const SITE_KEY = "1x00000000000000000000AA";

/** Solves a puzzle as `domain/src/challenge.rs` describes it, sharing no code with it. */
function solve(puzzle, difficulty) {
  const block = Buffer.alloc(37);
  createHash("sha256").update(puzzle).digest().copy(block);
  const solution = Buffer.alloc(64);
  for (let part = 0; part < 16; part += 1) {
    block[32] = part;
    for (let counter = 0; ; counter += 1) {
      block.writeUInt32BE(counter, 33);
      const first = createHash("sha256").update(block).digest().readUInt32BE(0);
      if (Math.clz32(first) >= difficulty - 4) {
        solution.writeUInt32BE(counter, part * 4);
        break;
      }
    }
  }
  return solution.toString("base64url");
}

/** Turnstile's siteverify: accepts each response once, and breaks when told to. */
async function startTurnstile() {
  const seen = new Set();
  const server = createServer((request, response) => {
    let text = "";
    request.on("data", (chunk) => { text += chunk; });
    request.on("end", () => {
      const { secret, response: token } = JSON.parse(text);
      if (token === "break") {
        response.writeHead(502).end("no");
        return;
      }
      const good = secret === PASSES && token.startsWith("good") && !seen.has(token);
      const code = seen.has(token) ? "timeout-or-duplicate" : "invalid-input-response";
      seen.add(token);
      response.writeHead(200, { "content-type": "application/json" });
      response.end(JSON.stringify({ success: good, "error-codes": good ? [] : [code] }));
    });
  });
  await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { url: `http://127.0.0.1:${server.address().port}/siteverify`, stop: () => server.close() };
}

describe("challenge", () => {
  let core;
  let edge;
  let turnstile;
  before(async () => {
    core = await startCore();
    turnstile = await startTurnstile();
    edge = await Edge.create(core.url, {
      CATRACA_TURNSTILE_URL: turnstile.url,
      CATRACA_TURNSTILE_SITE_KEY: SITE_KEY,
      CATRACA_TURNSTILE_SECRET: PASSES,
    });
  });
  after(async () => {
    await edge.stop();
    core.stop();
    turnstile.stop();
  });

  const join = (room, challenge) => edge.join(room, {
    body: JSON.stringify({ challenge }), headers: { "content-type": "application/json" },
  });

  function required(answer) {
    assert.equal(answer.status, 403, JSON.stringify(answer.body));
    assert.equal(answer.body.type, "https://catraca.dev/problems/challenge_required");
    return answer.body.challenge;
  }

  test("proof of work: solved once, good once, good in one room", async () => {
    await edge.open("work", { control: "paused", challenge: "proof_of_work", dispensers: 4 });
    await edge.open("work-too", { control: "paused", challenge: "proof_of_work" });
    const asked = required(await edge.join("work"));
    assert.equal(asked.kind, "proof_of_work");
    const { puzzle, difficulty } = asked;
    const solution = solve(puzzle, difficulty);
    required(await join("work-too", { puzzle, solution }));
    required(await join("work", { puzzle, solution: "A".repeat(86) }));
    required(await join("work", { puzzle: `${puzzle}A`, solution }));
    const joined = await join("work", { puzzle, solution });
    assert.equal(joined.status, 201, JSON.stringify(joined.body));
    for (let i = 0; i < 3; i += 1) required(await join("work", { puzzle, solution }));
    // Whoever has a place needs no second solution.
    const again = await edge.join("work", {
      headers: { authorization: `Place ${joined.body.place_token}` },
    });
    assert.equal(again.status, 200);
    for (const bad of [7, "x", [], { puzzle: 1 }]) {
      assert.equal((await join("work", bad)).status, 422, JSON.stringify(bad));
    }
  });

  test("Turnstile: its word counts, its silence closes", async () => {
    await edge.open("turn", { control: "paused", challenge: "turnstile" });
    assert.deepEqual(required(await edge.join("turn")), { kind: "turnstile", site_key: SITE_KEY });
    required(await join("turn", { response: "bad" }));
    required(await join("turn", { response: "x".repeat(3_000) }));
    assert.equal((await join("turn", { response: "good-1" })).status, 201);
    required(await join("turn", { response: "good-1" }));
    const away = await join("turn", { response: "break" });
    assert.equal(away.status, 503);
    assert.ok(away.headers.get("retry-after"));
  });

  test("without Turnstile's keys nobody joins a room that asks for it", async () => {
    const bare = await Edge.create(core.url);
    try {
      await bare.open("turn", { challenge: "turnstile" });
      assert.equal((await bare.join("turn")).status, 503);
    } finally {
      await bare.stop();
    }
  });

  test("nothing was logged as an error of ours", () => {
    assert.doesNotMatch(edge.log, /panicked|RuntimeError|request failed|different request/, edge.log);
  });
});
