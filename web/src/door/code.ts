// Ticket codes: `domain/src/ticket_code.rs` says what they are. Checked by the browser's own Ed25519
// where it has it, else by that very Rust, in a worker. Both are held to the same frozen vectors.

export interface Says {
  readonly event: string;
  readonly ticket: string;
  readonly section: string;
  readonly row: string | null;
  readonly seat: string | null;
}

export type Verdict =
  | { readonly verdict: 'genuine'; readonly says: Says }
  | { readonly verdict: 'malformed' | 'unknown_key' | 'forged' };

const CODE_BYTES_MAX = 2048;
const SLUG = /^[a-z0-9][a-z0-9-]{0,62}$/;
const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
const encoder = new TextEncoder();

/** The bytes that base64url without padding says; null if it does not say any. */
function bytes(text: string): Uint8Array<ArrayBuffer> | null {
  if (!/^[A-Za-z0-9_-]*$/.test(text) || text.length % 4 === 1) return null;
  const binary = atob(text.replaceAll('-', '+').replaceAll('_', '/'));
  const found = Uint8Array.from(binary, (c) => c.charCodeAt(0));
  // Left-over bits must be zero: one code, one text.
  return base64url(found) === text ? found : null;
}

function base64url(data: Uint8Array): string {
  let binary = '';
  for (const byte of data) binary += String.fromCharCode(byte);
  return btoa(binary).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '');
}

/** What a signed payload says; null when that is no ticket. */
export function readPayload(value: unknown): Says | null {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return null;
  const { e, t, s, r, n, ...more } = value as Record<string, unknown>;
  const label = (part: unknown): part is string | null | undefined =>
    part === undefined || part === null || typeof part === 'string';
  if (typeof e !== 'string' || typeof t !== 'string' || typeof s !== 'string' || !label(r) || !label(n)) return null;
  if (Object.keys(more).length > 0 || !SLUG.test(e) || !UUID.test(t)) return null;
  return { event: e, ticket: t, section: s, row: r ?? null, seat: n ?? null };
}

interface Named {
  readonly kid: string;
  readonly key: CryptoKey;
}

/** The published keys, ready to check codes with. */
export interface Checker {
  check(code: string): Promise<Verdict>;
}

/** By the browser itself. Fails where it knows no Ed25519, or the set is none. */
export async function browserChecker(jwks: string): Promise<Checker> {
  const set: unknown = JSON.parse(jwks);
  const list = typeof set === 'object' && set !== null && 'keys' in set && Array.isArray(set.keys) ? set.keys : [];
  const keys: Named[] = [];
  for (const jwk of list as Record<string, unknown>[]) {
    if (jwk.kty !== 'OKP' || jwk.crv !== 'Ed25519' || typeof jwk.x !== 'string') continue;
    const raw = bytes(jwk.x);
    if (raw === null || raw.length !== 32) throw new Error('not an Ed25519 key');
    // The name is worked out, not believed (RFC 7638).
    const members = encoder.encode(`{"crv":"Ed25519","kty":"OKP","x":"${jwk.x}"}`);
    const kid = base64url(new Uint8Array(await crypto.subtle.digest('SHA-256', members))).slice(0, 8);
    keys.push({ kid, key: await crypto.subtle.importKey('raw', raw, { name: 'Ed25519' }, false, ['verify']) });
  }
  if (keys.length === 0) throw new Error('no Ed25519 key');
  return { check: (code) => check(keys, code) };
}

async function check(all: readonly Named[], code: string): Promise<Verdict> {
  const parts = code.split('.');
  const version = parts[0];
  if (encoder.encode(code).length > CODE_BYTES_MAX) return { verdict: 'malformed' };
  const named = version === 'T2' && parts.length === 4;
  if (!named && !(version === 'T1' && parts.length === 3)) return { verdict: 'malformed' };
  const [payload, signature] = parts.slice(-2).map(bytes);
  if (!payload || !signature || signature.length !== 64) return { verdict: 'malformed' };
  const keys = all.filter(({ kid }) => !named || kid === parts[1]);
  if (keys.length === 0) return { verdict: 'unknown_key' };
  const signed = encoder.encode(parts.slice(0, -1).join('.'));
  for (const { key } of keys) {
    if (!(await crypto.subtle.verify({ name: 'Ed25519' }, key, signature, signed))) continue;
    try {
      const says = readPayload(JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(payload)));
      return says === null ? { verdict: 'malformed' } : { verdict: 'genuine', says };
    } catch {
      return { verdict: 'malformed' };
    }
  }
  return { verdict: 'forged' };
}
