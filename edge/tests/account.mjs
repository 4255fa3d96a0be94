// Rooms that give one place to each account.
import assert from "node:assert/strict";
import { test } from "node:test";
import { settled } from "./harness.mjs";
import { suite, withEdge } from "./suite.mjs";

const ANA = "__Host-login=11111111-1111-4111-8111-111111111111";
const BEA = "__Host-login=22222222-2222-4222-8222-222222222222";

suite("account rooms", {}, ({ edge }) => {
  const join = (room, cookie) => edge.join(room, { headers: cookie ? { cookie } : {} });
  const act = (room, action, token, cookie) => edge.json(`/queue/v1/${room}/${action}`, {
    method: "POST", headers: { authorization: `Place ${token}`, ...(cookie ? { cookie } : {}) },
  });

  test("one place an account, on every device and across kill -9", async () => {
    await edge.open("one", { identity: "account", control: "paused", dispensers: 4 });
    const stranger = await join("one");
    assert.equal(stranger.status, 401);
    assert.equal(stranger.body.type, "https://catraca.dev/problems/not_logged_in");
    const devices = await Promise.all(Array.from({ length: 12 }, () => join("one", ANA)));
    assert.ok(devices.every(({ status }) => status === 200 || status === 201));
    assert.equal(new Set(devices.map(({ body }) => body.place_token)).size, 1);
    const other = await join("one", BEA);
    assert.equal(other.status, 201);
    assert.notEqual(other.body.number, devices[0].body.number);
    await edge.kill();
    await edge.start();
    const later = await join("one", ANA);
    assert.equal(later.status, 200);
    assert.equal(later.body.place_token, devices[0].body.place_token);
  });

  test("a place lets in its account only", async () => {
    await edge.open("whose", { identity: "account" });
    const { body } = await join("whose", ANA);
    for (const cookie of [undefined, BEA]) {
      assert.equal((await act("whose", "claim", body.place_token, cookie)).status, 401);
    }
    const claimed = await settled(() => act("whose", "claim", body.place_token, ANA), ({ status }) => status === 200);
    assert.equal(claimed.status, 200);
    assert.equal((await act("whose", "leave", body.place_token, ANA)).status, 204);
    const anew = await join("whose", ANA);
    assert.equal(anew.status, 201);
    assert.notEqual(anew.body.number, body.number);
  });

  test("with the core away nobody gets a place", async () => {
    await withEdge({ coreUrl: "http://127.0.0.1:9" }, async (lonely) => {
      await lonely.open("away", { identity: "account" });
      const answer = await lonely.join("away", { headers: { cookie: ANA } });
      assert.equal(answer.status, 503);
      assert.ok(answer.headers.get("retry-after"));
      assert.equal((await lonely.internal("away", "live")).body.status.waiting, 0);
    });
  });
});
