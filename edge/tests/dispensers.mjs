// Several Dispensers a room: every number once, nobody counted who never came.
import assert from "node:assert/strict";
import { test } from "node:test";
import { roomConfig as config, settled, sleep } from "./harness.mjs";
import { suite } from "./suite.mjs";

suite("dispensers", {}, ({ edge }) => {
  /** Joins until told to stop; the numbers of those who were answered, and how many were not. */
  function crowd(room, width) {
    const numbers = [];
    let going = true;
    let unanswered = 0;
    const done = Promise.all(Array.from({ length: width }, async () => {
      while (going) {
        const joined = await edge.join(room).catch(() => undefined);
        if (joined?.status === 201) {
          numbers.push(joined.body.number);
        } else {
          unanswered += 1;
          await sleep(20);
        }
      }
    }));
    const more = async (count) => {
      const until = Date.now() + 30_000;
      const enough = numbers.length + count;
      while (numbers.length < enough && Date.now() < until) await sleep(5);
      // A crowd that goes on would keep the test from ending.
      if (numbers.length < enough) going = false;
      assert.ok(numbers.length >= enough, `only ${numbers.length} of ${enough}`);
    };
    return { numbers, more, stop: async () => { going = false; await done; return unanswered; } };
  }

  /** The status document once it is as expected, or after a while. */
  async function statusOf(room, expected) {
    const ask = async () => (await edge.json(`/queue/v1/${room}/status`)).body;
    return settled(ask, (body) => body.room === room && expected(body), 15_000);
  }

  test("eight: unique numbers, and `waiting` is who waits", async () => {
    await edge.open("eight", { control: "paused", dispensers: 8 });
    const people = crowd("eight", 24);
    await people.more(400);
    // Somebody whose answer was lost, on a machine that is busy with other things, waits too.
    const lost = await people.stop();
    assert.equal(new Set(people.numbers).size, people.numbers.length);
    const { length } = people.numbers;
    const last = Math.max(...people.numbers);
    const voidNumbers = ({ voids }) => voids.reduce((sum, { lo, hi }) => sum + Math.min(hi, last + 1) - Math.min(lo, last + 1), 0);
    // Each Dispenser gives its rest back when the lease is over. Until then whoever asks it hears of a rest
    // as of nobody, and whoever asks another one as of people.
    const peopleOnly = (count) => count >= length && count <= length + lost;
    const status = await statusOf("eight", (seen) => peopleOnly(seen.waiting) && peopleOnly(last - voidNumbers(seen)));
    assert.ok(peopleOnly(status.waiting), `${status.waiting} wait, ${length} and ${lost} came`);
    assert.ok(!("dispensers" in status));
    // What nobody took is void, and skipped: the last in line has everybody else ahead.
    assert.ok(peopleOnly(last - voidNumbers(status)), `${last - voidNumbers(status)} up to the last of ${length} and ${lost}`);
    await edge.open("eight", { dispensers: 8, version: 2, method: "passthrough" });
    const open = await statusOf("eight", (seen) => seen.waiting === 0);
    assert.equal(open.waiting, 0);
    assert.ok(open.frontier >= last);
  });

  test("1 → 8 → 2 under load, with a kill -9 in each", async () => {
    await edge.open("change", { control: "paused", dispensers: 1 });
    const people = crowd("change", 16);
    let version = 1;
    for (const dispensers of [1, 8, 2]) {
      version += 1;
      await edge.open("change", { control: "paused", dispensers, version });
      await people.more(60);
      await edge.kill();
      await edge.start();
      await people.more(60);
    }
    await people.stop();
    assert.equal(new Set(people.numbers).size, people.numbers.length);
    const body = await statusOf("change", ({ waiting }) => waiting >= people.numbers.length);
    assert.ok(body.waiting >= people.numbers.length);
  });

  test("twenty kills -9: no number twice, at most a lease lost by each", async () => {
    await edge.open("kills", { control: "paused", dispensers: 2 });
    const people = crowd("kills", 4);
    for (let round = 0; round < 20; round += 1) {
      await people.more(5);
      await edge.kill();
      await edge.start();
    }
    await people.more(5);
    await people.stop();
    assert.equal(new Set(people.numbers).size, people.numbers.length);
    const body = await statusOf("kills", ({ waiting }) => waiting >= people.numbers.length);
    // Two leases a kill, none longer than what so few people can ask for in 250 ms.
    const lost = body.waiting - people.numbers.length;
    assert.ok(lost >= 0 && lost <= 20 * 2 * 64, `${lost} lost`);
  });

  test("as many as there may be, and no more", async () => {
    for (const dispensers of [0, 65]) {
      const answer = await edge.internal("many", "config", config("many", { dispensers }));
      assert.equal(answer.status, 422);
    }
    await edge.open("many", { dispensers: 64 });
    const joined = await Promise.all(Array.from({ length: 100 }, () => edge.join("many")));
    assert.equal(new Set(joined.map(({ body }) => body.number)).size, 100);
  });
});
