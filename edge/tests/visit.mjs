// A visit, phase by phase, through the API and on pages without JavaScript.
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { test } from "node:test";
import { ADMISSION_KEY, placeCookie, sleep } from "./harness.mjs";
import { problem, suite } from "./suite.mjs";

suite("visits", {}, ({ edge }) => {
  test("a visit: join, place, claim, leave", async () => {
    await edge.open("visit");
    const joined = await edge.join("visit");
    assert.equal(joined.status, 201);
    assert.equal(joined.body.number, 1);
    const cookie = placeCookie(joined, "visit");
    assert.match(cookie, /; Path=\/; Max-Age=\d+; Secure; HttpOnly; SameSite=Lax$/);

    const token = joined.body.place_token;
    const again = await edge.join("visit", { headers: { cookie: cookie.split(";")[0] } });
    assert.equal(again.status, 200);
    assert.equal(again.body.number, 1);
    assert.equal(again.body.place_token, token);

    const claimed = await edge.claimUntil("visit", token);
    assert.equal(claimed.status, 200);
    const admission = claimed.body.admission_token;
    assert.match(claimed.headers.getSetCookie()[0], /^__Host-admission=[^;]+; Path=\/; Max-Age=\d+/);
    const [header, payload, tag] = admission.split(".");
    const key = Buffer.from(ADMISSION_KEY, "base64url");
    const expected = createHmac("sha256", key).update(`${header}.${payload}`).digest("base64url");
    assert.equal(tag, expected);
    const claims = JSON.parse(Buffer.from(payload, "base64url"));
    assert.equal(claims.aud, "visit");
    assert.equal(claims.iss, "catraca");
    assert.equal(claims.num, 1);
    assert.equal(claims.exp - claims.iat, 600);
    assert.equal(claimed.body.expires_at, new Date(claims.exp * 1000).toISOString().replace(".000", ""));

    const same = await edge.withPlace("visit", "claim", token);
    assert.equal(same.body.admission_token, admission);
    await sleep(1_000);
    const place = await edge.withPlace("visit", "place", token, "GET");
    assert.equal(place.body.state, "admitted");

    const left = await edge.withPlace("visit", "leave", token);
    assert.equal(left.status, 204);
    assert.match(placeCookie(left, "visit"), /Max-Age=0/);
    assert.equal((await edge.withPlace("visit", "leave", token)).status, 204);
    problem(await edge.withPlace("visit", "claim", token), 410, "place_lapsed");
    const anew = await edge.join("visit", { headers: { authorization: `Place ${token}` } });
    assert.equal(anew.status, 201);
    assert.equal(anew.body.number, 2);
  });

  test("status and place", async () => {
    await edge.open("status", { control: "paused", message: "soon" });
    const places = [];
    for (let i = 0; i < 5; i += 1) places.push((await edge.join("status")).body);
    await sleep(1_000);
    const status = await edge.json("/queue/v1/status/status");
    assert.equal(status.headers.get("cache-control"), "public, max-age=1");
    assert.equal(status.body.phase, "paused");
    assert.equal(status.body.waiting, 5);
    assert.equal(status.body.frontier, 0);
    assert.equal(status.body.message, "soon");
    const view = await edge.withPlace("status", "place", places[4].place_token, "GET");
    assert.equal(view.status, 200);
    assert.deepEqual(
      [view.body.state, view.body.number, view.body.ahead, view.body.eta_seconds],
      ["waiting", 5, 4, null],
    );
    const polls = new Set();
    for (let i = 0; i < 10; i += 1) {
      const seen = await edge.withPlace("status", "place", places[4].place_token, "GET");
      assert.ok(seen.body.poll_after_ms >= 4_000 && seen.body.poll_after_ms <= 6_000);
      polls.add(seen.body.poll_after_ms);
    }
    assert.ok(polls.size > 3);
    problem(await edge.withPlace("status", "claim", places[0].place_token), 409, "not_called");
  });

  test("phases: lobby, closed, sold out, versions", async () => {
    const opens = Date.now() + 4_000;
    await edge.open("phases", { control: "scheduled", opens_at: new Date(opens).toISOString(), version: 5 });
    const early = await edge.join("phases");
    assert.equal(early.body.state, "lobby");
    problem(await edge.withPlace("phases", "claim", early.body.place_token), 409, "not_called");

    const older = await edge.open("phases", { control: "closed", version: 4 });
    assert.equal(older.version, 5);
    const same = await edge.open("phases", { control: "closed", version: 5 });
    assert.equal(same.version, 5);
    assert.equal((await edge.internal("phases", "live")).body.version, 5);

    await sleep(Math.max(opens + 200 - Date.now(), 0));
    assert.equal((await edge.claimUntil("phases", early.body.place_token)).status, 200);

    assert.equal((await edge.open("phases", { control: "closed", version: 6 })).version, 6);
    problem(await edge.join("phases"), 409, "room_closed");
    assert.equal((await edge.withPlace("phases", "claim", early.body.place_token)).status, 200);

    await edge.open("phases", { sold_out: true, version: 7 });
    problem(await edge.join("phases"), 409, "sold_out");
    await edge.open("phases", { version: 8, method: "passthrough" });
    const late = await edge.join("phases");
    assert.equal(late.status, 201);
    assert.equal((await edge.withPlace("phases", "claim", late.body.place_token)).status, 200);
  });

  test("a browser's place is worth nothing in another browser", async () => {
    await edge.open("bound", { control: "paused" });
    const browser = { "sec-fetch-site": "same-origin" };
    const joined = await edge.join("bound", { headers: browser });
    assert.equal(joined.status, 201);
    const [place, holder] = joined.headers.getSetCookie().map((cookie) => cookie.split(";")[0]);
    assert.match(joined.headers.getSetCookie()[1], /^__Host-holder=.{43}; Path=\/; Max-Age=\d+; Secure; HttpOnly; SameSite=Lax$/);
    const other = (await edge.join("bound", { headers: browser })).headers.getSetCookie()[1].split(";")[0];
    const view = (headers) => edge.json("/queue/v1/bound/place", { headers });
    assert.equal((await view({ cookie: `${place}; ${holder}` })).status, 200);
    problem(await view({ cookie: place }), 401, "invalid_place");
    problem(await view({ cookie: `${place}; ${other}` }), 401, "invalid_place");
    const authorization = `Place ${joined.body.place_token}`;
    problem(await view({ authorization }), 401, "invalid_place");
    problem(await view({ authorization, cookie: other }), 401, "invalid_place");
    assert.equal((await view({ authorization, cookie: holder })).status, 200);
    for (const action of ["claim", "leave", "join"]) {
      problem(await edge.withPlace("bound", action, joined.body.place_token), 401, "invalid_place");
    }
    const again = await edge.join("bound", { headers: { ...browser, cookie: `${place}; ${holder}` } });
    assert.equal(again.status, 200);
    assert.equal(again.body.number, joined.body.number);
    // The same browser keeps its secret for other rooms, and is someone else there.
    await edge.open("bound-too", { control: "paused" });
    const there = await edge.join("bound-too", { headers: { ...browser, cookie: holder } });
    assert.equal(there.headers.getSetCookie()[1].split(";")[0], holder);
    // Any other client gets a place for whoever bears it.
    const bearer = await edge.join("bound");
    assert.equal(bearer.headers.getSetCookie().length, 1);
    assert.equal((await edge.withPlace("bound", "place", bearer.body.place_token, "GET")).status, 200);
  });

  test("pages work without JavaScript", async () => {
    await edge.open("page", { control: "paused", message: "<b>&" });
    const html = { accept: "text/html" };
    const first = await edge.fetch("/e/page", { headers: html });
    assert.equal(await first.text(), "<p>new|page|||&lt;b&gt;&amp;|30</p>");
    assert.equal(first.headers.get("content-type"), "text/html; charset=utf-8");
    assert.equal(first.headers.get("cache-control"), "no-store");
    assert.match(first.headers.get("content-security-policy"), /frame-ancestors 'none'/);
    const joined = await edge.fetch("/e/page/join", { method: "POST", headers: html });
    assert.equal(joined.status, 303);
    assert.equal(joined.headers.get("location"), "/e/page");
    const cookie = joined.headers.getSetCookie().map((cookie) => cookie.split(";")[0]).join("; ");
    await joined.arrayBuffer();
    await sleep(900);
    const waiting = await edge.fetch("/e/page", { headers: { ...html, cookie } });
    assert.match(await waiting.text(), /^<p>waiting\|page\|1\|0\|/);
    await edge.open("page", { version: 2 });
    await sleep(1_000);
    const shop = await edge.fetch("/e/page", { headers: { ...html, cookie } });
    assert.equal(await shop.text(), "<p>shop of page</p>");
    const admission = shop.headers.getSetCookie()[0].split(";")[0];
    assert.match(admission, /^__Host-admission=/);
    const both = `${cookie}; ${admission}`;
    const again = await edge.fetch("/e/page", { headers: { ...html, cookie: both } });
    assert.equal(await again.text(), "<p>shop of page</p>");
    const left = await edge.fetch("/e/page/leave", { method: "POST", headers: { ...html, cookie: both } });
    assert.equal(left.headers.getSetCookie().length, 2);
    const gone = await edge.fetch("/e/page", { headers: { ...html, cookie: both } });
    assert.match(await gone.text(), /^<p>lapsed/);

    const missing = await edge.fetch("/e/nothing", { headers: html });
    assert.equal(missing.status, 404);
    assert.match(missing.headers.get("content-type"), /text\/html/);
    problem(await edge.json("/e/nothing"), 404, "not_found");
    assert.equal(await (await edge.fetch("/")).text(), "<p>landing</p>");
    assert.equal(await (await edge.fetch("/orders/a%22b")).text(), "<p>order a%22b</p>");
    const asset = await edge.fetch("/assets/app.abc123.js");
    assert.equal(asset.headers.get("content-type"), "text/javascript; charset=utf-8");
    assert.equal(asset.headers.get("cache-control"), "public, max-age=31536000, immutable");
    assert.equal(await asset.text(), "export {};\n");
  });
});
