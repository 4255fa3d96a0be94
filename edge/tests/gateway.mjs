// The gateway to the core.
import assert from "node:assert/strict";
import { test } from "node:test";
import { problem, suite, withEdge } from "./suite.mjs";

suite("gateway", {}, ({ edge }) => {
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

    const stream = await edge.fetch("/api/v1/stream", { signal: AbortSignal.timeout(15_000) });
    const reader = stream.body.getReader();
    // The second is not sent before the first has been seen.
    const one = await reader.read();
    assert.match(Buffer.from(one.value).toString(), /one/);
    assert.equal((await edge.fetch("/api/v1/stream/go-on")).status, 204);
    const two = await reader.read();
    assert.match(Buffer.from(two.value).toString(), /two/);
  });

  test("a core that is away is a 503 that says when to return", async () => {
    await withEdge({ coreUrl: "http://127.0.0.1:9" }, async (lonely) => {
      const answer = await lonely.json("/api/v1/events");
      problem(answer, 503, "unavailable");
      assert.match(answer.headers.get("retry-after"), /^[2-6]$/);
    });
  });
});
