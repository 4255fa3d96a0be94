// Proof of work: a place costs some, and each solution is good once. (turnstile.mjs has the other challenge.)
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { required, suite } from "./suite.mjs";

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

suite("challenge", {}, ({ edge }) => {
  const join = (room, challenge) => edge.join(room, {
    body: JSON.stringify({ challenge }), headers: { "content-type": "application/json" },
  });

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
});
