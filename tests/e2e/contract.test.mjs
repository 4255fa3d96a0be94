// The contract through the edge, on the running stack: the way to a ticket, and every bad input.
import assert from "node:assert/strict";
import { createHmac, randomUUID } from "node:crypto";
import { readFileSync, readdirSync } from "node:fs";
import { dirname, join } from "node:path";
import { after, before, test } from "node:test";
import { Visitor, openEvent, pay, runningStack, until } from "./client.mjs";

const stack = runningStack();
const logs = join(dirname(process.env.CATRACA_RUN_JSON ?? ".local/run.json"), "log");
let slug;
let other;
let fan;

function errorLines() {
  return readdirSync(logs)
    .filter((name) => /^(core|worker|edge)/.test(name))
    .flatMap((name) => readFileSync(join(logs, name), "utf8").split("\n"))
    .filter((line) => /\bERROR\b|panicked/.test(line));
}

before(async () => {
  const csv =
    "section,kind,row,seat,capacity,price_minor,x,y\n" +
    "Pit,general,,,20,5000,,\nA,seated,1,1,,9000,0,0\nA,seated,1,2,,9000,1,0\n";
  ({ slug } = await openEvent(stack.edge, { csv, name: "contract" }));
  ({ slug: other } = await openEvent(stack.edge, { name: "other" }));
  fan = new Visitor(stack.edge);
  await fan.admit(slug);
  await fan.login(`fan-${randomUUID()}@example.com`);
});

const problem = (reply, status, name) => {
  assert.equal(reply.status, status, JSON.stringify(reply.data));
  assert.match(reply.type, /^application\/problem\+json/);
  assert.equal(reply.data.status, status);
  assert.ok(reply.data.title && reply.data.detail, "a title and a detail");
  if (name) assert.ok(reply.data.type.endsWith(`/${name}`), reply.data.type);
};

const final = (visitor, order) =>
  until("the order's end", async () => {
    const { data } = await visitor.get(`/api/v1/orders/${order}`);
    return ["queued", "awaiting_payment"].includes(data.status) ? undefined : data;
  });

for (const provider of ["card", "paypal"]) {
  test(`from the line to a ticket with ${provider}`, async () => {
    const buyer = new Visitor(stack.edge);
    const joined = await buyer.post(`/queue/v1/${slug}/join`, {});
    assert.equal(joined.status, 201);
    const again = await buyer.post(`/queue/v1/${slug}/join`, {});
    assert.equal(again.status, 200);
    assert.equal(again.data.number, joined.data.number);
    const token = await buyer.admit(slug);
    assert.equal(await buyer.admit(slug), token, "the same place, the same admission");
    await buyer.login(`buyer-${randomUUID()}@example.com`);
    const key = randomUUID();
    const wish = { event: slug, section: "Pit", quantity: 2 };
    const hold = await buyer.post("/api/v1/holds", wish, { key });
    assert.equal(hold.status, 201, JSON.stringify(hold.data));
    assert.deepEqual(hold.data.total, { amount_minor: 10_000, currency: "BRL" });
    const repeated = await buyer.post("/api/v1/holds", wish, { key });
    assert.deepEqual(repeated.data, hold.data, "the same key, the same answer");
    problem(
      await buyer.post("/api/v1/holds", { ...wish, quantity: 1 }, { key }),
      422,
      "idempotency_key_reused",
    );
    const order = await buyer.post("/api/v1/orders", { hold: hold.data.hold, provider });
    assert.equal(order.status, 202, JSON.stringify(order.data));
    assert.equal(order.data.status, "queued");
    problem(
      await buyer.post("/api/v1/orders", { hold: hold.data.hold, provider }),
      409,
      "hold_has_order",
    );
    await pay(buyer, order.data.order, "approve");
    const paid = await final(buyer, order.data.order);
    assert.equal(paid.status, "paid");
    assert.equal(paid.tickets.length, 2);
    const id = paid.tickets[0].ticket ?? paid.tickets[0];
    const ticket = await buyer.get(`/api/v1/tickets/${id}`);
    assert.equal(ticket.status, 200);
    const svg = await buyer.get(`/api/v1/tickets/${id}.svg`);
    assert.match(svg.type, /^image\/svg\+xml/);
    const pdf = await buyer.get(`/api/v1/tickets/${id}.pdf`);
    assert.ok(pdf.data.startsWith("%PDF-"));
    const stranger = await new Visitor(stack.edge).login(`x-${randomUUID()}@example.com`);
    problem(await stranger.get(`/api/v1/tickets/${id}`), 404);
    problem(await stranger.get(`/api/v1/orders/${order.data.order}`), 404);
    const after = await buyer.post("/api/v1/holds", wish);
    problem(after, 401, "session_ended");
  });
}

