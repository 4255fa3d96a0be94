import assert from 'node:assert/strict';
import test from 'node:test';
import { source } from '../source.mjs';

const { endsShopping, inWords, problemOf, wantsLogin, NetworkFailure, Problem } = await source('problem');

const answer = (status, type, headers = {}) => new Response(
  JSON.stringify({ type: `https://catraca.dev/problems/${type}`, title: 't', status, detail: 'the detail' }),
  { status, headers: { 'content-type': 'application/problem+json', ...headers } },
);

test('a problem is known by the last part of its type', async () => {
  const problem = await problemOf(answer(409, 'seats_taken'));
  assert.equal(problem.kind, 'seats_taken');
  assert.match(inWords(problem), /faster/);
});

test('an unknown problem is told by its detail', async () => {
  assert.equal(inWords(await problemOf(answer(418, 'teapot'))), 'the detail');
});

test('an error without a document still has words', async () => {
  const problem = await problemOf(new Response('<html>', { status: 502 }));
  assert.equal(problem.kind, 'unavailable');
  assert.ok(problem.passing);
  assert.match(inWords(problem), /not available/);
  assert.match(inWords(new NetworkFailure('/')), /connection/);
  assert.ok(inWords(new Error('bug')).length > 0);
});

test('the server says when to come back', async () => {
  assert.equal((await problemOf(answer(503, 'unavailable', { 'retry-after': '3' }))).retryAfterMs, 3000);
  assert.equal((await problemOf(answer(503, 'unavailable'))).retryAfterMs, null);
});

test('what ends shopping, and what asks for a login', () => {
  assert.ok(endsShopping(new Problem(401, 'session_ended', '')));
  assert.ok(endsShopping(new Problem(401, 'no_admission', '')));
  assert.ok(!endsShopping(new Problem(401, 'not_logged_in', '')));
  assert.ok(wantsLogin(new Problem(401, 'not_logged_in', '')));
  assert.ok(!wantsLogin(new NetworkFailure('/')));
});
