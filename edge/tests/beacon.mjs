// A draw with a public beacon: committed to, waited for, recorded; checked by another program.
import assert from "node:assert/strict";
import { test } from "node:test";
import { position } from "./draw.mjs";
import { roomConfig, sleep } from "./harness.mjs";
import { suite } from "./suite.mjs";

suite("beacon", {}, ({ edge }) => {
  test("the lobby lasts until the declared value is there, and the value counts", async () => {
    const source = "drand quicknet round 7";
    const opens = Date.now() + 4_000;
    const settings = { method: "draw", control: "scheduled", opens_at: new Date(opens).toISOString() };
    await edge.open("beacon", { ...settings, beacon: { source } });
    const { body: sealed } = await edge.json("/queue/v1/beacon/draw");
    assert.deepEqual(sealed.beacon, { source });
    const lobby = await Promise.all(Array.from({ length: 12 }, () => edge.join("beacon")));
    await sleep(Math.max(opens + 2_800 - Date.now(), 0));
    const { body: waiting } = await edge.json("/queue/v1/beacon/draw");
    assert.ok(waiting.count >= 12);
    assert.equal(waiting.secret, undefined);
    assert.equal((await edge.json("/queue/v1/beacon/status")).body.phase, "lobby");
    // Another source's value is not the one committed to.
    await edge.open("beacon", { ...settings, version: 2, beacon: { source: "other", value: "1" } });
    await sleep(700);
    assert.equal((await edge.json("/queue/v1/beacon/draw")).body.secret, undefined);

    await edge.open("beacon", { ...settings, version: 3, beacon: { source, value: "c0ffee" } });
    let record;
    for (const until = Date.now() + 8_000; Date.now() < until && record?.secret === undefined;) {
      await sleep(200);
      record = (await edge.json("/queue/v1/beacon/draw")).body;
    }
    assert.deepEqual(record.beacon, { source, value: "c0ffee" });
    assert.equal(record.commitment, sealed.commitment);
    assert.equal(record.count, waiting.count);
    const without = lobby.map(({ body }) => position({ ...record, beacon: undefined }, body.number));
    const mine = lobby.map(({ body }) => position(record, body.number));
    assert.notDeepEqual(mine, without);
    await sleep(1_000);
    for (const [i, { body }] of lobby.entries()) {
      const { body: view } = await edge.withPlace("beacon", "place", body.place_token, "GET");
      assert.equal(view.position, mine[i]);
    }
  });

  test("what could not be recorded is refused", async () => {
    for (const beacon of [{ source: "" }, { source: "ü" }, { source: "a", value: "" }]) {
      const answer = await edge.internal("no", "config", roomConfig("no", { beacon }));
      assert.equal(answer.status, 422);
    }
  });
});
