// What must hold whatever happens: slots, pace, numbers and their order.
import assert from "node:assert/strict";
import { test } from "node:test";
import { cost } from "./cost.mjs";
import { fairness } from "./fairness.mjs";
import { sleep } from "./harness.mjs";
import { soak } from "./soak.mjs";
import { suite } from "./suite.mjs";

suite("bounds", {}, ({ edge }) => {
  test("max_active is exact under 64 parallel claimers, and departures free slots", async () => {
    await edge.open("full", { max_active: 10, rate_per_minute: 600_000 });
    const joined = await Promise.all(Array.from({ length: 64 }, () => edge.join("full")));
    const numbers = new Set(joined.map((join) => join.body.number));
    assert.equal(numbers.size, 64);
    const tokens = joined.map((join) => join.body.place_token);
    const admissions = new Map();
    const round = async () => {
      await Promise.all(tokens.map(async (token) => {
        for (let i = 0; i < 3; i += 1) {
          const claimed = await edge.withPlace("full", "claim", token);
          if (claimed.status === 200) {
            const { jti } = JSON.parse(
              Buffer.from(claimed.body.admission_token.split(".")[1], "base64url"));
            admissions.set(token, jti);
          }
        }
      }));
    };
    /** As many as there is room for come in, and rounds after it change nothing. */
    const filled = async (people) => {
      for (const until = Date.now() + 10_000; admissions.size < people && Date.now() < until;) {
        await sleep(100);
        await round();
      }
      await sleep(200);
      await round();
      assert.equal(admissions.size, people);
    };
    await filled(10);
    assert.equal((await edge.internal("full", "live")).body.active, 10);

    const jtis = [...admissions.values()].slice(0, 4);
    const departures = { jtis: [...jtis, ...jtis, "00000000-0000-8000-8000-000000000000"] };
    assert.equal((await edge.internal("full", "departures", departures)).body.ended, 4);
    assert.equal((await edge.internal("full", "departures", departures)).body.ended, 0);
    await filled(14);
    const live = (await edge.internal("full", "live")).body;
    assert.equal(live.active, 10);
    assert.equal(live.admitted_total, 14);
  });

  test("pace: no window above target and a quantum", async () => {
    await edge.open("pace", { rate_per_minute: 600 });
    const joined = await Promise.all(Array.from({ length: 60 }, () => edge.join("pace")));
    let admitted = 0;
    const begun = Date.now();
    await Promise.all(joined.map(async ({ body }) => {
      while (Date.now() - begun < 3_000) {
        const claimed = await edge.withPlace("pace", "claim", body.place_token);
        if (claimed.status === 200) { admitted += 1; return; }
        await sleep(100);
      }
    }));
    const seconds = (Date.now() - begun) / 1000 + 0.5;
    assert.ok(admitted <= seconds * 10 + 10, `${admitted} in ${seconds} s`);
    assert.ok(admitted >= 20, `only ${admitted} in ${seconds} s`);
  });

  test("numbers are unique and slots exact across kill -9", async () => {
    await edge.open("crash", { max_active: 7 });
    const numbers = [];
    const tokens = [];
    const admitted = new Map();
    for (let round = 0; round < 6; round += 1) {
      const joins = [];
      for (let i = 0; i < 40; i += 1) {
        joins.push(edge.join("crash").then(({ status, body }) => {
          if (status !== 201) return;
          numbers.push(body.number);
          tokens.push(body.place_token);
        }, () => {}));
      }
      const claims = tokens.slice(0, 20).map((token) => edge.withPlace("crash", "claim", token).then(
        ({ status, body }) => {
          if (status !== 200) return;
          const known = admitted.get(token);
          assert.ok(known === undefined || known === body.admission_token);
          admitted.set(token, body.admission_token);
        }, () => {}));
      // On a busy machine the first answers take their time.
      const until = Date.now() + 3_000;
      const enough = numbers.length + 8;
      while (numbers.length < enough && Date.now() < until) await sleep(5);
      await sleep(round % 2 === 0 ? 0 : 100);
      await edge.kill();
      await Promise.all([...joins, ...claims]);
      await edge.start();
    }
    assert.ok(numbers.length > 40, `${numbers.length} numbers`);
    assert.equal(new Set(numbers).size, numbers.length);
    for (const [token, admission] of admitted) {
      const again = await edge.withPlace("crash", "claim", token);
      assert.equal(again.body.admission_token, admission);
    }
    const live = (await edge.internal("crash", "live")).body;
    assert.ok(live.active <= 7 && live.active >= admitted.size, `${live.active} ${admitted.size}`);
    for (const token of tokens) await edge.withPlace("crash", "claim", token);
    assert.ok((await edge.internal("crash", "live")).body.active <= 7);
    const view = await edge.withPlace("crash", "place", tokens.at(-1), "GET");
    assert.equal(view.status, 200);
  });

  test("the line is in order of arrival, but for a lease and the time a join takes", async () => {
    for (const dispensers of [1, 8]) {
      const told = await fairness(dispensers, 3);
      assert.ok(told.joins > 100 && told.kendall_tau > 0.8, JSON.stringify(told));
    }
  });

  test("64 claimers, a kill -9 every four seconds: slots and windows hold", async () => {
    const told = await soak(20, 4);
    assert.ok(told.kills >= 4, JSON.stringify(told));
  });

  test("what an admission, a departure and time itself cost is what docs/cost.md calculates with", async () => {
    const told = await cost(120, 1_200);
    const most = (counts, objectRequests, rowsWritten) => assert.ok(
      counts.objectRequests <= objectRequests && counts.rowsWritten <= rowsWritten, JSON.stringify(told));
    // The row and its entry in the log's index; the line, at most once; alarms.
    most(told.per_admission, told.claims_per_admission + 2, 3.3);
    most(told.per_claim_again, 1, 0.1);
    most(told.per_departure, 0.1, 1.1);
    most(told.per_log_page, 1, 0.1);
    most(told.per_second_closed, 0, 0.6);
    most(told.per_second_full, 0, 2.5);
  });
});
