// What comes from outside is checked: bad input is a problem that names it, and leaves no trace.
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { test } from "node:test";
import { roomConfig } from "./harness.mjs";
import { problem, suite } from "./suite.mjs";

suite("input", {}, ({ edge }) => {
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
});
