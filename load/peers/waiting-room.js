// A waiting room as one would write it in JavaScript, with the same API and the same place token
// as the product, for comparing the two. Written to be fast: keys imported once, the status
// document kept in memory and refreshed behind the answer, one statement a join.
//
// The difference meant to be measured: numbers come from a row inserted for each visitor, and
// nothing is compiled.
const encoder = new TextEncoder();
const FIXED_BYTES = 36;
const FRESH_MS = 400;

let keys;
const documents = new Map();

async function importKeys(env) {
  const ring = new Map();
  let signer;
  for (const { kid, secret } of JSON.parse(env.CATRACA_PLACE_KEYS)) {
    const algorithm = { name: "HMAC", hash: "SHA-256" };
    const bytes = fromBase64Url(secret);
    const key = await crypto.subtle.importKey("raw", bytes, algorithm, false, ["sign", "verify"]);
    ring.set(kid, key);
    signer ??= { kid, key };
  }
  return { ring, signer };
}

const fromBase64Url = (text) => Uint8Array.fromBase64(text, { alphabet: "base64url" });
const toBase64Url = (bytes) => bytes.toBase64({ alphabet: "base64url", omitPadding: true });

// What the tag covers: a fixed prefix, the room, the payload.
function signed(room, payload) {
  const head = encoder.encode(`catraca-place-v1\0${room}\0`);
  const bytes = new Uint8Array(head.length + payload.length);
  bytes.set(head);
  bytes.set(payload, head.length);
  return bytes;
}

async function mint(env, room, place) {
  const { signer } = (keys ??= await importKeys(env));
  const lane = encoder.encode(place.lane);
  const payload = new Uint8Array(FIXED_BYTES + lane.length);
  const view = new DataView(payload.buffer);
  view.setUint32(0, place.epoch);
  view.setBigUint64(4, BigInt(place.number));
  view.setBigUint64(12, BigInt(place.joinedAt));
  payload.set(place.visitor, 20);
  payload.set(lane, FIXED_BYTES);
  const tag = new Uint8Array(await crypto.subtle.sign("HMAC", signer.key, signed(room, payload)));
  return `p1.${signer.kid}.${toBase64Url(payload)}.${toBase64Url(tag)}`;
}

async function verify(env, room, token) {
  const { ring } = (keys ??= await importKeys(env));
  const parts = token.split(".");
  if (parts.length !== 4 || parts[0] !== "p1" || token.length > 512) return undefined;
  const key = ring.get(parts[1]);
  if (key === undefined) return undefined;
  let payload;
  let tag;
  try {
    payload = fromBase64Url(parts[2]);
    tag = fromBase64Url(parts[3]);
  } catch {
    return undefined;
  }
  if (payload.length < FIXED_BYTES) return undefined;
  if (!(await crypto.subtle.verify("HMAC", key, tag, signed(room, payload)))) return undefined;
  const view = new DataView(payload.buffer, payload.byteOffset);
  return { epoch: view.getUint32(0), number: Number(view.getBigUint64(4)) };
}

function carriedToken(request, room) {
  const authorization = request.headers.get("authorization");
  if (authorization?.startsWith("Place ")) return authorization.slice(6).trim();
  const cookie = request.headers.get("cookie");
  if (cookie === null) return undefined;
  const name = `__Host-place-${room}=`;
  for (const pair of cookie.split(";")) {
    const trimmed = pair.trim();
    if (trimmed.startsWith(name)) return trimmed.slice(name.length);
  }
  return undefined;
}

async function refresh(env, room, entry) {
  entry.refreshing = true;
  try {
    const response = await env.ROOM.getByName(room).fetch("https://object/status");
    entry.status = await response.json();
    entry.at = Date.now();
  } finally {
    entry.refreshing = false;
  }
}

async function statusOf(env, context, room) {
  let entry = documents.get(room);
  if (entry === undefined) documents.set(room, (entry = { status: undefined, at: 0 }));
  const age = Date.now() - entry.at;
  if (entry.status === undefined || age >= 2 * FRESH_MS) await refresh(env, room, entry);
  else if (age >= FRESH_MS && !entry.refreshing) context.waitUntil(refresh(env, room, entry));
  return entry.status;
}

