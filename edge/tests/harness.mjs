// Runs the built Worker in workerd on a port of its own, with a stub for the core.
import { spawn } from "node:child_process";
import { createHmac, randomBytes } from "node:crypto";
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { createServer as createSocket } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const workerd = join(root, "node_modules/@cloudflare/workerd-linux-64/bin/workerd");
const build = process.env.EDGE_OUT ?? join(root, "edge/build");
export const SECRET = "test-edge-secret";
export const ADMISSION_KEY = Buffer.alloc(32, 7).toString("base64url");
export const LOG_KEY = Buffer.alloc(32, 11).toString("base64url");
export const PLACE_KEY = Buffer.alloc(32, 9).toString("base64url");

function freePort() {
  return new Promise((resolve, reject) => {
    const probe = createSocket();
    probe.once("error", reject);
    probe.listen(0, "127.0.0.1", () => {
      const { port } = probe.address();
      probe.close(() => resolve(port));
    });
  });
}

/** Whoever logs in at the stub of the core is this account. */
export const ANA = "11111111-1111-4111-8111-111111111111";

/** A core that says what it was asked, streams when told to, redirects when told to, and logs in. */
export async function startCore() {
  /** Answers that have begun, and end when told to. */
  const streams = [];
  const core = createServer((request, response) => {
    if (request.url === "/auth/providers") {
      response.writeHead(200, { "content-type": "application/json" });
      response.end(JSON.stringify({ providers: [{ name: "dev" }] }));
      return;
    }
    if (request.url.startsWith("/auth/login")) {
      response.writeHead(303, {
        location: new URL(request.url, "http://core").searchParams.get("return_to"),
        "set-cookie": `__Host-login=${ANA}; Path=/; Secure; HttpOnly; SameSite=Lax`,
      });
      response.end();
      return;
    }
    const chunks = [];
    if (request.url === "/api/v1/stream") {
      response.writeHead(200, { "content-type": "text/event-stream" });
      response.write("data: one\n\n");
      streams.push(response);
      return;
    }
    if (request.url === "/api/v1/stream/go-on") {
      for (const stream of streams.splice(0)) stream.end("data: two\n\n");
      response.writeHead(204).end();
      return;
    }
    if (request.url === "/api/v1/me") {
      const account = /__Host-login=([0-9a-f-]{36})/.exec(request.headers.cookie ?? "")?.[1];
      response.writeHead(account === undefined ? 401 : 200, { "content-type": "application/json" });
      response.end(JSON.stringify({ account, email: "a@example.com", name: null, roles: [] }));
      return;
    }
    if (request.url.startsWith("/auth/redirect")) {
      response.writeHead(303, {
        location: "https://issuer.example/authorize?x=1",
        "set-cookie": ["a=1; Path=/", "b=2; Path=/"],
      });
      response.end();
      return;
    }
    request.on("data", (chunk) => chunks.push(chunk));
    request.on("end", () => {
      response.writeHead(200, { "content-type": "application/json", etag: '"7"' });
      response.end(JSON.stringify({
        method: request.method,
        url: request.url,
        headers: request.headers,
        body: Buffer.concat(chunks).toString(),
      }));
    });
  });
  await new Promise((resolve) => core.listen(0, "127.0.0.1", resolve));
  return { url: `http://127.0.0.1:${core.address().port}`, stop: () => core.close() };
}

/** A Worker before the edge that gives a request up after a while: what is taken back from without is
 * cancelled, as a visitor's who goes away is on Cloudflare, and in workerd alone is not. */
const FRONT = `
export default {
  async fetch(request, env) {
    const headers = new Headers(request.headers);
    const signal = AbortSignal.timeout(Number(headers.get("x-cut-after")));
    headers.delete("x-cut-after");
    try {
      return await env.EDGE.fetch(request.url, { method: request.method, headers, signal });
    } catch {
      return new Response(null, { status: 299 });
    }
  },
};
`;