test("a declined payment frees the seats", async () => {
  const buyer = new Visitor(stack.edge);
  await buyer.admit(slug);
  await buyer.login(`buyer-${randomUUID()}@example.com`);
  const seats = [{ section: "A", row: "1", seat: "1" }];
  const hold = await buyer.post("/api/v1/holds", { event: slug, seats });
  assert.equal(hold.status, 201, JSON.stringify(hold.data));
  assert.deepEqual(hold.data.seats, seats);
  problem(await fan.post("/api/v1/holds", { event: slug, seats }), 409, "seats_taken");
  const order = await buyer.post("/api/v1/orders", { hold: hold.data.hold, provider: "card" });
  await pay(buyer, order.data.order, "decline");
  assert.equal((await final(buyer, order.data.order)).status, "failed");
  const regained = await fan.post("/api/v1/holds", { event: slug, seats });
  assert.equal(regained.status, 201, JSON.stringify(regained.data));
  const released = await fan.ask("DELETE", `/api/v1/holds/${regained.data.hold}`);
  assert.equal(released.status, 204);
});

test("operators refund once", async () => {
  const buyer = new Visitor(stack.edge);
  await buyer.admit(slug);
  await buyer.login(`buyer-${randomUUID()}@example.com`);
  const hold = await buyer.post("/api/v1/holds", { event: slug, section: "Pit", quantity: 1 });
  const order = await buyer.post("/api/v1/orders", { hold: hold.data.hold, provider: "card" });
  await pay(buyer, order.data.order, "approve");
  assert.equal((await final(buyer, order.data.order)).status, "paid");
  const path = `/api/v1/admin/orders/${order.data.order}/refund`;
  problem(await buyer.post(path, {}), 403, "forbidden");
  const operator = await new Visitor(stack.edge).login("operator@example.com");
  const replies = await Promise.all([operator.post(path, {}), operator.post(path, {})]);
  for (const reply of replies) assert.ok([200, 202, 409].includes(reply.status), `${reply.status}`);
  await until("the refund", async () => {
    const { data } = await buyer.get(`/api/v1/orders/${order.data.order}`);
    return data.status === "refunded" ? true : undefined;
  });
});

test("bad holds", async () => {
  const good = { event: slug, section: "Pit", quantity: 1 };
  const holds = "/api/v1/holds";
  for (const quantity of [0, -1, 1e9, 1.5, "2", null, [], {}]) {
    problem(await fan.post(holds, { ...good, quantity }), 422);
  }
  problem(await fan.post(holds, { ...good, quantity: 5 }), 422, "over_limit");
  problem(await fan.post(holds, { ...good, event: "no-such-event" }), 404);
  problem(await fan.post(holds, { ...good, section: "Nowhere" }), 404);
  const seat = { section: "A", row: "9", seat: "9" };
  const unknown = await fan.post(holds, { event: slug, seats: [seat] });
  assert.ok([404, 422].includes(unknown.status), `${unknown.status}`);
  problem(unknown, unknown.status);
  problem(await fan.post(holds, { event: slug, seats: [] }), 422);
  problem(await fan.post(holds, good, { key: null }), 400, "missing_idempotency_key");
  const json = { "content-type": "application/json", "idempotency-key": randomUUID() };
  const raw = (body, headers = json) => fan.ask("POST", holds, { body, headers });
  problem(await raw("{not json"), 400, "malformed_body");
  problem(await raw("[]"), 400);
  problem(await raw(`{"x":"${"x".repeat(10 * 1024 * 1024)}"}`), 413, "payload_too_large");
  problem(
    await raw(JSON.stringify(good), { ...json, "content-type": "text/plain" }),
    415,
    "unsupported_media_type",
  );
});

const b64 = (value) => Buffer.from(JSON.stringify(value)).toString("base64url");

