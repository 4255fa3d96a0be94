import assert from 'node:assert/strict';
import test from 'node:test';
import { source } from '../source.mjs';

const wire = await source('wire');

test('a place, with and without an estimate', () => {
  const body = { state: 'waiting', number: 7, ahead: 6, eta_seconds: { low: 1, high: 2 }, poll_after_ms: 1000, phase: 'open', message: null };
  assert.deepEqual(wire.place(body).eta, { low: 1, high: 2 });
  assert.equal(wire.place({ ...body, eta_seconds: null }).eta, null);
  assert.throws(() => wire.place({ ...body, state: 'dancing' }));
  assert.throws(() => wire.place('nonsense'));
});

test('general admission has neither row nor seat', () => {
  assert.deepEqual(wire.seatName({ section: 'Lawn', row: null, seat: '' }), { section: 'Lawn', row: null, seat: null });
});

test('an order before and after payment', () => {
  const queued = wire.order({ event: 'e', status: 'queued', next_action: null, tickets: [] });
  assert.equal(queued.redirectUrl, null);
  const paid = wire.order({ event: 'e', status: 'paid', next_action: null, tickets: [{ ticket: 't1', section: 'A', row: '1', seat: '2' }] });
  assert.deepEqual(paid.tickets, [{ ticket: 't1', where: { section: 'A', row: '1', seat: '2' } }]);
  assert.throws(() => wire.order({ event: 'e', status: 'whatever' }));
});
