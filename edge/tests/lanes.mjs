// Lanes: in by a pass, good once; numbers, fronts and shares of their own; the log tells them apart.
import assert from "node:assert/strict";
import { test } from "node:test";
import { LOG_KEY, lanePass as pass, roomConfig, settled, sleep } from "./harness.mjs";
import { suite } from "./suite.mjs";

const BASE = 2 ** 40;

suite("lanes", { bindings: { CATRACA_LOG_KEY: LOG_KEY } }, ({ edge }) => {
  const lanes = [
    { lane: "priority", share_percent: 30 },
    { lane: "partner:acme", share_percent: 10 },
  ];
  const joinWith = (room, lane_token, headers = {}) => edge.join(room, {
    headers: { "content-type": "application/json", ...headers },
    body: JSON.stringify({ lane_token }),
  });

  test("a pass is good once, for its room and its lane, until it expires", async () => {
    await edge.open("pass", { control: "paused", lanes });
    const good = pass("pass", "priority");
    const joined = await joinWith("pass", good);
    assert.equal(joined.status, 201, JSON.stringify(joined.body));
    assert.equal(joined.body.number, 1);
    await edge.kill();
    await edge.start();
    for (const [token, reason] of [
      [good, "has been used"],
      [pass("other", "priority"), "is not a pass for this room"],
      [pass("pass", "priority", { secret: "x" }), "is not a pass for this room"],
      [pass("pass", "priority", { expires: 1 }), "has expired"],
      [pass("pass", "partner:none"), "is for a lane that this room does not have"],
      [pass("pass", "standard"), "is for a lane that this room does not have"],
      ["l1.x.y", "is not a pass for this room"],
    ]) {
      const refused = await joinWith("pass", token);
      assert.equal(refused.status, 422, token);
      assert.deepEqual(refused.body.errors, [{ field: "lane_token", reason }]);
    }
    // Two at once: one of them.
    const twice = pass("pass", "priority");
    const both = await Promise.all([joinWith("pass", twice), joinWith("pass", twice)]);
    assert.deepEqual(both.map(({ status }) => status).sort(), [201, 422]);
    // With a place in the lane it is the same place; the next pass is not spent on it.
    const again = await joinWith("pass", pass("pass", "priority"), {
      authorization: `Place ${joined.body.place_token}` });
    assert.equal(again.status, 200);
    assert.equal(again.body.place_token, joined.body.place_token);
  });

  test("a link with a pass: kept in a cookie until its bearer joins", async () => {
    const headers = { accept: "text/html" };
    const token = pass("pass", "partner:acme");
    const first = await edge.fetch(`/e/pass?lane_token=${token}`, { headers });
    assert.equal(first.status, 303);
    assert.equal(first.headers.get("location"), "/e/pass");
    const cookie = first.headers.getSetCookie()[0].split(";")[0];
    const joined = await edge.fetch("/e/pass/join", { method: "POST", headers: { ...headers, cookie } });
    const cookies = joined.headers.getSetCookie();
    assert.match(cookies.find((text) => text.startsWith("__Host-lane-pass=")), /Max-Age=0/);
    const place = cookies.find((text) => text.startsWith("__Host-place-pass=")).split("=")[1].split(";")[0];
    const payload = Buffer.from(place.split(".")[2], "base64url");
    assert.equal(payload.subarray(36).toString(), "partner:acme");
  });

  test("bad lanes are refused, taken away lanes serve who is in them", async () => {
    for (const bad of [
      [{ lane: "standard", share_percent: 10 }], [{ lane: "priority", share_percent: 100 }],
      [{ lane: "priority", share_percent: 0 }], [lanes[0], lanes[0]], [{ lane: "vip", share_percent: 1 }],
    ]) {
      assert.equal((await edge.internal("worse", "config", roomConfig("worse", { lanes: bad }))).status, 422);
    }
    await edge.open("gone", { control: "paused", lanes });
    const { body } = await joinWith("gone", pass("gone", "priority"));
    await edge.open("gone", { lanes: [], version: 2, rate_per_minute: 6_000 });
    assert.equal((await joinWith("gone", pass("gone", "priority"))).status, 422);
    assert.equal((await edge.claimUntil("gone", body.place_token)).status, 200);
  });

  test("each lane has numbers, a front and a share of its own, across kill -9", async () => {
    const slots = { standard: 0, priority: 1, "partner:acme": 2 };
    const settings = { control: "paused", lanes, rate_per_minute: 6_000, max_active: 100_000 };
    await edge.open("three", settings);
    const people = [];
    for (const [lane, count] of [["standard", 80], ["priority", 50], ["partner:acme", 30]]) {
      const joined = [];
      while (joined.length < count) {
        const some = Array.from({ length: 10 }, () => (lane === "standard"
          ? edge.join("three") : joinWith("three", pass("three", lane))));
        joined.push(...await Promise.all(some));
      }
      const numbers = joined.map(({ status, body }) => { assert.equal(status, 201); return body.number; });
      assert.equal(new Set(numbers).size, count);
      for (const { body } of joined) people.push({ lane, token: body.place_token, number: body.number });
    }
    await edge.kill();
    await edge.start();
    const last = people.filter(({ lane }) => lane === "priority").sort((a, b) => b.number - a.number)[0];
    const seen = async () => (await edge.withPlace("three", "place", last.token, "GET")).body;
    const view = await settled(seen, ({ ahead }) => ahead >= 49);
    const { body: status } = await edge.json("/queue/v1/three/status");
    assert.deepEqual(status.lanes.map(({ lane, share_percent, frontier }) => [lane, share_percent, frontier]),
      [["priority", 30, BASE], ["partner:acme", 10, 2 * BASE]]);
    assert.deepEqual([view.state, view.number, view.lane], ["waiting", last.number, "priority"]);
    assert.ok(view.ahead >= 49 && view.ahead <= last.number - 1, JSON.stringify(view));

    // Everybody is called, and turns up at a door that is shut: the room's clock stands still meanwhile,
    // so however long that takes, all of them are there when it opens.
    let version = 1;
    const change = (to) => edge.open("three", { ...settings, ...to, version: version += 1 });
    await change({ control: "open" });
    const called = async () => {
      const { body } = await edge.json("/queue/v1/three/status");
      return [body, ...body.lanes].every(({ frontier }, slot) => frontier - slot * BASE >= Math.max(
        ...people.filter(({ lane }) => lane === Object.keys(slots)[slot]).map(({ number }) => number)));
    };
    for (const until = Date.now() + 20_000; Date.now() < until && !await called();) await sleep(50);
    await change({ control: "paused" });
    const mixed = people.map((person) => ({ ...person, at: Math.random() })).sort((one, other) => one.at - other.at);
    const inside = new Set();
    const ask = async () => {
      const rest = mixed.filter((person) => !inside.has(person));
      await Promise.all(Array.from({ length: 8 }, async () => {
        for (let person = rest.shift(); person !== undefined; person = rest.shift()) {
          const claimed = await edge.withPlace("three", "claim", person.token);
          if (claimed.status === 200) inside.add(person);
          else assert.ok(claimed.status === 202 || claimed.status === 503, JSON.stringify(claimed.body));
        }
      }));
    };
    await ask();
    assert.equal(inside.size, 0);
    // While everybody wants in, each lane gets its share.
    for (const max_active of [16, 32, 48, 64, 80]) {
      await change({ control: "open", max_active });
      for (const until = Date.now() + 20_000; Date.now() < until && inside.size < max_active;) await ask();
      assert.equal(inside.size, max_active);
      for (const [lane, share] of [["standard", 0.6], ["priority", 0.3], ["partner:acme", 0.1]]) {
        const admitted = [...inside].filter((person) => person.lane === lane).length;
        assert.ok(Math.abs(admitted - share * max_active) <= 2, `${lane} got ${admitted} of ${max_active}`);
      }
    }
    await change({ control: "open" });
    for (const until = Date.now() + 20_000; Date.now() < until && inside.size < 160;) await ask();
    assert.equal(inside.size, 160);

    const entries = [];
    await sleep(1_100);
    for (;;) {
      const { body: page } = await edge.json(`/queue/v1/three/log?after=${entries.length}`);
      entries.push(...page.entries);
      if (page.entries.length === 0 || entries.length >= page.head.index) break;
    }
    assert.equal(entries.length, 160);
    for (const { lane, number, frontier } of entries) {
      assert.equal(Math.floor(number / BASE), slots[lane]);
      assert.ok(number <= frontier && Math.floor(frontier / BASE) === slots[lane]);
    }
  });

  test("a place given up says so, and nobody stands behind it", async () => {
    await edge.open("left", { control: "paused" });
    const places = [];
    for (let i = 0; i < 4; i += 1) places.push((await edge.join("left")).body);
    assert.equal((await edge.withPlace("left", "leave", places[1].place_token)).status, 204);
    const view = async (index) => (await edge.withPlace("left", "place", places[index].place_token, "GET")).body;
    assert.equal((await settled(() => view(1), ({ state }) => state === "lapsed")).state, "lapsed");
    await settled(() => view(3), ({ ahead }) => ahead === 2);
    assert.deepEqual([(await view(3)).state, (await view(3)).ahead], ["waiting", 2]);
    const status = await settled(() => edge.json("/queue/v1/left/status"), ({ body }) => body.waiting === 3);
    assert.equal(status.body.waiting, 3);
    await edge.kill();
    await edge.start();
    assert.equal((await view(1)).state, "lapsed");
    assert.equal((await view(3)).ahead, 2);
  });
});