test("bad admissions", async () => {
  const good = { event: slug, section: "Pit", quantity: 1 };
  const login = fan.jar.get("__Host-login");
  const token = fan.jar.get("__Host-admission");
  const [header, claims, tag] = token.split(".");
  const body = JSON.parse(Buffer.from(claims, "base64url"));
  const forged = `${header}.${b64({ ...body, num: 1 })}`;
  const key = createHmac("sha256", "a guess");
  const tokens = {
    absent: null,
    garbage: "garbage",
    none: `${b64({ alg: "none", typ: "JWT" })}.${claims}.`,
    "none with a tag": `${b64({ alg: "none", kid: "a1", typ: "JWT" })}.${claims}.${tag}`,
    forged: `${forged}.${key.update(forged).digest("base64url")}`,
    "tag cut": `${header}.${claims}.${tag.slice(0, -2)}`,
    huge: `${header}.${"A".repeat(8000)}.${tag}`,
  };
  for (const [name, bad] of Object.entries(tokens)) {
    const visitor = new Visitor(stack.edge);
    visitor.jar.set("__Host-login", login);
    const headers = bad === null ? {} : { authorization: `Bearer ${bad}` };
    const reply = await visitor.post("/api/v1/holds", good, { headers });
    problem(reply, 401, bad === null ? "no_admission" : "invalid_admission");
    assert.ok(!JSON.stringify(reply.data).includes(tag), name);
  }
  const elsewhere = new Visitor(stack.edge);
  const foreign = await elsewhere.admit(other);
  elsewhere.jar.set("__Host-login", login);
  problem(
    await elsewhere.post("/api/v1/holds", good, { headers: { authorization: `Bearer ${foreign}` } }),
    401,
  );
  const loggedOut = new Visitor(stack.edge);
  loggedOut.jar.set("__Host-admission", token);
  problem(await loggedOut.post("/api/v1/holds", good), 401, "not_logged_in");
  const thief = await new Visitor(stack.edge).login(`thief-${randomUUID()}@example.com`);
  thief.jar.set("__Host-admission", token);
  await fan.get("/api/v1/session");
  problem(await thief.post("/api/v1/holds", good), 401, "admission_spent");
});

test("bad places and rooms", async () => {
  const visitor = new Visitor(stack.edge);
  problem(await visitor.post("/queue/v1/no-such-room/join", {}), 404);
  problem(await visitor.get("/queue/v1/no-such-room/status"), 404);
  problem(await visitor.get("/queue/v1/NOT%20A%20SLUG/status"), 404);
  problem(await visitor.get(`/queue/v1/${slug}/place`), 401);
  const joined = await visitor.post(`/queue/v1/${slug}/join`, {});
  const place = joined.data.place_token;
  const bare = (room, token) =>
    new Visitor(stack.edge).get(`/queue/v1/${room}/place`, {
      headers: { authorization: `Place ${token}` },
    });
  assert.equal((await bare(slug, place)).data.number, joined.data.number);
  problem(await bare(other, place), 401, "invalid_place");
  problem(await bare(slug, `${place}x`), 401, "invalid_place");
  problem(await bare(slug, "garbage"), 401, "invalid_place");
  const raw = (body, type) =>
    new Visitor(stack.edge).ask("POST", `/queue/v1/${slug}/join`, {
      body,
      headers: { "content-type": type },
    });
  problem(await raw("{nope", "application/json"), 400);
  problem(await raw("[1]", "application/json"), 400);
  problem(await raw("x".repeat(10 * 1024 * 1024), "application/json"), 413);
  problem(await visitor.ask("DELETE", `/queue/v1/${slug}/join`), 405);
  problem(await visitor.get("/nowhere"), 404);
  problem(await visitor.get("/api/v1/nowhere"), 404);
  for (const path of ["/metrics", "/healthz", "/readyz", `/internal/v1/rooms/${slug}/live`]) {
    assert.ok((await visitor.get(path)).status >= 400, path);
  }
});

test("bad operators", async () => {
  problem(await fan.post("/api/v1/admin/events", {}), 403, "forbidden");
  problem(await new Visitor(stack.edge).get("/api/v1/admin/events"), 401, "not_logged_in");
  const operator = await new Visitor(stack.edge).login("operator@example.com");
  problem(await operator.post("/api/v1/admin/events", { event: "Bad Slug" }), 422);
  const path = `/api/v1/admin/rooms/${slug}`;
  for (const bad of [{ rate_per_minute: 0 }, { max_active: -1 }, { method: "lottery" }]) {
    problem(await operator.ask("PUT", path, { json: bad }), 422);
  }
  const reply = await operator.ask("POST", `/api/v1/admin/events/${slug}/seats:import`, {
    body: "section,kind,row,seat,capacity,price_minor,x,y\nA,seated,,,,-1,,\nB,nonsense,,,,,,\n",
    headers: { "content-type": "text/csv" },
  });
  assert.ok([409, 422].includes(reply.status), `${reply.status}`);
});

test("redirects after login stay here", async () => {
  const visitor = new Visitor(stack.edge);
  for (const bad of ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:x"]) {
    const query = new URLSearchParams({ provider: "dev", return_to: bad });
    problem(await visitor.get(`/auth/login?${query}`), 422);
  }
  const callback = await visitor.get("/auth/callback?code=x&state=y");
  assert.equal(callback.status, 400);
});

test("webhooks without a signature are refused", async () => {
  const visitor = new Visitor(stack.edge);
  for (const provider of ["card", "paypal"]) {
    problem(await visitor.post(`/webhooks/${provider}`, { id: "evt_1" }), 400, "bad_signature");
  }
  problem(await visitor.post("/webhooks/barter", {}), 404);
});

after(() => {
  assert.deepEqual(errorLines(), [], "nothing of this is logged as an error of ours");
});
