// An operator over HTTP: sets up an event of its own for a test on the running stack.
import { readFile } from 'node:fs/promises';
import { root } from './chromium.mjs';

/** Addresses of the running stack; fails when none runs. */
export async function runningStack() {
  const file = process.env.CATRACA_RUN_JSON ?? `${root}.local/run.json`;
  let text;
  try {
    text = await readFile(file, 'utf8');
  } catch {
    throw new Error(`no running stack (${file} is missing): start it with make up`);
  }
  return JSON.parse(text);
}

/** A cookie jar for one host; ports do not matter to cookies, and paths do not matter here. */
class Jar {
  cookies = new Map();

  async fetch(url, init = {}) {
    const cookie = [...this.cookies].map(([name, value]) => `${name}=${value}`).join('; ');
    const response = await fetch(url, { ...init, redirect: 'manual', headers: { ...init.headers, cookie } });
    for (const line of response.headers.getSetCookie()) {
      const [pair] = line.split(';');
      const at = pair.indexOf('=');
      const [name, value] = [pair.slice(0, at).trim(), pair.slice(at + 1).trim()];
      if (value === '' || /max-age=0/i.test(line)) this.cookies.delete(name);
      else this.cookies.set(name, value);
    }
    return response;
  }
}

/** Logs in as the development provider's operator. */
export async function operator(edge) {
  const jar = new Jar();
  let url = `${edge}/auth/login?provider=dev&login_hint=operator@example.com&return_to=/`;
  for (let hop = 0; ; hop += 1) {
    const response = await jar.fetch(url);
    const location = response.headers.get('location');
    if (location === null) {
      if (!response.ok) throw new Error(`login ended at ${url}: ${response.status} ${await response.text()}`);
      break;
    }
    if (hop > 15) throw new Error('login goes in circles');
    url = new URL(location, url).href;
  }
  return new Operator(edge, jar);
}

class Operator {
  constructor(edge, jar) {
    this.edge = edge;
    this.jar = jar;
  }

  async call(method, path, body, type = 'application/json') {
    const headers = { 'content-type': type, 'idempotency-key': crypto.randomUUID() };
    const response = await this.jar.fetch(`${this.edge}${path}`, {
      method, headers, body: typeof body === 'string' ? body : JSON.stringify(body ?? {}),
    });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
    return text === '' ? null : JSON.parse(text);
  }

  room(event, action) {
    return this.call('POST', `/api/v1/admin/rooms/${event}/${action}`);
  }

  /** Makes an event with 24 seats in Stalls and 50 places on the Lawn; its room is still closed. */
  async event(prefix) {
    const event = `${prefix}-${Date.now().toString(36)}${Math.floor(Math.random() * 1296).toString(36)}`;
    await this.call('POST', '/api/v1/admin/events', {
      event, title: 'Noite Estrelada', venue: 'Teatro Municipal, São Paulo', starts_at: '2030-03-12T22:00:00Z',
      currency: 'BRL', max_seats_per_buyer: 4, hold_seconds: 300,
    });
    const lines = ['section,kind,row,seat,capacity,price_minor,x,y', 'Lawn,general,,,50,8000,,'];
    for (const [y, row] of ['A', 'B', 'C'].entries()) {
      for (let x = 1; x <= 8; x += 1) lines.push(`Stalls,seated,${row},${x},,12500,${x},${y}`);
    }
    await this.call('POST', `/api/v1/admin/events/${event}/seats:import`, `${lines.join('\n')}\n`, 'text/csv');
    await this.call('PUT', `/api/v1/admin/rooms/${event}`, {
      method: 'fifo', identity: 'anonymous', challenge: 'none', opens_at: null, rate_per_minute: 600, max_active: 50,
      session_seconds: 600, claim_window_seconds: 120, lanes: [], fail_mode: 'closed',
    });
    return event;
  }
}
