// What a sale costs on Cloudflare, counted on the real runtime: requests and alarms of Durable Objects, rows read
// and written as SQLite counts them. `node edge/tests/cost.mjs` prints what docs/cost.md calculates with.
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { LOG_KEY, sleep } from "./harness.mjs";
import { withEdge } from "./suite.mjs";

const COUNTED = ["objectRequests", "alarms", "rowsWritten", "rowsRead"];
const ROOM = "cost";
const PAGES = 20;

const jtiOf = (token) => JSON.parse(Buffer.from(token.split(".")[1], "base64url")).jti;

/** What `work` adds to the counts. */
async function added(edge, work) {
  const before = await edge.counts();
  const begun = Date.now();
  const result = await work();
  const after = await edge.counts();
  const seconds = (Date.now() - begun) / 1000;
  return { result, seconds, ...Object.fromEntries(COUNTED.map((name) => [name, after[name] - before[name]])) };
}

const per = (counts, n) => Object.fromEntries(COUNTED.map((name) => [name, Number((counts[name] / n).toFixed(3))]));

/** `people` places in a room that is paused. */
async function joined(edge, people, settings) {
  await edge.open(ROOM, { ...settings, control: "paused" });
  const tokens = [];
  while (tokens.length < people) {
    const some = await Promise.all(Array.from({ length: 20 }, () => edge.join(ROOM)));
    for (const { status, body } of some) {
      assert.equal(status, 201);
      tokens.push(body.place_token);
    }
  }
  return tokens;
}

/** workerd closes what has been idle for five seconds, and whoever asks just then asks again. */
const again = (call) => call().catch(call);

/** A visitor as the page is one: polls when told to, claims when called, comes again when told to. */
async function visit(edge, token, claims) {
  for (;;) {
    const { status, body } = await again(() => edge.withPlace(ROOM, "place", token, "GET"));
    assert.equal(status, 200);
    if (body.state === "called") break;
    await sleep(body.poll_after_ms);
  }
  for (;;) {
    claims.asked += 1;
    const { status, body } = await again(() => edge.withPlace(ROOM, "claim", token));
    if (status === 200) return jtiOf(body.admission_token);
    assert.equal(status, 202, JSON.stringify(body));
    await sleep(body.retry_after_ms);
  }
}

export async function cost(people = 240, rate_per_minute = 1_200) {
  return withEdge({ bindings: { CATRACA_LOG_KEY: LOG_KEY }, counted: true }, async (edge) => {
    const settings = { rate_per_minute, max_active: 100_000 };
    const tokens = await joined(edge, people, settings);
    const claims = { asked: 0 };
    const sale = await added(edge, async () => {
      await edge.open(ROOM, { ...settings, version: 2 });
      return Promise.all(tokens.map((token) => visit(edge, token, claims)));
    });
    const jtis = sale.result;
    const twice = await added(edge, () => Promise.all(tokens.map((token) => edge.withPlace(ROOM, "claim", token))));
    const departures = await added(edge, async () => {
      for (let at = 0; at < jtis.length; at += 60) {
        const { status } = await edge.internal(ROOM, "departures", { jtis: jtis.slice(at, at + 60) });
        assert.equal(status, 200);
      }
    });
    await edge.open(ROOM, { ...settings, control: "closed", version: 3 });
    const closed = await added(edge, () => sleep(2_000));
    // Only now: an open room's alarm writes a row, and one that rings during a page would count as the page's. Each
    // page is another, or the edge would answer from its cache.
    const pages = await added(edge, async () => {
      for (let page = 0; page < PAGES; page += 1) {
        assert.equal((await edge.json(`/queue/v1/${ROOM}/log?after=${page}`)).status, 200);
      }
    });
    // People wait, and the shop is full: all that happens is time.
    await edge.open("full", { max_active: 1 });
    const line = await Promise.all(Array.from({ length: 20 }, () => edge.join("full")));
    for (const { body } of line) await edge.withPlace("full", "claim", body.place_token);
    await sleep(1_000);
    const full = await added(edge, () => sleep(3_000));
    return {
      people, rate_per_minute,
      seconds: Number(sale.seconds.toFixed(1)),
      claims_per_admission: Number((claims.asked / people).toFixed(2)),
      per_admission: per(sale, people),
      per_second_of_the_sale: per(sale, sale.seconds),
      per_claim_again: per(twice, people),
      per_departure: per(departures, people),
      departure_batches: Math.ceil(people / 60),
      per_log_page: per(pages, PAGES),
      per_second_closed: per(closed, closed.seconds),
      per_second_full: per(full, full.seconds),
    };
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [people, rate] = process.argv.slice(2).map(Number);
  console.log(JSON.stringify(await cost(people, rate), null, 2));
}
