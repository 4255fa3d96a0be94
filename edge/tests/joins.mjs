// Joins that share a call: everyone gets a number of their own, in order of arrival, whoever leaves and
// whatever breaks meanwhile; and the quick way answers as the long way does.
import assert from "node:assert/strict";
import { afterEach, describe, test } from "node:test";
import { placeCookie, sleep } from "./harness.mjs";
import { problem, suite, withEdge } from "./suite.mjs";

const TOGETHER = /^Dispenser\/joins$/;
const ALONE = /^Dispenser\/join$/;
const joinedAt = (token) => Number(Buffer.from(token.split(".")[2], "base64url").readBigUInt64BE(12));

suite("joins", { faults: true }, ({ edge, faults }) => {
  afterEach(() => {
    faults.release();
    faults.now = { Room: "none", Dispenser: "none" };
    faults.calls.length = 0;
  });

  /** A room that the isolate knows of, with nobody in it but one. */
  async function open(room, settings = {}) {
    await edge.open(room, { control: "paused", ...settings });
    const first = await edge.join(room);
    assert.equal(first.status, 201);
    await edge.json(`/queue/v1/${room}/status`);
    faults.calls.length = 0;
    return first;
  }

  const answered = (joins) => Promise.all(joins).then((all) => all.map((joined) => {
    assert.equal(joined.status, 201, JSON.stringify(joined.body));
    return joined.body.number;
  }));

  function unavailable(answer) {
    problem(answer, 503, "unavailable");
    assert.match(answer.headers.get("retry-after"), /^[2-6]$/);
    return answer.headers.get("retry-after");
  }

  test("many over many connections: consecutive numbers, few calls", async () => {
    await open("crowd");
    const joined = await Promise.all(Array.from({ length: 600 }, () => edge.join("crowd")));
    const numbers = joined.map(({ body }) => body.number).sort((a, b) => a - b);
    assert.deepEqual(numbers, Array.from({ length: 600 }, (_, i) => i + 2));
    assert.equal(new Set(joined.map(({ body }) => body.place_token)).size, 600);
    const calls = faults.count(TOGETHER);
    assert.ok(calls >= 1 && calls <= 300, `${calls} calls`);
  });

  test("those who share a call have their numbers in order of arrival", async () => {
    await open("order");
    faults.now.Dispenser = "hold";
    const first = edge.join("order");
    await faults.until(TOGETHER, 1);
    const others = [];
    for (let i = 0; i < 8; i += 1) {
      others.push(edge.join("order"));
      await sleep(5);
    }
    await faults.until(TOGETHER, 2);
    faults.release();
    const people = (await Promise.all([first, ...others])).map(({ body }) => body);
    people.sort((a, b) => a.number - b.number);
    // On a machine so busy that the last missed the call, calls may overtake each other.
    if (faults.count(TOGETHER) > 2 || faults.count(ALONE) > 0) return;
    const times = people.slice(1).map(({ place_token }) => joinedAt(place_token));
    assert.deepEqual(times, times.toSorted((a, b) => a - b));
    assert.ok(new Set(times).size > 1, `${times}`);
  });

  test("whoever made the call goes: the others have their numbers all the same", async () => {
    await open("cut");
    faults.now.Dispenser = "hold";
    const first = edge.join("cut");
    await faults.until(TOGETHER, 1);
    const leader = edge.joinAndGo("cut", 400);
    await sleep(20);
    const others = Array.from({ length: 8 }, () => edge.join("cut"));
    await faults.until(TOGETHER, 2);
    await leader;
    faults.release();
    const numbers = await answered([first, ...others]);
    assert.equal(new Set(numbers).size, 9);
    assert.ok(faults.count(TOGETHER) < 9, `${faults.count(TOGETHER)} calls`);
    assert.ok((await edge.join("cut")).body.number > Math.max(...numbers));
  });

  test("whoever was to make the call goes before: somebody else makes it", async () => {
    await open("gone");
    faults.now.Dispenser = "hold";
    const first = edge.join("gone");
    await faults.until(TOGETHER, 1);
    const leader = edge.joinAndGo("gone", 50);
    await sleep(20);
    const others = Array.from({ length: 8 }, () => edge.join("gone"));
    await leader;
    await faults.until(TOGETHER, 2);
    faults.release();
    assert.equal(new Set(await answered([first, ...others])).size, 9);
  });

  test("a Dispenser that breaks down: 503 to each of them, spread, and nothing is asked again", async () => {
    await open("broken");
    faults.now.Dispenser = "throw";
    const refused = await Promise.all(Array.from({ length: 200 }, () => edge.join("broken")));
    assert.equal(new Set(refused.map(unavailable)).size, 5);
    const calls = faults.count(/^Dispenser\/joins?$/);
    assert.ok(calls <= 200, `${calls} calls for 200 joins`);
    await sleep(300);
    assert.equal(faults.count(/^Dispenser\/joins?$/), calls, "asked again");
    faults.now.Dispenser = "none";
    assert.equal((await edge.join("broken")).status, 201);
  });

  test("a Dispenser that never answers: 503 within six seconds, a call each 100 ms at most", async () => {
    await open("mute");
    faults.now.Dispenser = "hang";
    const begun = Date.now();
    const joins = [];
    while (Date.now() - begun < 700) {
      joins.push(...Array.from({ length: 10 }, () => edge.join("mute")));
      await sleep(20);
    }
    (await Promise.all(joins)).forEach(unavailable);
    assert.ok(Date.now() - begun < 8_000, `${Date.now() - begun} ms`);
    assert.ok(joins.length > 100, `${joins.length}`);
    // The status document that grows old meanwhile sends some the long way, a call each.
    const calls = faults.count(TOGETHER);
    assert.ok(calls <= 12, `${calls} calls for ${joins.length} joins`);
  });

  test("eight Dispensers: every number once", async () => {
    await open("eight", { dispensers: 8 });
    const numbers = await answered(Array.from({ length: 400 }, () => edge.join("eight")));
    assert.equal(new Set(numbers).size, 400);
  });

  test("the quick way answers as the long way does", async () => {
    await open("alike");
    const json = { "content-type": "application/json" };
    const browser = { "sec-fetch-site": "same-origin" };
    // An unknown field is read by nobody, and takes the long way.
    const long = { body: '{"unknown": 1}', headers: json };
    const shape = ({ status, headers, body }, room) => ({
      status,
      names: [...headers.keys()].filter((name) => name !== "retry-after" && name !== "content-length"),
      type: headers.get("content-type"),
      cache: headers.get("cache-control"),
      cookies: headers.getSetCookie().map((cookie) => cookie.replace(/=[^;]*/, "")),
      fields: Object.keys(body),
      state: body.state,
      problem: body.type,
      detail: body.detail,
      version: placeCookie({ headers }, room)?.split(".", 2),
    });
    const same = async (room, quick, slow) => {
      const calls = faults.count(TOGETHER);
      const [one, two] = [await edge.join(room, quick), await edge.join(room, slow)];
      assert.equal(faults.count(TOGETHER), calls + 1, "not the quick way, or not the long way");
      assert.deepEqual(shape(one, room), shape(two, room));
      if (one.status === 201) {
        assert.equal(placeCookie(one, room).split(/[=;]/)[1], one.body.place_token);
        const view = await edge.withPlace(room, "place", one.body.place_token, "GET");
        const bound = quick.headers?.["sec-fetch-site"] !== undefined;
        assert.equal(view.status, bound ? 401 : 200);
      }
      return one;
    };
    await same("alike", {}, long);
    await same("alike", { headers: browser }, { ...long, headers: { ...json, ...browser } });
    await same("alike", { headers: json, body: "{}" }, long);
    await same("alike", { headers: { cookie: "a=b; __Host-place-other=x" } }, long);

    // A browser that has a secret keeps it; it is not given it again.
    const holder = (await edge.join("alike", { headers: browser })).headers.getSetCookie()[1].split(";")[0];
    const kept = await same("alike", { headers: { ...browser, cookie: holder } },
      { ...long, headers: { ...json, ...browser, cookie: holder } });
    assert.equal(kept.headers.getSetCookie()[1].split(";")[0], holder);
    const cookie = `${holder}; ${kept.headers.getSetCookie()[0].split(";")[0]}`;
    assert.equal((await edge.json("/queue/v1/alike/place", { headers: { cookie } })).status, 200);
    const again = await edge.join("alike", { headers: { ...browser, cookie } });
    assert.equal(again.status, 200);
    assert.equal(again.body.number, kept.body.number);

    for (const [version, settings, state] of [
      [2, { control: "closed" }, "room_closed"],
      [3, { control: "open", sold_out: true }, "sold_out"],
    ]) {
      await edge.open("alike", { ...settings, version });
      await edge.json("/queue/v1/alike/status");
      problem(await same("alike", {}, long), 409, state);
    }
    const opensAt = new Date(Date.now() + 60_000).toISOString();
    await open("alike-lobby", { control: "scheduled", opens_at: opensAt });
    assert.equal((await same("alike-lobby", {}, long)).body.state, "lobby");
    await open("alike-open", { control: "open", method: "passthrough" });
    assert.equal((await same("alike-open", {}, long)).body.state, "called");
  });

  test("a body of two bytes that is no object is malformed", async () => {
    await open("two");
    for (const body of ["[]", "12", "{x"]) {
      const headers = { "content-type": "application/json" };
      problem(await edge.join("two", { headers, body }), 400, "malformed_body");
    }
    assert.equal((await edge.join("two", { headers: { "content-type": "text/plain" }, body: "{}" })).status, 415);
  });
});

