import assert from 'node:assert/strict';
import test from 'node:test';
import { source } from '../source.mjs';

const { formatMoney } = await source('money');
const plain = (text) => text.replaceAll('\u00a0', ' ');

test('minor units follow the currency', () => {
  assert.equal(plain(formatMoney({ amountMinor: 12500, currency: 'BRL' }, 'en')), 'R$125.00');
  assert.equal(plain(formatMoney({ amountMinor: 5, currency: 'USD' }, 'en')), '$0.05');
  assert.equal(plain(formatMoney({ amountMinor: 1500, currency: 'JPY' }, 'en')), '¥1,500');
  assert.equal(plain(formatMoney({ amountMinor: 1500, currency: 'KWD' }, 'en')), 'KWD 1.500');
});

test('the same amount in another language', () => {
  assert.equal(plain(formatMoney({ amountMinor: 123456, currency: 'BRL' }, 'pt-BR')), 'R$ 1.234,56');
});
