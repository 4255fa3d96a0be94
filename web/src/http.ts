// Calls to the API: one place that knows about problems, ETags, idempotency keys and retries.
import { backoffMs, sleep } from './backoff';
import { noteServerDate } from './clock';
import { NetworkFailure, Problem, problemOf } from './problem';

const TIMEOUT_MS = 15_000;
const ATTEMPTS = 5;

async function send(path: string, init: RequestInit): Promise<Response> {
  try {
    const response = await fetch(path, { ...init, signal: AbortSignal.timeout(TIMEOUT_MS) });
    noteServerDate(response.headers.get('date'));
    return response;
  } catch {
    throw new NetworkFailure(path);
  }
}

async function json(response: Response): Promise<unknown> {
  try {
    return await response.json();
  } catch {
    throw new NetworkFailure(response.url);
  }
}

/** A fresh answer, decoded. */
export async function get<T>(path: string, decode: (body: unknown) => T): Promise<T> {
  const response = await send(path, { cache: 'no-store' });
  if (!response.ok) throw await problemOf(response);
  return decode(await json(response));
}

/** A fresh answer's own text, for what is checked letter by letter. */
export async function getText(path: string): Promise<string> {
  const response = await send(path, { cache: 'no-store' });
  if (!response.ok) throw await problemOf(response);
  try {
    return await response.text();
  } catch {
    throw new NetworkFailure(path);
  }
}

/** Something that is asked for again and again: unchanged answers cost no body. */
export class Watched<T> {
  private etag: string | null = null;

  constructor(private readonly path: string, private readonly decode: (body: unknown) => T) {}

  /** The new value, or null when it is still the same. */
  async changed(): Promise<T | null> {
    const headers: Record<string, string> = this.etag === null ? {} : { 'if-none-match': this.etag };
    const response = await send(this.path, { cache: 'no-store', headers });
    if (response.status === 304) return null;
    if (!response.ok) throw await problemOf(response);
    const value = this.decode(await json(response));
    this.etag = response.headers.get('etag');
    return value;
  }
}

/** A POST or DELETE without a body to repeat safely; returns the answer as it is. */
export async function call(method: 'POST' | 'DELETE', path: string, body?: unknown): Promise<Response> {
  const init: RequestInit = { method };
  if (body !== undefined) {
    init.headers = { 'content-type': 'application/json' };
    init.body = JSON.stringify(body);
  }
  const response = await send(path, init);
  if (!response.ok) throw await problemOf(response);
  return response;
}

/**
 * A change that happens once: every attempt carries the same `Idempotency-Key`, so that a lost
 * answer may be asked for again.
 */
export async function change<T>(path: string, body: unknown, decode: (body: unknown) => T): Promise<T> {
  const key = randomKey();
  for (let attempt = 0; ; attempt += 1) {
    try {
      const response = await send(path, {
        method: 'POST',
        headers: { 'content-type': 'application/json', 'idempotency-key': key },
        body: JSON.stringify(body),
      });
      if (!response.ok) throw await problemOf(response);
      return decode(await json(response));
    } catch (error) {
      const again = error instanceof NetworkFailure || (error instanceof Problem && error.passing);
      if (!again || attempt + 1 >= ATTEMPTS) throw error;
      const asked = error instanceof Problem ? error.retryAfterMs : null;
      await sleep(asked ?? backoffMs(attempt, Math.random));
    }
  }
}

/** `randomUUID` exists only in secure contexts; a plain-HTTP test host is none. */
function randomKey(): string {
  if (typeof crypto.randomUUID === 'function') return crypto.randomUUID();
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