function config(port, frontPort, coreUrl, folder, assets, extra, faults, wrapped) {
  const main = wrapped ? `    (name = "wrapper.js", esModule = embed "wrapper.js"),\n` : "";
  const service = faults === undefined ? "" : `    (name = "faults", external = (address = "${faults}", http = ())),\n`;
  const binding = faults === undefined ? "" : `    (name = "FAULTS", service = "faults"),\n`;
  const bindings = Object.entries(extra)
    .map(([name, text]) => `    (name = "${name}", text = ${JSON.stringify(text)}),\n`).join("");
  const keys = (kid, secret) => JSON.stringify(JSON.stringify([{ kid, secret }]));
  return `
using Workerd = import "/workerd/workerd.capnp";
const config :Workerd.Config = (
  services = [
    (name = "edge", worker = .edge),
    (name = "assets", disk = (path = "${assets}")),
    (name = "do", disk = (path = "${folder}/do", writable = true)),
    (name = "internet", network = (allow = ["127.0.0.0/8"])),
${service}    (name = "front", worker = .front),
  ],
  sockets = [
    (name = "http", address = "127.0.0.1:${port}", http = (), service = "edge"),
    (name = "front", address = "127.0.0.1:${frontPort}", http = (), service = "front"),
  ],
);
const front :Workerd.Worker = (
  modules = [(name = "front.js", esModule = embed "front.js")],
  compatibilityDate = "2026-04-01",
  bindings = [(name = "EDGE", service = "edge")],
);
const edge :Workerd.Worker = (
  modules = [
${main}    (name = "index.js", esModule = embed "index.js"),
    (name = "./index_bg.wasm", wasm = embed "index_bg.wasm"),
  ],
  compatibilityDate = "2026-04-01",
  bindings = [
    (name = "CORE_URL", text = "${coreUrl}"),
    (name = "CATRACA_PUBLIC_URL", text = "http://127.0.0.1:${port}"),
    (name = "CATRACA_EDGE_SECRET", text = "${SECRET}"),
    (name = "CATRACA_ADMISSION_KEYS", text = ${keys("a1", ADMISSION_KEY)}),
    (name = "CATRACA_PLACE_KEYS", text = ${keys("p1", PLACE_KEY)}),
${bindings}${binding}    (name = "ASSETS", service = "assets"),
    (name = "ROOM", durableObjectNamespace = "Room"),
    (name = "DISPENSER", durableObjectNamespace = "Dispenser"),
  ],
  globalOutbound = "internet",
  durableObjectNamespaces = [
    (className = "Room", uniqueKey = "catraca-room", enableSql = true),
    (className = "Dispenser", uniqueKey = "catraca-dispenser", enableSql = true),
  ],
  durableObjectStorage = (localDisk = "do"),
);
`;
}

/**
 * Breaks the Durable Objects at will, and counts the calls to them: in front of the built Worker stands
 * a module of the tests' own, whose classes ask this server before they pass a call on.
 */
export class Faults {
  /** Per class: `none`; `throw`, as when it is overloaded; `hang`, for ever; `hold`, until `release`. */
  now = { Room: "none", Dispenser: "none" };
  /** Every call, as `Room/lease`. */
  calls = [];
  #held = [];

  static async start() {
    const faults = new Faults();
    await faults.listen();
    return faults;
  }

  async listen() {
    this.server = createServer((request, response) => {
      const [, name, ...path] = request.url.split("/");
      this.calls.push(`${name}/${path.join("/")}`);
      if (this.now[name] === "hold") this.#held.push(response);
      else response.end(this.now[name]);
    });
    await new Promise((resolve) => this.server.listen(0, "127.0.0.1", resolve));
    this.address = `127.0.0.1:${this.server.address().port}`;
  }

