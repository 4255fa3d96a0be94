// The failure policy: whatever is away, nobody loses a place, nobody slips in, and nothing is asked in a storm.
import assert from "node:assert/strict";
import { afterEach, test } from "node:test";
import { placeCookie, sleep } from "./harness.mjs";
import { suite } from "./suite.mjs";

suite("failures", { faults: true }, ({ edge, faults }) => {
  afterEach(() => {
    faults.now = { Room: "none", Dispenser: "none" };
    faults.calls.length = 0;
  });

  function unavailable(answer) {
    assert.equal(answer.status, 503, JSON.stringify(answer.body));
    assert.equal(answer.body.type, "https://catraca.dev/problems/unavailable");
    const seconds = Number(answer.headers.get("retry-after"));
    assert.ok(seconds >= 2 && seconds <= 6, `${seconds}`);
    return seconds;
  }

  /** The status documents in memory are too old to be used. */
  const forgotten = () => sleep(900);

  test("Room unreachable: places are kept, the page shows one's number, nobody comes in", async () => {
    await edge.open("away");
    const inside = await edge.join("away");
    const admission = await edge.claimUntil("away", inside.body.place_token);
    assert.equal(admission.status, 200);
    await edge.open("away", { control: "paused", version: 2 });
    const waiting = await edge.join("away");
    const cookie = placeCookie(waiting, "away").split(";")[0];
    await forgotten();
    faults.now.Room = "throw";

    unavailable(await edge.join("away"));
    const token = waiting.body.place_token;
    unavailable(await edge.withPlace("away", "claim", token));
    unavailable(await edge.withPlace("away", "leave", token));
    await forgotten();
    unavailable(await edge.withPlace("away", "place", token, "GET"));
    // A signed place is a place: whoever joins again keeps it.
    const again = await edge.join("away", { headers: { cookie } });
    assert.equal(again.status, 200);
    assert.equal(again.body.place_token, token);
    const page = await edge.fetch("/e/away", { headers: { cookie } });
    assert.equal(page.status, 503);
    assert.ok(page.headers.get("retry-after"));
    assert.match(await page.text(), /^<p>unavailable\|away\|2\|\|\|5<\/p>$/);
    // Whoever is in stays in.
    const shop = await edge.fetch("/e/away", {
      headers: { cookie: `__Host-admission=${admission.body.admission_token}` },
    });
    assert.equal(shop.status, 200);
    assert.match(await shop.text(), /shop of away/);

    faults.now.Room = "none";
    await edge.open("away", { version: 3 });
    assert.equal((await edge.claimUntil("away", token)).status, 200, "the place was good all along");
  });

  test("a Room that never answers is a 503 within seconds, and so is the next one, at once", async () => {
    await edge.open("mute", { control: "paused" });
    await edge.join("mute");
    await forgotten();
    faults.now.Room = "hang";
    const begun = Date.now();
    unavailable(await edge.join("mute"));
    assert.ok(Date.now() - begun < 8_000, `${Date.now() - begun} ms`);
    const second = Date.now();
    unavailable(await edge.join("mute"));
    assert.ok(Date.now() - second < 8_000, `${Date.now() - second} ms`);
  });

  test("a crowd at a Room that is away asks it twice a second at most", async () => {
    await edge.open("crowd", { control: "paused" });
    await edge.join("crowd");
    await forgotten();
    faults.now.Room = "throw";
    faults.calls.length = 0;
    const begun = Date.now();
    const waits = [];
    while (Date.now() - begun < 3_000) {
      const answers = await Promise.all(Array.from({ length: 50 }, () => edge.join("crowd")));
      waits.push(...answers.map(unavailable));
    }
    const seconds = (Date.now() - begun) / 1000;
    const leases = faults.count(/^Room\/lease$/);
    const statuses = faults.count(/^Room\/status$/);
    assert.ok(waits.length > 200, `${waits.length} joins`);
    assert.ok(leases <= 2 * seconds + 2, `${leases} leases in ${seconds} s`);
    assert.ok(statuses <= 3 * seconds + 2, `${statuses} status documents in ${seconds} s`);
    assert.equal(new Set(waits).size, 5, "those turned away come back spread over five seconds");
  });

  test("an overloaded Dispenser is asked once for each join, never again", async () => {
    await edge.open("full", { control: "paused" });
    const first = await edge.join("full");
    faults.now.Dispenser = "throw";
    faults.calls.length = 0;
    const answers = await Promise.all(Array.from({ length: 200 }, () => edge.join("full")));
    answers.forEach(unavailable);
    const joins = faults.count(/^Dispenser\/joins?$/);
    assert.ok(joins <= 200, `${joins} calls for 200 joins`);
    // Whoever has a place is still served, and asks it nothing.
    const again = await edge.withPlace("full", "join", first.body.place_token);
    assert.equal(again.status, 200);
    faults.now.Dispenser = "none";
    assert.equal((await edge.join("full")).status, 201);
  });

  test("polls of those who wait ask for one status document a second, however many they are", async () => {
    await edge.open("polls", { control: "paused" });
    const { body } = await edge.join("polls");
    await edge.withPlace("polls", "place", body.place_token, "GET");
    faults.calls.length = 0;
    const begun = Date.now();
    let polls = 0;
    while (Date.now() - begun < 3_000) {
      const views = await Promise.all(Array.from({ length: 20 },
        () => edge.withPlace("polls", "place", body.place_token, "GET")));
      for (const view of views) assert.equal(view.body.state, "waiting");
      polls += views.length;
    }
    const seconds = (Date.now() - begun) / 1000;
    assert.ok(polls > 300, `${polls}`);
    // One isolate, one room: a document is used for 400 to 800 ms.
    assert.ok(faults.count(/^Dispenser\/shared-status$/) <= 2.5 * seconds + 1, `${faults.calls.length}`);
    assert.ok(faults.calls.length <= 5 * seconds + 2, `${faults.calls.length} for ${polls} polls`);
  });
});

suite("core away", {}, ({ edge, core }) => {
  test("those waiting keep their place and are called; the shop says that it is away", async () => {
    await edge.open("lone", { control: "paused" });
    const { body } = await edge.join("lone");
    core.stop();
    const view = await edge.withPlace("lone", "place", body.place_token, "GET");
    assert.equal(view.body.state, "waiting");
    const shop = await edge.json("/api/v1/session");
    assert.equal(shop.status, 503);
    assert.ok(Number(shop.headers.get("retry-after")) >= 2);
    assert.match(shop.body.detail, /kept/);
    assert.equal((await edge.join("lone")).body.number, 2);
    await edge.open("lone", { version: 2 });
    assert.equal((await edge.claimUntil("lone", body.place_token)).status, 200);
  });
});
