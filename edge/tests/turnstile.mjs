// Rooms that ask for Turnstile: its word counts, once; its silence, and keys that are not right, close the room.
import assert from "node:assert/strict";
import { after, afterEach, test } from "node:test";
import { SECRET, SOLVED, Siteverify, TESTING } from "./siteverify.mjs";
import { problem, required, suite, withEdge } from "./suite.mjs";

const SITE_KEY = TESTING.siteKey;
const room = { control: "paused", challenge: "turnstile" };
const siteverify = new Siteverify();

const keys = (secret) => ({
  CATRACA_TURNSTILE_URL: siteverify.url,
  CATRACA_TURNSTILE_SITE_KEY: SITE_KEY,
  CATRACA_TURNSTILE_SECRET: secret,
});
const joinAt = (edge, response) => edge.join("turn", {
  body: JSON.stringify({ challenge: { response } }), headers: { "content-type": "application/json" },
});
const solved = (ago_ms = 0) => `${SOLVED}${Date.now() - ago_ms}-${Math.random()}`;

suite("turnstile", { bindings: async () => keys((await siteverify.listen(), SECRET)) }, ({ edge }) => {
  afterEach(() => { siteverify.now = "none"; });
  after(() => siteverify.stop());
  const join = (response) => joinAt(edge, response);

  test("a response is good once, and for five minutes", async () => {
    assert.deepEqual((await edge.open("turn", room)).faults, []);
    assert.deepEqual(required(await edge.join("turn")), { kind: "turnstile", site_key: SITE_KEY });
    const response = solved();
    assert.equal((await join(response)).status, 201);
    for (const [worthless, why] of [
      [response, /used, or came too late/], [solved(301_000), /used, or came too late/],
      ["made up", /not solved/], [TESTING.response, /not solved/],
    ]) {
      const refused = await join(worthless);
      assert.deepEqual(required(refused), { kind: "turnstile", site_key: SITE_KEY });
      assert.match(refused.body.detail, why);
    }
    // Of two that come with it at once, one.
    const twice = solved();
    const both = await Promise.all([join(twice), join(twice)]);
    assert.deepEqual(both.map(({ status }) => status).sort(), [201, 403]);
  });

  test("what cannot be a response is not sent on", async () => {
    const asked = siteverify.asked;
    required(await join(""));
    required(await join("x".repeat(2_049)));
    assert.equal(siteverify.asked, asked);
  });

  test("while siteverify is away, nobody new comes in", async () => {
    for (const fault of [500, 502, 403, 429, "page", "internal"]) {
      siteverify.now = fault;
      const away = await join(solved());
      problem(away, 503, "unavailable");
      assert.ok(away.headers.get("retry-after"), `${fault}`);
    }
    // A status of the network's in front of it says nothing of the response, which may be tried again.
    siteverify.now = 502;
    const response = solved();
    problem(await join(response), 503, "unavailable");
    siteverify.now = "none";
    assert.equal((await join(response)).status, 201);
  });

  test("a siteverify that never answers is a 503 within seconds", async () => {
    siteverify.now = "hang";
    const begun = Date.now();
    problem(await join(solved()), 503, "unavailable");
    assert.ok(Date.now() - begun < 10_000, `${Date.now() - begun} ms`);
  });

  test("the documented keys for tests: passes, fails, spent", async () => {
    const answers = {};
    for (const name of ["passes", "fails", "spent"]) {
      await withEdge({ bindings: keys(TESTING[name]) }, async (other) => {
        await other.open("turn", room);
        answers[name] = await joinAt(other, TESTING.response);
        if (name === "passes") assert.equal((await joinAt(other, TESTING.response)).status, 201, "again and again");
      });
    }
    assert.equal(answers.passes.status, 201);
    required(answers.fails);
    assert.match(answers.fails.body.detail, /not solved/);
    required(answers.spent);
    assert.match(answers.spent.body.detail, /used, or came too late/);
  });

  test("a secret that siteverify does not know closes the room, and the log names it", async () => {
    await withEdge({ bindings: keys("0x-mistyped") }, async (other) => {
      await other.open("turn", room);
      const refused = await joinAt(other, solved());
      problem(refused, 503, "unavailable");
      assert.match(refused.body.detail, /organiser/);
      assert.match(other.log, /CATRACA_TURNSTILE_SECRET.*invalid-input-secret/);
      assert.doesNotMatch(other.log, /0x-mistyped/);
    });
  });

  test("without its keys nobody joins, and whoever set the room up is told which are missing", async () => {
    const both = ["CATRACA_TURNSTILE_SITE_KEY", "CATRACA_TURNSTILE_SECRET"];
    for (const there of [[], [both[0]], [both[1]]]) {
      const bindings = Object.fromEntries(there.map((name) => [name, "x"]));
      await withEdge({ bindings }, async (bare) => {
        const { faults: [fault], ...rest } = await bare.open("turn", { ...room, control: "open" });
        assert.deepEqual(rest, { version: 1 });
        for (const name of both) assert.equal(fault.includes(name), !there.includes(name), fault);
        assert.deepEqual((await bare.internal("turn", "live")).body.faults, [fault]);
        const refused = await joinAt(bare, solved());
        problem(refused, 503, "unavailable");
        assert.match(refused.body.detail, /organiser/);
        assert.ok(bare.log.includes(fault), bare.log);
        // As soon as it is not asked for, it is not missed.
        const answer = await bare.open("turn", { version: 2 });
        assert.deepEqual(answer, { version: 2, faults: [] });
        assert.equal((await bare.join("turn")).status, 201);
      });
    }
  });
});