  /** Lets go what is held, and holds no more. */
  release() {
    for (const [name, fault] of Object.entries(this.now)) if (fault === "hold") this.now[name] = "none";
    for (const response of this.#held.splice(0)) response.end("none");
  }

  async until(pattern, count) {
    const until = Date.now() + 10_000;
    while (this.count(pattern) < count) {
      if (Date.now() > until) throw new Error(`only ${this.count(pattern)} of ${count} calls ${pattern}`);
      await sleep(2);
    }
  }

  count(pattern) {
    return this.calls.filter((call) => pattern.test(call)).length;
  }

  stop() {
    this.server.closeAllConnections();
    this.server.close();
  }
}

const FAULTY = `
import worker, * as built from "./index.js";
export default worker;
const faulty = (name) => class extends built[name] {
  #env;
  constructor(state, env) {
    super(state, env);
    this.#env = env;
  }
  async fetch(request) {
    const asked = await this.#env.FAULTS.fetch("http://faults/" + name + new URL(request.url).pathname);
    const fault = await asked.text();
    if (fault === "throw") throw new Error("fault on purpose");
    if (fault === "hang") await new Promise((resolve) => setTimeout(resolve, 60_000));
    return super.fetch(request);
  }
};
export const Room = faulty("Room");
export const Dispenser = faulty("Dispenser");
`;

/** The edge: `start`, `kill` (as `kill -9` does), `stop` for good. */
export class Edge {
  static async create(coreUrl, bindings = {}, options = {}) {
    const edge = new Edge();
    await edge.setUp(coreUrl, bindings, options);
    return edge;
  }

  /**
   * Makes its folder and starts it. `dist`: a folder of built pages to serve instead of plain stand-ins;
   * `patch`: changes the built module; `counted`: what its Durable Objects cost is counted, see `counts`.
   */
  async setUp(coreUrl, bindings = {}, { dist, faults, patch, counted } = {}) {
    this.folder = mkdtempSync(join(tmpdir(), "catraca-edge-"));
    this.port = await freePort();
    this.frontPort = await freePort();
    this.url = `http://127.0.0.1:${this.port}`;
    for (const name of ["do", "dist", "dist/pages", "dist/assets"]) mkdirSync(join(this.folder, name));
    for (const name of ["index.js", "index_bg.wasm"]) {
      if (!existsSync(join(build, name))) throw new Error("run scripts/build-edge first");
      copyFileSync(join(build, name), join(this.folder, name));
    }
    if (patch !== undefined) {
      const path = join(this.folder, "index.js");
      writeFileSync(path, patch(readFileSync(path, "utf8")));
    }
    const page = (name, text) => writeFileSync(join(this.folder, "dist/pages", name), text);
    page("waiting.html", "<p>{{state}}|{{room}}|{{number}}|{{ahead}}|{{message}}|{{refresh}}</p>");
    page("shop.html", "<p>shop of {{room}}</p>");
    page("landing.html", "<p>landing</p>");
    page("order.html", "<p>order {{id}}</p>");
    page("ticket.html", "<p>ticket {{id}}</p>");
    writeFileSync(join(this.folder, "dist/assets/app.abc123.js"), "export {};\n");
    const wrapper = counted ? readFileSync(join(root, "load/peers/counted.js")) : faults && FAULTY;
    if (wrapper !== undefined) writeFileSync(join(this.folder, "wrapper.js"), wrapper);
    const assets = dist ?? join(this.folder, "dist");
    writeFileSync(join(this.folder, "front.js"), FRONT);
    const text = config(this.port, this.frontPort, coreUrl, this.folder, assets, bindings, faults?.address, wrapper !== undefined);
    writeFileSync(join(this.folder, "config.capnp"), text);
    await this.start();
  }

  async start() {
    this.log = "";
    this.process = spawn(workerd, ["serve", "config.capnp"], {
      cwd: this.folder,
      stdio: ["ignore", "pipe", "pipe"],
    });
    for (const stream of [this.process.stdout, this.process.stderr]) {
      stream.on("data", (chunk) => { this.log += chunk; });
    }
    for (let tries = 0; tries < 200; tries += 1) {
      try {
        const response = await fetch(`${this.url}/queue/v1/no-room/nothing`);
        await response.arrayBuffer();
        return;
      } catch {
        await new Promise((resolve) => setTimeout(resolve, 25));
      }
    }
    throw new Error(`workerd did not come up: ${this.log}`);
  }

  async kill() {
    const gone = new Promise((resolve) => this.process.once("exit", resolve));
    this.process.kill("SIGKILL");
    await gone;
  }