function view(status, number) {
  let ahead = Math.max(0, number - status.frontier - 1);
  for (const [lo, hi] of status.voids) {
    ahead -= Math.max(0, Math.min(hi, number) - Math.max(lo, status.frontier + 1));
  }
  let state = "waiting";
  if (number <= status.lapsed) state = "lapsed";
  else if (number <= status.frontier) state = "called";
  else if (status.phase === "lobby") state = "lobby";
  const moving = state === "waiting" && status.phase === "open";
  const wait = Math.floor((ahead * 60) / status.rate_per_minute);
  const base = state === "called" ? 1000 : moving ? (wait * 1000) / 4 : 5000;
  const poll = Math.min(Math.max(base, 1000), 20000);
  return {
    state,
    number,
    ahead,
    eta_seconds: moving ? { low: wait, high: Math.floor(wait / 4) + wait + 5 } : null,
    poll_after_ms: Math.floor(poll * (0.8 + Math.random() * 0.4)),
    phase: status.phase,
    message: status.message,
  };
}

const OURS = {
  "cache-control": "no-store",
  "x-content-type-options": "nosniff",
  "content-type": "application/json",
};

function problem(status, name) {
  const body = { type: `https://catraca.dev/problems/${name}`, title: name, status };
  const headers = { ...OURS, "content-type": "application/problem+json" };
  return new Response(JSON.stringify(body), { status, headers });
}

async function place(request, env, context, room) {
  const status = await statusOf(env, context, room);
  const token = carriedToken(request, room);
  const held = token === undefined ? undefined : await verify(env, room, token);
  if (held === undefined || held.epoch !== status.epoch) return problem(401, "invalid_place");
  return new Response(JSON.stringify(view(status, held.number)), { headers: OURS });
}

async function join(env, room) {
  const visitor = crypto.getRandomValues(new Uint8Array(16));
  const answer = await env.ROOM.getByName(room).fetch("https://object/join", {
    method: "POST",
    body: visitor,
  });
  const { epoch, number } = await answer.json();
  const token = await mint(env, room, {
    epoch,
    number,
    joinedAt: Date.now(),
    visitor,
    lane: "standard",
  });
  const attributes = "Path=/; Max-Age=604800; Secure; HttpOnly; SameSite=Lax";
  return new Response(JSON.stringify({ place_token: token, number, state: "waiting" }), {
    status: 201,
    headers: { ...OURS, "set-cookie": `__Host-place-${room}=${token}; ${attributes}` },
  });
}

export default {
  async fetch(request, env, context) {
    const path = new URL(request.url).pathname;
    const [, queue, version, room, action] = path.split("/");
    if (queue !== "queue" || version !== "v1" || !/^[a-z0-9][a-z0-9-]{0,62}$/.test(room)) {
      return problem(404, "not_found");
    }
    if (action === "place" && request.method === "GET") return place(request, env, context, room);
    if (action === "join" && request.method === "POST") return join(env, room);
    return problem(404, "not_found");
  },
};

/** One row a visitor; the row's id is the number. */
export class Room {
  constructor(state) {
    this.sql = state.storage.sql;
    this.sql.exec(
      "CREATE TABLE IF NOT EXISTS places (number INTEGER PRIMARY KEY, visitor BLOB NOT NULL, joined_at INTEGER NOT NULL)",
    );
    this.last = this.sql.exec("SELECT coalesce(max(number), 0) AS n FROM places").one().n;
  }

  async fetch(request) {
    if (request.method === "POST") {
      const visitor = await request.arrayBuffer();
      const number = ++this.last;
      const insert = "INSERT INTO places (number, visitor, joined_at) VALUES (?, ?, ?)";
      this.sql.exec(insert, number, visitor, Date.now());
      return Response.json({ epoch: 1, number });
    }
    return Response.json({
      epoch: 1,
      phase: "open",
      frontier: 0,
      lapsed: 0,
      waiting: this.last,
      rate_per_minute: 600,
      message: null,
      voids: [],
    });
  }
}
