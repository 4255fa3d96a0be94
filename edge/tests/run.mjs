// The edge on the real runtime: `node --test edge/tests/run.mjs` after `scripts/build-edge`.
import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { readdirSync } from "node:fs";
import { after, before, test } from "node:test";
import "./account.mjs";
import "./beacon.mjs";
import "./challenge.mjs";
import "./dispensers.mjs";
import "./draw.mjs";
import "./failures.mjs";
import "./lanes.mjs";
import "./log.mjs";
import { fairness } from "./fairness.mjs";
import { soak } from "./soak.mjs";
import { ADMISSION_KEY, Edge, placeCookie, roomConfig, sleep, startCore } from "./harness.mjs";

let core;
let edge;
before(async () => {
  core = await startCore();
  edge = await Edge.create(core.url);
});
after(async () => {
  await edge.stop();
  core.stop();
});

function problem(answer, status, name) {
  assert.equal(answer.status, status, JSON.stringify(answer.body));
  assert.equal(answer.headers.get("content-type"), "application/problem+json");
  assert.equal(answer.body.type, `https://catraca.dev/problems/${name}`);
  assert.equal(answer.body.status, status);
}

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
  const opensAt = new Date(Date.now() + 1_500).toISOString();
  await edge.open("phases", { control: "scheduled", opens_at: opensAt, version: 5 });
  const early = await edge.join("phases");
  assert.equal(early.body.state, "lobby");
  problem(await edge.withPlace("phases", "claim", early.body.place_token), 409, "not_called");

  const older = await edge.open("phases", { control: "closed", version: 4 });
  assert.equal(older.version, 5);
  const same = await edge.open("phases", { control: "closed", version: 5 });
  assert.equal(same.version, 5);
  assert.equal((await edge.internal("phases", "live")).body.version, 5);

  await sleep(1_700);
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

test("bad input is never our error", async () => {
  await edge.open("bad");
  const good = (await edge.join("bad")).body.place_token;
  await edge.open("other");
  for (const action of ["status", "place"]) {
    problem(await edge.json(`/queue/v1/nowhere/${action}`), 404, "not_found");
  }
  for (const action of ["join", "claim", "leave"]) {
    problem(await edge.json(`/queue/v1/nowhere/${action}`, { method: "POST" }), 404, "not_found");
    problem(await edge.json(`/queue/v1/bad/${action}`), 405, "method_not_allowed");
  }
  for (const path of ["/queue/v1/BAD/join", "/queue/v1/%2e%2e/join", "/nope", "/metrics", "/healthz",
    "/queue/v1/bad/draw", "/internal/v1/rooms/bad/other", "/api", "/e", "/assets/", "/assets/none.js"]) {
    problem(await edge.json(path, { method: "GET" }), 404, "not_found");
  }
  const post = (body, type) => edge.join("bad", {
    body, headers: type === undefined ? {} : { "content-type": type },
  });
  problem(await post("x".repeat(20_000), "application/json"), 413, "payload_too_large");
  problem(await post("x".repeat(10_000_000), "application/json"), 413, "payload_too_large");
  problem(await post("{}", "text/plain"), 415, "unsupported_media_type");
  problem(await post("{", "application/json"), 400, "malformed_body");
  problem(await post("[1]", "application/json"), 400, "malformed_body");
  problem(await post(Buffer.from([0xff, 0xfe]), "application/json"), 400, "malformed_body");
  problem(await post('{"lane_token": 7}', "application/json"), 422, "invalid_field");
  assert.equal((await post('{"unknown": [1]}', "application/json; charset=utf-8")).status, 201);

  const [version, kid, payload, tag] = good.split(".");
  const forged = [
    "", "x", "p1.p1..", `${version}.${kid}.${payload}.${"A".repeat(43)}`,
    `${version}.other.${payload}.${tag}`, `${version}.${kid}.${payload.slice(1)}.${tag}`,
    "é".repeat(3), "A".repeat(5_000),
  ];
  for (const token of forged) {
    let header;
    try { header = new Headers({ authorization: `Place ${token}` }); } catch { continue; }
    for (const [action, method] of [["claim", "POST"], ["leave", "POST"], ["place", "GET"]]) {
      const answer = await edge.json(`/queue/v1/bad/${action}`, { method, headers: header });
      problem(answer, 401, "invalid_place");
    }
  }
  problem(await edge.withPlace("other", "claim", good), 401, "invalid_place");
  problem(await edge.join("bad", { headers: { authorization: "Place p1.x.y.z" } }), 401, "invalid_place");
});