  async stop() {
    if (this.process !== undefined) await this.kill();
    if (this.folder !== undefined) rmSync(this.folder, { recursive: true, force: true });
  }

  fetch(path, options = {}) {
    return fetch(this.url + path, { redirect: "manual", ...options });
  }

  async json(path, options = {}) {
    const response = await this.fetch(path, options);
    const text = await response.text();
    return { status: response.status, headers: response.headers, body: text && JSON.parse(text) };
  }

  async internal(room, action, body, { secret = SECRET, at = Math.floor(Date.now() / 1000) } = {}) {
    const text = body === undefined ? "" : JSON.stringify(body);
    const tag = createHmac("sha256", secret).update(`${at}.${text}`).digest("hex");
    return this.json(`/internal/v1/rooms/${room}/${action}`, {
      method: body === undefined ? "GET" : "POST",
      headers: { "catraca-signature": `t=${at},v1=${tag}` },
      body: body === undefined ? undefined : text,
    });
  }

  async open(room, settings = {}) {
    const answer = await this.internal(room, "config", roomConfig(room, settings));
    if (answer.status !== 200) throw new Error(JSON.stringify(answer.body));
    return answer.body;
  }

  /** What its Durable Objects have cost since the start. */
  async counts() {
    return (await this.json("/counts")).body;
  }

  join(room, options = {}) {
    return this.json(`/queue/v1/${room}/join`, { method: "POST", ...options });
  }

  /** A join whose visitor goes away after so long. */
  async joinAndGo(room, cut_after_ms) {
    const answer = await fetch(`http://127.0.0.1:${this.frontPort}/queue/v1/${room}/join`, {
      method: "POST", headers: { "x-cut-after": String(cut_after_ms) },
    });
    await answer.arrayBuffer();
    if (answer.status !== 299) throw new Error(`answered with ${answer.status} before it was cut`);
  }

  withPlace(room, action, token, method = "POST") {
    return this.json(`/queue/v1/${room}/${action}`, {
      method,
      headers: { authorization: `Place ${token}` },
    });
  }

  /** Claims until admitted or refused for good. */
  async claimUntil(room, token, patience_ms = 8_000) {
    const until = Date.now() + patience_ms;
    for (;;) {
      const claimed = await this.withPlace(room, "claim", token);
      const again = claimed.status === 202 || claimed.status === 409;
      if (!again || Date.now() > until) return claimed;
      await sleep(Math.min(claimed.body.retry_after_ms ?? 100, 200));
    }
  }
}

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Asks until `is` accepts the answer, or patience ends: the last answer either way, for the test to judge. */
export async function settled(ask, is, patience_ms = 10_000) {
  for (const until = Date.now() + patience_ms; ;) {
    const answer = await ask();
    if (is(answer) || Date.now() > until) return answer;
    await sleep(100);
  }
}

export function roomConfig(room, settings = {}) {
  return {
    room, version: 1, method: "fifo", identity: "anonymous", challenge: "none", control: "open",
    opens_at: null, rate_per_minute: 60_000, max_active: 1_000, session_seconds: 600,
    claim_window_seconds: 60, lanes: [], fail_mode: "closed", message: null, sold_out: false,
    ...settings,
  };
}

export function placeCookie(response, room) {
  const cookies = response.headers.getSetCookie();
  return cookies.find((cookie) => cookie.startsWith(`__Host-place-${room}=`));
}

/** A lane pass, made by a program that shares no code with the one that reads it. */
export function lanePass(room, lane, { secret = SECRET, expires = Date.now() / 1000 + 60, id = randomBytes(16) } = {}) {
  const at = Buffer.alloc(8);
  at.writeBigUInt64BE(BigInt(Math.floor(expires)));
  const payload = Buffer.concat([at, id, Buffer.from(lane)]);
  const signed = Buffer.concat([Buffer.from(`catraca-lane-v1\0${room}\0`), payload]);
  const tag = createHmac("sha256", secret).update(signed).digest("base64url");
  return `l1.${payload.toString("base64url")}.${tag}`;
}
