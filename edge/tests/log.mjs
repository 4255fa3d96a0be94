// The admission log, checked by a program that shares no code with the one that writes it.
import assert from "node:assert/strict";
import { createHash, createPublicKey, verify } from "node:crypto";
import { test } from "node:test";
import { LOG_KEY, sleep } from "./harness.mjs";
import { suite, withEdge } from "./suite.mjs";

const u = (bytes, value) => {
  const buffer = Buffer.alloc(8);
  buffer.writeBigUInt64BE(BigInt(value));
  return buffer.subarray(8 - bytes);
};
const sha256 = (...parts) => createHash("sha256").update(Buffer.concat(parts.map(Buffer.from))).digest();

function genesis({ room, epoch, draw }) {
  const drawn = draw === undefined ? [u(1, 0)] : [u(1, 1), Buffer.from(draw, "hex")];
  return sha256("catraca-log-v1", u(1, 0), u(1, room.length), room, u(4, epoch), ...drawn);
}

function follow(head, entry) {
  return sha256("catraca-log-v1", u(1, 1), head, u(8, entry.index), u(8, entry.number),
    u(1, entry.lane.length), entry.lane, u(8, entry.at_ms), Buffer.from(entry.jti_hash, "hex"),
    u(8, entry.frontier));
}

function isSigned(page, jwks) {
  const jwk = jwks.keys.find(({ kid }) => kid === page.head.kid);
  const key = createPublicKey({ key: { kty: jwk.kty, crv: jwk.crv, x: jwk.x }, format: "jwk" });
  const message = Buffer.concat([Buffer.from("catraca-log-head-v1\0"), genesis(page.log),
    u(8, page.head.index), Buffer.from(page.head.head, "hex"), u(8, page.head.at_ms)]);
  return verify(null, message, key, Buffer.from(page.head.signature, "hex"));
}

suite("admission log", { bindings: { CATRACA_LOG_KEY: LOG_KEY } }, ({ edge }) => {
  test("chained, signed, and the same after kill -9", async () => {
    const jwks = (await edge.json("/.well-known/jwks.json")).body;
    assert.equal(jwks.keys.length, 1);
    assert.equal(jwks.keys[0].d, undefined);
    await edge.open("logged", { rate_per_minute: 600_000 });
    const empty = (await edge.json("/queue/v1/logged/log")).body;
    assert.equal(empty.head.index, 0);
    assert.ok(isSigned(empty, jwks));

    const admissions = new Map();
    const enter = async () => {
      const { body } = await edge.join("logged");
      const claimed = await edge.claimUntil("logged", body.place_token);
      assert.equal(claimed.status, 200);
      const payload = claimed.body.admission_token.split(".")[1];
      admissions.set(body.number, JSON.parse(Buffer.from(payload, "base64url")).jti);
      await edge.withPlace("logged", "claim", body.place_token);
    };
    for (let i = 0; i < 5; i += 1) await enter();
    await edge.kill();
    await edge.start();
    for (let i = 0; i < 5; i += 1) await enter();
    await sleep(1_100);

    const { body: page } = await edge.json("/queue/v1/logged/log");
    assert.ok(isSigned(page, jwks));
    assert.equal(page.entries.length, 10);
    let head = genesis(page.log);
    for (const [i, entry] of page.entries.entries()) {
      assert.equal(entry.index, i + 1);
      assert.ok(entry.frontier >= entry.number);
      const jti = Buffer.from(admissions.get(entry.number).replaceAll("-", ""), "hex");
      assert.equal(entry.jti_hash, sha256("catraca-jti-v1\0", jti).toString("hex"));
      head = follow(head, entry);
    }
    assert.equal(page.head.index, 10);
    assert.equal(page.head.head, head.toString("hex"));
    const { body: rest } = await edge.json("/queue/v1/logged/log?after=7");
    assert.deepEqual(rest.entries, page.entries.slice(7));
    assert.deepEqual((await edge.json("/queue/v1/logged/log?after=99")).body.entries, []);
  });

  test("a drawn room's log names its draw", async () => {
    const opens_at = new Date(Date.now() + 4_000).toISOString();
    await edge.open("lots", { method: "draw", control: "scheduled", opens_at });
    const joined = await edge.join("lots");
    assert.equal((await edge.claimUntil("lots", joined.body.place_token, 12_000)).status, 200);
    const { body: page } = await edge.json("/queue/v1/lots/log");
    const { body: record } = await edge.json("/queue/v1/lots/draw");
    assert.equal(page.log.draw, record.commitment);
    assert.equal(page.head.head, follow(genesis(page.log), page.entries[0]).toString("hex"));
  });

  test("bad input, no key", async () => {
    for (const after of ["x", "-1", "1.5", "99999999999"]) {
      assert.equal((await edge.json(`/queue/v1/logged/log?after=${after}`)).status, 422);
    }
    assert.equal((await edge.json("/queue/v1/logged/log", { method: "POST" })).status, 405);
    assert.equal((await edge.json("/queue/v1/none/log")).status, 404);
    await withEdge({}, async (silent) => {
      await silent.open("silent");
      assert.equal((await silent.json("/queue/v1/silent/log")).status, 404);
      assert.deepEqual((await silent.json("/.well-known/jwks.json")).body, { keys: [] });
    });
  });
});