describe("joins while the wasm module traps", () => {
  // As a panic looks from outside: the call into wasm throws, and its memory can't be trusted.
  const patch = (text) => {
    const patched = text.replace("function quick_joined(", `function quick_joined(room, cookie, ...rest) {
      if (cookie === "trap=1") throw new WebAssembly.RuntimeError("on purpose");
      return quick_joined_for_real(room, cookie, ...rest);
    }
    function quick_joined_for_real(`);
    assert.notEqual(patched, text);
    return patched;
  };

  test("whatever is under way is answered, and the next join has a number of its own", () => withEdge({ patch }, async (edge) => {
    await edge.open("trap", { control: "paused" });
    const numbers = [];
    for (let round = 0; round < 5; round += 1) {
      numbers.push((await edge.join("trap")).body.number);
      await edge.json("/queue/v1/trap/status");
      const joins = Array.from({ length: 40 }, (_, i) =>
        edge.join("trap", i === 20 ? { headers: { cookie: "trap=1" } } : {}));
      const statuses = (await Promise.all(joins)).map(({ status, body }) => {
        if (status === 201) numbers.push(body.number);
        return status;
      });
      assert.ok(statuses.every((status) => [201, 500, 503].includes(status)), `${statuses}`);
      assert.ok(statuses.includes(500), `${statuses}`);
    }
    assert.match(edge.log, /wasm trapped: on purpose/);
    assert.equal((await edge.join("trap")).status, 201);
    assert.equal(new Set(numbers).size, numbers.length);
  }));
});
