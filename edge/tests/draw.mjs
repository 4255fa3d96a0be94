// The draw: committed to before, checked afterwards by a program that shares no code with it.
import assert from "node:assert/strict";
import { createHash, createHmac } from "node:crypto";
import { test } from "node:test";
import { sleep } from "./harness.mjs";
import { suite } from "./suite.mjs";

const u = (bytes, value) => {
  const buffer = Buffer.alloc(8);
  buffer.writeBigUInt64BE(BigInt(value));
  return buffer.subarray(8 - bytes);
};
const hmac = (key, ...parts) => createHmac("sha256", key).update(Buffer.concat(parts)).digest();

const text = (words) => Buffer.concat([u(2, words.length), Buffer.from(words)]);
const beaconBytes = (beacon) => (beacon === undefined ? [u(1, 0)] : [u(1, 1), text(beacon.source), text(beacon.value)]);

/** The position of `number`, as docs and `domain/src/draw.rs` describe it. */
export function position(record, number) {
  const room = Buffer.from(record.room);
  const prk = hmac("catraca-draw-v1", Buffer.from(record.secret, "hex"));
  const info = Buffer.concat([u(1, room.length), room, u(4, record.epoch), u(8, record.count), ...beaconBytes(record.beacon)]);
  const key = hmac(prk, info, u(1, 1));
  let bits = 4n;
  while (1n << (2n * bits) < BigInt(record.count)) bits += 1n;
  const mask = (1n << bits) - 1n;
  let at = BigInt(number - 1);
  if (at >= BigInt(record.count) || record.count === 1) return number;
  do {
    let [left, right] = [at >> bits, at & mask];
    for (let round = 0; round < 10; round += 1) {
      const digest = createHash("sha256").update(Buffer.concat([key, u(1, round), u(8, right)])).digest();
      [left, right] = [right, left ^ (digest.readBigUInt64BE() & mask)];
    }
    at = (left << bits) | right;
  } while (at >= BigInt(record.count));
  return Number(at) + 1;
}

suite("draw", {}, ({ edge }) => {
  async function revealed(room) {
    const until = Date.now() + 12_000;
    for (;;) {
      const { body } = await edge.json(`/queue/v1/${room}/draw`);
      if (body.secret !== undefined || Date.now() > until) return body;
      await sleep(200);
    }
  }

  test("committed, frozen, revealed; everyone stands where the record says", async () => {
    const opens = Date.now() + 8_000;
    const opens_at = new Date(opens).toISOString();
    const settings = {
      method: "draw", control: "scheduled", opens_at, dispensers: 4, rate_per_minute: 60,
    };
    await edge.open("lots", settings);
    const sealed = await edge.json("/queue/v1/lots/draw");
    assert.equal(sealed.status, 200);
    assert.deepEqual(Object.keys(sealed.body).sort(), ["algorithm", "commitment", "epoch", "room"]);

    const lobby = await Promise.all(Array.from({ length: 40 }, () => edge.join("lots")));
    for (const { body } of lobby) assert.equal(body.state, "lobby");
    const view = await edge.withPlace("lots", "place", lobby[0].body.place_token, "GET");
    assert.equal(view.body.state, "lobby");
    assert.equal(view.body.position, undefined);
    // Whoever gives the place up before the draw is not let in after it.
    assert.equal((await edge.withPlace("lots", "leave", lobby[39].body.place_token)).status, 204);
    // The secret must survive.
    await edge.kill();
    await edge.start();
    await sleep(Math.max(opens + 300 - Date.now(), 0));
    const { body: early } = await edge.json("/queue/v1/lots/status");
    assert.equal(early.phase, "lobby");

    const record = await revealed("lots");
    assert.equal(record.commitment, sealed.body.commitment);
    const hash = createHash("sha256").update(Buffer.from(record.secret, "hex")).digest("hex");
    assert.equal(hash, record.commitment);
    const numbers = lobby.map(({ body }) => body.number);
    assert.ok(numbers.every((number) => number <= record.count));
    assert.ok(record.count < 200, `${record.count}`);
    const drawn = Array.from({ length: record.count }, (_, i) => position(record, i + 1));
    assert.equal(new Set(drawn).size, record.count);
    assert.notDeepEqual(drawn, [...drawn].sort((a, b) => a - b));

    await sleep(1_000);
    for (const { body } of lobby.slice(0, 39)) {
      const { body: view } = await edge.withPlace("lots", "place", body.place_token, "GET");
      assert.equal(view.number, body.number);
      assert.equal(view.position, position(record, body.number));
      if (view.state === "waiting") assert.ok(view.ahead < view.position);
    }
    const late = await edge.join("lots");
    assert.equal(late.status, 201);
    assert.ok(late.body.number > record.count);
    assert.equal(late.body.state, "waiting");

    // Claims follow positions: only those up to the frontier are let in.
    const claims = await Promise.all(lobby.map(async ({ body }) => {
      const claimed = await edge.withPlace("lots", "claim", body.place_token);
      return { position: position(record, body.number), status: claimed.status };
    }));
    await sleep(1_300);
    const { body: status } = await edge.json("/queue/v1/lots/status");
    assert.ok(claims.some(({ status }) => status === 200));
    for (const claim of claims.slice(0, 39)) {
      if (claim.status === 409) assert.ok(claim.position > 1);
      else assert.ok(claim.position <= status.frontier, JSON.stringify(claim));
    }
    assert.notEqual(claims[39].status, 200);
    await edge.kill();
    await edge.start();
    assert.deepEqual(await revealed("lots"), record);
    assert.equal((await edge.internal("lots", "live")).body.admitted_total,
      claims.filter(({ status }) => status === 200).length);
  });

  test("a second configuration keeps the commitment; other rooms have none", async () => {
    const opens_at = new Date(Date.now() + 60_000).toISOString();
    await edge.open("again", { method: "draw", control: "scheduled", opens_at });
    const first = (await edge.json("/queue/v1/again/draw")).body;
    await edge.open("again", { method: "fifo", control: "scheduled", opens_at, version: 2 });
    assert.equal((await edge.json("/queue/v1/again/draw")).status, 404);
    await edge.open("again", { method: "draw", control: "scheduled", opens_at, version: 3 });
    assert.deepEqual((await edge.json("/queue/v1/again/draw")).body, first);
  });

  test("without a lobby everyone is late, in order of arrival", async () => {
    await edge.open("nobody", { method: "draw" });
    const joined = await edge.join("nobody");
    assert.equal(joined.status, 201);
    assert.equal((await revealed("nobody")).count, 0);
    assert.equal((await edge.claimUntil("nobody", joined.body.place_token)).status, 200);
  });
});
