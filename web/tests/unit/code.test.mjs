// Ticket codes as the door's page checks them, against the domain's frozen vectors.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import test from 'node:test';
import { source } from '../source.mjs';

const { browserChecker } = await source('door/code');
const vectors = JSON.parse(await readFile(new URL('../../../domain/tests/vectors/tickets.json', import.meta.url)));
const jwks = JSON.stringify(vectors.jwks);

test('the same verdicts as the domain', async () => {
  const checker = await browserChecker(jwks);
  for (const { name, code, verdict, payload } of vectors.cases) {
    const said = await checker.check(code);
    assert.equal(said.verdict, verdict, name);
    if (verdict !== 'genuine') continue;
    const { e: event, t: ticket, s: section, r: row = null, n: seat = null } = payload;
    assert.deepEqual(said.says, { event, ticket, section, row, seat }, name);
  }
});

test('one code is one text: no padding, no other alphabet, no left-over bits', async () => {
  const checker = await browserChecker(jwks);
  const { code } = vectors.cases[0];
  const last = code.at(-1);
  // 64 bytes leave four bits over in the last character.
  const sloppy = code.slice(0, -1) + String.fromCharCode(last.charCodeAt(0) + 1);
  for (const other of [`${code}=`, `${code} `, `${code}.`, `.${code}`, sloppy, code.toLowerCase(), `${code}${'A'.repeat(2048)}`]) {
    assert.notEqual((await checker.check(other)).verdict, 'genuine', other);
  }
});

test('a set without a key of ours, or with a broken one, is refused', async () => {
  for (const bad of ['', '{}', '{"keys":[]}', '{"keys":[{"kty":"RSA"}]}', '{"keys":[{"kty":"OKP","crv":"Ed25519","x":"AAAA"}]}']) {
    await assert.rejects(browserChecker(bad), bad);
  }
});