test("made-up rooms leave no trace", async () => {
  const files = () => readdirSync(`${edge.folder}/do`, { recursive: true }).length;
  await edge.json("/queue/v1/made-up/status");
  const before = files();
  for (let i = 0; i < 20; i += 1) {
    problem(await edge.join(`made-up-${i}`), 404, "not_found");
    problem(await edge.json(`/e/made-up-${i}`), 404, "not_found");
  }
  assert.equal(files(), before);
});

test("internal calls are checked", async () => {
  await edge.open("signed");
  problem(await edge.internal("signed", "config", roomConfig("signed", { version: 2 }), { secret: "x" }),
    400, "bad_signature");
  problem(await edge.internal("signed", "live", undefined, { at: 1_000 }), 400, "bad_signature");
  problem(await edge.json("/internal/v1/rooms/signed/live"), 400, "bad_signature");
  problem(await edge.internal("signed", "config", roomConfig("another")), 422, "invalid_field");
  problem(await edge.internal("signed", "config", { room: "signed" }), 422, "invalid_field");
  problem(await edge.internal("signed", "departures", { jtis: ["x"] }), 422, "invalid_field");
  problem(await edge.internal("missing", "live"), 404, "not_found");
  problem(await edge.internal("missing", "departures", { jtis: [] }), 404, "not_found");
  problem(await edge.internal("signed", "departures", { jtis: ["x".repeat(300_000)] }),
    413, "payload_too_large");
  const live = await edge.internal("signed", "live");
  assert.equal(live.body.version, 1);
  assert.equal(live.body.active, 0);
});

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
  await sleep(300);
  await round();
  await sleep(200);
  await round();
  assert.equal(admissions.size, 10);
  assert.equal((await edge.internal("full", "live")).body.active, 10);

  const jtis = [...admissions.values()].slice(0, 4);
  const departures = { jtis: [...jtis, ...jtis, "00000000-0000-8000-8000-000000000000"] };
  assert.equal((await edge.internal("full", "departures", departures)).body.ended, 4);
  assert.equal((await edge.internal("full", "departures", departures)).body.ended, 0);
  for (let i = 0; i < 5; i += 1) { await sleep(100); await round(); }
  assert.equal(admissions.size, 14);
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

test("the gateway forwards, streams, and speaks for nobody else", async () => {
  const echoed = await edge.json("/api/v1/echo?x=1&y=%20", {
    method: "PUT", body: "hello",
    headers: { "x-forwarded-for": "1.2.3.4", "catraca-signature": "t=1,v1=00", "x-own": "1" },
  });
  assert.equal(echoed.status, 200);
  assert.equal(echoed.headers.get("etag"), '"7"');
  assert.equal(echoed.body.method, "PUT");
  assert.equal(echoed.body.url, "/api/v1/echo?x=1&y=%20");
  assert.equal(echoed.body.body, "hello");
  const { headers } = echoed.body;
  assert.equal(headers["x-own"], "1");
  assert.equal(headers["x-forwarded-for"], undefined);
  assert.equal(headers["catraca-signature"], undefined);
  assert.equal(headers["x-forwarded-host"], `127.0.0.1:${edge.port}`);
  assert.equal(headers["x-forwarded-proto"], "http");

  const redirect = await edge.fetch("/auth/redirect");
  assert.equal(redirect.status, 303);
  assert.equal(redirect.headers.get("location"), "https://issuer.example/authorize?x=1");
  assert.deepEqual(redirect.headers.getSetCookie(), ["a=1; Path=/", "b=2; Path=/"]);

  const stream = await edge.fetch("/api/v1/stream");
  const reader = stream.body.getReader();
  const begun = Date.now();
  const one = await reader.read();
  assert.match(Buffer.from(one.value).toString(), /one/);
  assert.ok(Date.now() - begun < 300, "the first event waited for the second");
  const two = await reader.read();
  assert.match(Buffer.from(two.value).toString(), /two/);
});

test("a core that is away is a 503 that says when to return", async () => {
  const lonely = await Edge.create("http://127.0.0.1:9");
  try {
    const answer = await lonely.json("/api/v1/events");
    problem(answer, 503, "unavailable");
    assert.match(answer.headers.get("retry-after"), /^[2-6]$/);
  } finally {
    await lonely.stop();
  }
});

test("nothing was logged as an error of ours", () => {
  assert.doesNotMatch(edge.log, /panicked|RuntimeError|request failed|different request/, edge.log);
});
