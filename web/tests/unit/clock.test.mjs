import assert from 'node:assert/strict';
import test from 'node:test';
import { source } from '../source.mjs';

const { formatCountdown, formatDate, noteServerDate, secondsUntil } = await source('clock');

test('a countdown in minutes and seconds', () => {
  assert.equal(formatCountdown(-3), '0:00');
  assert.equal(formatCountdown(59.2), '1:00');
  assert.equal(formatCountdown(754), '12:34');
  assert.equal(formatCountdown(3661), '1:01:01');
});

test('no date, no words', () => {
  assert.equal(formatDate(''), '');
  assert.match(formatDate('2027-03-12T22:00:00Z'), /2027/);
});

test('a wrong clock of the phone is made up for', () => {
  noteServerDate(new Date(Date.now() + 600_000).toUTCString());
  const left = secondsUntil(new Date(Date.now() + 660_000).toISOString(), Date.now());
  assert.ok(Math.abs(left - 60) < 3, String(left));
  noteServerDate(null);
});
