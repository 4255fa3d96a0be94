// A client of the HTTP contract: plain fetch, cookies kept by hand, nothing of ours imported.
import { randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";

/** Addresses and pids of the running stack. Fails when there is none. */
export function runningStack() {
  const path = process.env.CATRACA_RUN_JSON ?? ".local/run.json";
  try {
    return JSON.parse(readFileSync(path, "utf8"));
  } catch {
    throw new Error(`no running stack: ${path} can't be read; start one with \`make up\``);
  }
}

/** One visitor's browser: a cookie jar and a way to ask. */
export class Visitor {
  constructor(origin) {
    this.origin = origin;
    this.jar = new Map();
  }

  /** Follows no redirect. `json` sets body and content type; `headers` win over both. */
  async ask(method, path, { json, body, headers = {}, timeoutMs = 20_000 } = {}) {
    const url = new URL(path, this.origin);
    const cookies = [...this.jar].map(([name, value]) => `${name}=${value}`).join("; ");
    const response = await fetch(url, {
      method,
      redirect: "manual",
      signal: AbortSignal.timeout(timeoutMs),
      body: json === undefined ? body : JSON.stringify(json),
      headers: {
        ...(cookies ? { cookie: cookies } : {}),
        ...(json === undefined ? {} : { "content-type": "application/json" }),
        ...headers,
      },
    });
    for (const line of response.headers.getSetCookie()) {
      const [pair] = line.split(";");
      const at = pair.indexOf("=");
      const gone = /max-age=0(;|$)/i.test(line);
      if (gone) this.jar.delete(pair.slice(0, at));
      else this.jar.set(pair.slice(0, at), pair.slice(at + 1));
    }
    const text = await response.text();
    const type = response.headers.get("content-type") ?? "";
    const data = /json/.test(type) && text ? JSON.parse(text) : text;
    return { status: response.status, headers: response.headers, type, data };
  }

  get(path, options) {
    return this.ask("GET", path, options);
  }

  /** A POST with a fresh Idempotency-Key unless one is given. */
  post(path, json, { key = randomUUID(), headers = {}, ...rest } = {}) {
    const idempotency = key === null ? {} : { "idempotency-key": key };
    return this.ask("POST", path, { json, headers: { ...idempotency, ...headers }, ...rest });
  }

  /** The whole code flow, by redirects alone. */
  async login(email) {
    const query = new URLSearchParams({ provider: "dev", login_hint: email, return_to: "/" });
    let url = new URL(`/auth/login?${query}`, this.origin).href;
    for (let hop = 0; hop < 12; hop += 1) {
      const reply = await this.ask("GET", url);
      const location = reply.headers.get("location");
      if (!location) {
        if (reply.status !== 200) throw new Error(`login: ${reply.status} at ${url}`);
        return this;
      }
      url = new URL(location, url).href;
      if (url === new URL("/", this.origin).href) return this;
    }
    throw new Error("login: too many redirects");
  }

  /** Joins, waits to be called, claims. Gives the admission token. */
  async admit(room, patienceMs = 30_000) {
    const join = await this.post(`/queue/v1/${room}/join`, {});
    if (join.status !== 201 && join.status !== 200) throw new Error(`join: ${join.status}`);
    return until(`an admission to ${room}`, async () => {
      const claim = await this.post(`/queue/v1/${room}/claim`, {});
      return claim.status === 200 ? claim.data.admission_token : undefined;
    }, patienceMs);
  }
}

/** Asks again until there is an answer. The pause is between questions, never instead of one. */
export async function until(what, question, timeoutMs = 30_000) {
  const deadline = Date.now() + timeoutMs;
  for (;;) {
    const answer = await question();
    if (answer !== undefined) return answer;
    if (Date.now() > deadline) throw new Error(`waited ${timeoutMs} ms for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}

function expect(reply, status, what) {
  if (reply.status !== status) {
    throw new Error(`${what}: ${reply.status} ${JSON.stringify(reply.data)}`);
  }
}

/** Sets up an event of its own: a unique slug, seats, a room that is still closed. Gives the slug. */
export async function createEvent(operator, { csv, event = {}, room = {}, name = "test" } = {}) {
  const slug = `${name}-${randomUUID().slice(0, 8)}`;
  expect(
    await operator.post("/api/v1/admin/events", {
      event: slug,
      title: "A test",
      venue: "Here",
      starts_at: "2030-01-01T20:00:00Z",
      currency: "BRL",
      max_seats_per_buyer: 4,
      hold_seconds: 300,
      ...event,
    }),
    201,
    "create the event",
  );
  const table = csv ?? "section,kind,row,seat,capacity,price_minor,x,y\nPit,general,,,50,5000,,\n";
  expect(
    await operator.ask("POST", `/api/v1/admin/events/${slug}/seats:import`, {
      body: table,
      headers: { "content-type": "text/csv" },
    }),
    200,
    "import the seats",
  );
  const settings = { rate_per_minute: 60_000, max_active: 1000, session_seconds: 900, ...room };
  expect(
    await operator.ask("PUT", `/api/v1/admin/rooms/${slug}`, { json: settings }),
    200,
    "set up the room",
  );
  return slug;
}

/** What an operator does to a room: `open`, `pause`, `resume`, `close`. */
export async function actOn(operator, slug, action) {
  expect(await operator.post(`/api/v1/admin/rooms/${slug}/${action}`, {}), 200, `${action} the room`);
}

/** Does what a buyer does on the payment provider's page: `approve`, `decline`. */
export async function pay(visitor, order, outcome) {
  const url = await until("a page to pay at", async () => {
    const reply = await visitor.get(`/api/v1/orders/${order}`);
    return reply.data.next_action?.redirect_url;
  });
  const reply = await fetch(url, {
    method: "POST",
    redirect: "manual",
    body: new URLSearchParams({ outcome }),
  });
  if (reply.status !== 303) throw new Error(`pay: ${reply.status}`);
}

/** Opens an on-sale of its own: an event with a unique slug, its seats, its room open. */
export async function openEvent(origin, options = {}) {
  const operator = await new Visitor(origin).login("operator@example.com");
  const slug = await createEvent(operator, options);
  await actOn(operator, slug, "open");
  await until("the room to open", async () => {
    const status = await operator.get(`/queue/v1/${slug}/status`);
    return status.data.phase === "open" ? true : undefined;
  });
  return { slug, operator };
}
