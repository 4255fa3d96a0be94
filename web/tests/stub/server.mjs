// A stand-in for the edge and the core, as far as the pages see them: for page tests that need
// odd states on demand. What it answers follows the HTTP contract; it keeps everything in memory.
import { createServer } from 'node:http';
import { access, readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

const dist = fileURLToPath(new URL('../../dist', import.meta.url));
const CSP = "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";
const WORKER_CSP = "default-src 'none'; connect-src 'self'; script-src 'self' 'wasm-unsafe-eval'";
const TYPES = { js: 'text/javascript', css: 'text/css', svg: 'image/svg+xml', html: 'text/html',
  wasm: 'application/wasm', webmanifest: 'application/manifest+json' };
const QR = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 21 21" width="210" height="210">'
  + '<path fill="#fff" d="M0 0h21v21H0z"/><path d="M1 1h7v7H1zm12 0h7v7h-7zM1 13h7v7H1zm9-3h2v2h-2zm4 4h3v3h-3z"/></svg>';

const inSeconds = (seconds) => new Date(Date.now() + seconds * 1000).toISOString();
const escapeHtml = (text) => String(text).replace(/[&<>"']/g, (c) => `&#${c.charCodeAt(0)};`);

function initialState() {
  const rows = ['A', 'B', 'C', 'D', 'E', 'F'];
  return {
    loggedIn: false,
    /** What `GET /e/{room}` shows: a waiting state, or `shop`. */
    page: 'new',
    place: { state: 'waiting', number: 1284, ahead: 412, eta_seconds: { low: 240, high: 420 },
      poll_after_ms: 200, phase: 'open', message: 'Doors open at 18:00. Bring an ID.' },
    claim: [{ status: 202, body: { state: 'called', retry_after_ms: 50 } }],
    opensAt: inSeconds(754),
    sessionSeconds: 600,
    events: [
      { event: 'noite', title: 'Noite Estrelada', venue: 'Teatro Municipal, São Paulo', starts_at: '2027-03-12T22:00:00Z',
        sections: [{ section: 'Stalls', kind: 'seated' }, { section: 'Lawn', kind: 'general' }, { section: 'Box', kind: 'seated' }] },
      { event: 'final', title: 'Grande Final', venue: 'Estádio do Vale, Porto Alegre', starts_at: '2027-05-02T19:00:00Z', sections: [] },
    ],
    sections: [
      { section: 'Stalls', capacity: 108, free: 61, price: { amount_minor: 12500, currency: 'BRL' } },
      { section: 'Lawn', capacity: 900, free: 412, price: { amount_minor: 8000, currency: 'BRL' } },
      { section: 'Box', capacity: 12, free: 0, price: { amount_minor: 30000, currency: 'BRL' } },
    ],
    seats: rows.flatMap((row, y) => Array.from({ length: 18 }, (_, x) => (
      { row, seat: String(x + 1), x, y, state: (x * 7 + y * 3) % 5 === 0 ? 'sold' : 'free' }))),
    holds: new Map(),
    orders: new Map(),
    ticketStatus: 'valid',
    /** What the door is told; null for whoever is not door staff. */
    ticketKeys: { keys: [] },
    doorList: null,
    /** Answers to give instead, by `METHOD path`: `{status, body}`, a problem's name, or 'drop';
     * a list is used up one by one. */
    instead: new Map(),
    /** Every call, for assertions. */
    calls: [],
  };
}

const STATUS = { not_logged_in: 401, forbidden: 403, session_ended: 401, no_admission: 401, seats_taken: 409, sold_out: 409,
  over_limit: 422, hold_expired: 410, not_found: 404, unavailable: 503, invalid_place: 401, room_closed: 409 };
const problem = (name) => ({
  status: STATUS[name] ?? 400, type: 'application/problem+json',
  body: { type: `https://catraca.dev/problems/${name}`, title: name, status: STATUS[name] ?? 400, detail: `detail of ${name}` },
});

async function page(name, values = {}) {
  const html = await readFile(`${dist}/pages/${name}.html`, 'utf8');
  return { status: 200, type: 'text/html; charset=utf-8', html: html.replace(/\{\{(\w+)\}\}/g, (_, key) => escapeHtml(values[key] ?? '')) };
}

function roomPage(state, room) {
  if (state.page === 'shop') return page('shop', { room });
  const { place } = state;
  return page('waiting', { state: state.page, room, number: place.number, ahead: place.ahead, refresh: 30,
    eta: '4 to 7 minutes', message: place.message, opens_at: state.page === 'lobby' ? state.opensAt : '' });
}

function queue(state, what) {
  if (what === 'join') return { status: 201, body: { place_token: 't', number: state.place.number, state: state.place.state } };
  if (what === 'place') return { status: 200, body: state.place };
  if (what === 'leave') return { status: 204 };
  const next = state.claim.shift();
  if (next !== undefined) return next;
  state.page = 'shop';
  return { status: 200, body: { admission_token: 'a', expires_at: inSeconds(60) } };
}

function shop(state, method, path, body) {
  const [, , , kind, id, ...rest] = path.split('/');
  if (kind === 'events' && id === undefined) return { status: 200, body: { events: state.events } };
  if (kind === 'events' && rest[0] === 'availability') return { status: 200, body: { sections: state.sections, as_of: inSeconds(0) } };
  if (kind === 'events' && rest[0] === 'sections') return { status: 200, body: { seats: state.seats } };
  if (kind === 'events') {
    const event = state.events.find((candidate) => candidate.event === id);
    return event ? { status: 200, body: event } : problem('not_found');
  }
  if (kind === 'payment-providers') return { status: 200, body: { providers: ['card', 'paypal', 'pix'] } };
  if (kind === 'ticket-keys') return { status: 200, body: state.ticketKeys };
  if (!state.loggedIn) return problem('not_logged_in');
  if (kind === 'door') return state.doorList === null ? problem('forbidden') : { status: 200, body: state.doorList };
  if (kind === 'orders' && rest[0] === 'pay.svg') return { status: 200, type: 'image/svg+xml', html: QR };
  if (kind === 'me') return { status: 200, body: { account: 'ana', email: 'ana@example.com' } };
  if (kind === 'session' && method === 'DELETE') return { status: 204 };
  if (kind === 'session') return { status: 200, body: { event: 'noite', expires_at: inSeconds(state.sessionSeconds), max_seats_per_buyer: 4 } };
  if (kind === 'holds') return holds(state, method, id, body);
  if (kind === 'orders') return orders(state, method, id, body);
  const [ticket, extension] = (id ?? '').split('.');
  if (extension === 'svg') return { status: 200, type: 'image/svg+xml', html: QR };
  const { event: slug, title, venue, starts_at } = state.events[0];
  return { status: 200, body: { ticket, event: { slug, title, venue, starts_at }, section: 'Stalls', row: 'C', seat: '7',
    status: state.ticketStatus, code: state.ticketStatus === 'void' ? null : 'CT1.eyJ0IjoiOWYyYyJ9.k3Zt8Qm2xW5n' } };
}

function holds(state, method, id, body) {
  if (method === 'DELETE') {
    state.holds.delete(id);
    return { status: 204 };
  }
  if (method === 'GET') return state.holds.has(id) ? { status: 200, body: state.holds.get(id) } : problem('hold_not_found');
  const seats = body.seats ?? Array.from({ length: body.quantity }, (_, n) => (
    body.section === 'Lawn' ? { section: 'Lawn', row: null, seat: null } : { section: body.section, row: 'C', seat: String(n + 7) }));
  const hold = { hold: `h${state.holds.size + 1}`, seats, total: { amount_minor: 12500 * seats.length, currency: 'BRL' },
    expires_at: inSeconds(300), state: 'active' };
  state.holds.set(hold.hold, hold);
  return { status: 201, body: hold };
}

function orders(state, method, id, body) {
  if (method === 'POST') {
    const order = `o${state.orders.size + 1}`;
    state.orders.set(order, { order, event: 'noite', status: 'awaiting_payment', tickets: [],
      next_action: { redirect_url: `/stub/pay/${order}`, hold: body.hold } });
    return { status: 202, body: { order, status: 'queued' } };
  }
  return state.orders.has(id) ? { status: 200, body: state.orders.get(id) } : problem('order_not_found');
}

async function answer(state, method, path, body) {
  const listed = state.instead.get(`${method} ${path}`);
  const forced = Array.isArray(listed) ? listed.shift() : listed;
  if (forced === 'drop') return 'drop';
  if (forced !== undefined) return typeof forced === 'string' ? problem(forced) : forced;
  if (path === '/') return page('landing');
  if (path === '/door') return page('door');
  if (/^\/assets\/|^\/sw\.js$/.test(path)) {
    return { status: 200, csp: path.startsWith('/assets/worker-') ? WORKER_CSP : CSP, type: TYPES[path.split('.').pop()], html: await readFile(dist + path) };
  }
  const [, first, second, third] = path.split('/');
  if (first === 'e' && method === 'GET') return roomPage(state, second);
  if (first === 'e') {
    state.page = { join: 'waiting', claim: 'shop', leave: 'new' }[third];
    return { status: 303, location: `/e/${second}` };
  }
  if (first === 'queue') return queue(state, path.split('/').pop());
  if (first === 'verify') return page('verify');
  if (first === 'orders') return page('order');
  if (first === 'tickets') return page('ticket');
  if (first === 'stub') return { status: 200, type: 'text/html', html: '<h1>Stub pay page</h1>' };
  if (path === '/auth/providers') return { status: 200, body: { providers: [{ name: 'dev' }] } };
  if (first === 'api') return shop(state, method, path, body);
  return { ...await page('missing'), status: 404 };
}

/** Starts the stand-in on a free port: `{url, state, close}`. */
export async function startStub() {
  await access(`${dist}/pages/landing.html`).catch(() => {
    throw new Error('the pages are not built: run node web/build.mjs');
  });
  const state = initialState();
  const server = createServer(async (request, response) => {
    const url = new URL(request.url, 'http://stub');
    const chunks = await request.toArray();
    const text = Buffer.concat(chunks).toString();
    const path = decodeURIComponent(url.pathname);
    state.calls.push({ method: request.method, path, query: url.searchParams, headers: request.headers, body: text });
    if (path === '/auth/login') {
      state.loggedIn = true;
      return response.writeHead(303, { location: url.searchParams.get('return_to') ?? '/' }).end();
    }
    const stream = /^\/api\/v1\/orders\/([^/]+)\/events$/.exec(path);
    if (stream !== null && !state.instead.has(`GET ${path}`)) return streamOrder(state, stream[1], response);
    let reply;
    try {
      const isJson = (request.headers['content-type'] ?? '').includes('json');
      reply = await answer(state, request.method, path, isJson && text !== '' ? JSON.parse(text) : {});
    } catch {
      reply = problem('not_found');
    }
    if (reply === 'drop') return response.destroy();
    const headers = { 'content-security-policy': reply.csp ?? CSP, 'cache-control': 'no-store' };
    if (reply.location) headers.location = reply.location;
    headers['content-type'] = reply.type ?? 'application/json';
    response.writeHead(reply.status, headers);
    response.end(reply.html ?? (reply.body === undefined ? undefined : JSON.stringify(reply.body)));
  });
  await new Promise((resolve) => server.listen(Number(process.env.STUB_PORT ?? 0), '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}`,
    state,
    close: () => {
      server.closeAllConnections();
      return new Promise((resolve) => server.close(resolve));
    },
  };
}

function streamOrder(state, id, response) {
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
  let before = '';
  const timer = setInterval(() => {
    const now = JSON.stringify(state.orders.get(id) ?? null);
    if (now !== before) response.write(`event: order\ndata: ${now}\n\n`);
    before = now;
  }, 50);
  response.on('close', () => clearInterval(timer));
}
