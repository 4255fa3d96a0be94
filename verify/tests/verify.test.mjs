// The wasm that visitors get, against the domain's frozen vectors. Build it first: scripts/build-verify.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';
import { Census, Solving, contradiction, initSync, solve_challenge, verify_draw, verify_ticket } from '../build/verify.js';

const read = (path) => readFile(new URL(path, import.meta.url));
const vectors = async (name) => JSON.parse(await read(`../../domain/tests/vectors/${name}.json`));

initSync({ module: await read('../build/verify_bg.wasm') });

const check = (record, number) => JSON.parse(verify_draw(JSON.stringify(record), number));

test('the same positions as in the frozen vectors', async () => {
  for (const { record, numbers, positions } of await vectors('draw')) {
    for (const [at, number] of numbers.entries()) {
      assert.deepEqual(check(record, number), {
        verdict: 'true', count: record.count, number, position: positions[at], drawn: number <= record.count,
      });
    }
  }
});

test('a false record, an early one, and numbers that are none', async () => {
  const { record } = (await vectors('draw'))[2];
  const { secret, ...frozen } = { ...record, beacon: { source: record.beacon.source } };
  assert.equal(check(frozen, 1).verdict, 'early');
  assert.equal(check({ ...record, secret: '00'.repeat(32) }, 1).verdict, 'false');
  assert.equal(check({}, 1).verdict, 'false');
  for (const number of [0, -1, 1.5, NaN, Infinity, 2 ** 53]) {
    assert.equal(check(record, number).verdict, 'false', String(number));
  }
  assert.equal(contradiction(JSON.stringify(record), JSON.stringify(frozen)), '');
  const other = { ...frozen, commitment: secret };
  assert.notEqual(contradiction(JSON.stringify(record), JSON.stringify(other)), '');
});

test('challenges are solved as in the frozen vectors', async (t) => {
  for (const { puzzle, solution } of (await vectors('challenge')).cases) {
    assert.equal(solve_challenge(puzzle, 2 ** 24), solution);
    assert.equal(solve_challenge(puzzle, 10), undefined);
  }
  assert.equal(solve_challenge('c1.x', 10), undefined);
  // How fast: a puzzle far too hard for what it is given.
  const parts = (await vectors('challenge')).cases[0].puzzle.split('.');
  const payload = Buffer.from(parts[2], 'base64url');
  payload[0] = 22;
  parts[2] = payload.toString('base64url');
  const start = performance.now();
  assert.equal(solve_challenge(parts.join('.'), 1_000_000), undefined);
  t.diagnostic(`a million hashes: ${(performance.now() - start).toFixed(0)} ms`);
});

test('step by step: the same solution, and how far it is', async () => {
  const { puzzle, solution } = (await vectors('challenge')).cases[0];
  const solving = Solving.of(puzzle);
  let parts = 0;
  let found;
  while ((found = solving.step(1000)) === undefined) {
    assert.ok(solving.parts() >= parts && solving.parts() < 16);
    parts = solving.parts();
  }
  assert.equal(found, solution);
  assert.equal(solving.parts(), 16);
  assert.equal(Solving.of('c1.x'), undefined);
});

test('a million places are a permutation', async (t) => {
  for (const { record } of (await vectors('draw')).filter(({ record }) => record.count <= 100_000)) {
    const census = Census.of(JSON.stringify(record));
    while (!census.step(999));
    assert.equal(census.fault(), undefined);
    assert.equal(census.checked(), record.count);
  }
  const { record } = (await vectors('draw'))[0];
  assert.equal(Census.of(JSON.stringify({ ...record, secret: '00'.repeat(32) })), undefined);
  const start = performance.now();
  const census = Census.of(JSON.stringify({ ...record, count: 1_000_000 }));
  while (!census.step(50_000));
  assert.equal(census.fault(), undefined);
  t.diagnostic(`a million places: ${(performance.now() - start).toFixed(0)} ms`);
});

test('ticket codes have the frozen verdicts', async () => {
  const { jwks, cases } = await vectors('tickets');
  for (const { name, code, verdict, payload } of cases) {
    const said = JSON.parse(verify_ticket(JSON.stringify(jwks), code));
    assert.deepEqual(said, verdict === 'genuine' ? { verdict, says: payload } : { verdict }, name);
  }
  assert.equal(JSON.parse(verify_ticket('{}', cases[0].code)).verdict, 'no_keys');
});
