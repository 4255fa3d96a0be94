// The pages in a real browser against the stand-in: states that are hard to bring about for real.
import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { startStub } from '../stub/server.mjs';
import { DESKTOP, openBrowser, snap, watchErrors } from './chromium.mjs';

let browser;
let stub;
let page;
let errors;

before(async () => {
  browser = await openBrowser();
});
after(() => browser?.close());
beforeEach(async () => {
  stub = await startStub();
  page = await browser.context.newPage();
  errors = watchErrors(page);
  page.on('dialog', (dialog) => dialog.accept());
});
afterEach(async () => {
  await page.close();
  await browser.context.clearCookies();
  await stub.close();
  assert.deepEqual(errors, [], 'script errors or content security policy breaches');
});

const calls = (method, path) => stub.state.calls.filter((c) => c.method === method && c.path === path);
const state = (name) => page.waitForSelector(`body[data-state="${name}"]`);
const visible = (selector) => page.waitForSelector(selector, { state: 'visible' });

async function enterShop() {
  stub.state.page = 'shop';
  stub.state.loggedIn = true;
  await page.goto(`${stub.url}/e/noite`);
  await visible('.section');
}

/** An order that is paid by a code on its own page. */
const payByCode = (order, seconds = 240) => ({ order, event: 'noite', status: 'awaiting_payment', tickets: [],
  total: { amount_minor: 25000, currency: 'BRL' }, provider: 'pix',
  next_action: { redirect_url: `/stub/pay/${order}`, display: { kind: 'qr_code', data: '00020126PIX-CODE-OF-250-REAIS',
    expires_at: new Date(Date.now() + seconds * 1000).toISOString() } } });

/** Every page in a state worth looking at. */
function tour() {
  const { state: s } = stub;
  const seen = (status) => ({ order: 'o9', event: 'noite', status, next_action: null,
    tickets: status === 'paid' ? [{ ticket: 't1', section: 'Stalls', row: 'C', seat: '7' }] : [] });
  const room = (name) => ({ path: '/e/noite', ready: `[data-state="${name}"] [data-for~="${name}"] h1`, set: () => {
    s.page = name;
    s.place.state = name === 'called' ? 'waiting' : name;
  } });
  const order = (status) => ({ path: '/orders/o9?returned=1', ready: '#status[data-tone]',
    set: () => s.orders.set('o9', seen(status)) });
  return {
    verify: { path: '/verify', ready: '#check-draw', set: () => undefined },
    landing: { path: '/', ready: '.card', set: () => undefined },
    lobby: room('lobby'), waiting: room('waiting'), lapsed: room('lapsed'),
    login: { path: '/e/noite', ready: '#login-links a', set: () => { s.page = 'shop'; } },
    choose: { path: '/e/noite', ready: '.section', set: () => { s.loggedIn = true; } },
    'order-waiting': order('queued'), 'order-paid': order('paid'), 'order-failed': order('failed'),
    'order-pix': { path: '/orders/o9', ready: '#code-image', set: () => s.orders.set('o9', payByCode('o9')) },
    ticket: { path: '/tickets/t1', ready: '#ticket', set: () => undefined },
    door: { path: '/door', ready: '#events button', set: () => undefined },
    'door-open': { path: '/door?event=noite', ready: '#guard', set: () => undefined },
    missing: { path: '/nowhere', ready: 'h1', set: () => undefined },
  };
}

/** What is wrong with a page for somebody who can't see it or has a narrow screen. */
function faults() {
  const found = [];
  const shown = (e) => e.checkVisibility();
  const all = (selector) => [...document.querySelectorAll(selector)].filter(shown);
  if (document.documentElement.lang === '') found.push('no language');
  if (document.title === '') found.push('no title');
  if (all('main').length !== 1) found.push('not exactly one main');
  if (all('h1').length !== 1) found.push(`${all('h1').length} visible h1`);
  for (const image of all('img')) if (!image.hasAttribute('alt')) found.push(`no alt: ${image.src}`);
  for (const control of all('button, a, input, select')) {
    const name = control.getAttribute('aria-label') || control.textContent.trim()
      || control.labels?.[0]?.textContent.trim() || control.title;
    if (!name) found.push(`no name: ${control.outerHTML}`);
    // A label, and the whole card around an event's link, can be pressed too.
    const box = (control.closest('label, .page-landing .card') ?? control).getBoundingClientRect();
    const small = box.height < 24 || box.width < 24;
    if (small && !control.classList.contains('skip')) found.push(`too small: ${control.outerHTML}`);
  }
  for (const element of document.querySelectorAll('[aria-labelledby]')) {
    const id = element.getAttribute('aria-labelledby');
    if (document.getElementById(id) === null) found.push(`no #${id}`);
  }
  const ids = [...document.querySelectorAll('[id]')].map((e) => e.id);
  if (new Set(ids).size !== ids.length) found.push('an id twice');
  const wide = document.documentElement.scrollWidth - document.documentElement.clientWidth;
  if (wide > 0) found.push(`scrolls sideways by ${wide}`);
  return found;
}

test('every page fits a narrow phone, has its landmarks, and names its controls', async () => {
  for (const [name, { path, ready, set }] of Object.entries(tour())) {
    set();
    for (const size of [{ width: 320, height: 640 }, DESKTOP]) {
      await page.setViewportSize(size);
      await page.goto(stub.url + path);
      await visible(ready);
      assert.deepEqual(await page.evaluate(faults), [], `${name} at ${size.width}`);
    }
  }
});

test('the landing page says what a sale asks for, and when it opens', async () => {
  const [first, second] = stub.state.events;
  const opens_at = new Date(Date.now() + 3_600_000).toISOString();
  stub.state.events = [{ ...first, entry: { identity: 'account', challenge: 'none', opens_at } },
    { ...second, entry: { identity: 'anonymous', challenge: 'none', opens_at: '2020-01-01T00:00:00Z' } }];
  await page.goto(stub.url);
  await visible('.card');
  assert.match(await page.innerText('.card:nth-child(1)'), /Sale opens .*\d{4}[\s\S]*you log in first/);
  assert.equal(await page.locator('.card:nth-child(2) .note').count(), 0);
});

test('the waiting page joins by itself and shows number, people ahead, estimate and message', async () => {
  await page.goto(`${stub.url}/e/noite`);
  await state('waiting');
  assert.equal(await page.textContent('#number'), '1,284');
  assert.equal(await page.textContent('#ahead'), '412');
  assert.equal(await page.textContent('#eta'), '4 to 7 minutes');
  assert.match(await page.textContent('#message-text'), /Doors open/);
  assert.match(await page.textContent('#live'), /412 ahead/);
  assert.equal(calls('POST', '/queue/v1/noite/join').length, 1);
});

test('the estimate never grows on display, not even over a reload', async () => {
  await page.goto(`${stub.url}/e/noite`);
  await state('waiting');
  stub.state.place = { ...stub.state.place, ahead: 400, eta_seconds: { low: 1800, high: 2400 } };
  await page.waitForFunction(() => document.getElementById('ahead').textContent === '400');
  assert.equal(await page.textContent('#eta'), '4 to 7 minutes');
  await page.reload();
  await page.waitForFunction(() => document.getElementById('eta').textContent === '4 to 7 minutes');
});

test('a network failure keeps the place and the page recovers', async () => {
  await page.goto(`${stub.url}/e/noite`);
  await state('waiting');
  stub.state.instead.set('GET /queue/v1/noite/place', 'drop');
  await visible('#offline');
  assert.equal(await page.textContent('#number'), '1,284');
  stub.state.instead.clear();
  await page.waitForSelector('#offline', { state: 'hidden' });
  assert.equal(calls('POST', '/queue/v1/noite/join').length, 1, 'joined once');
});

test('a cookie of another opening is replaced by a new place', async () => {
  stub.state.page = 'waiting';
  stub.state.instead.set('GET /queue/v1/noite/place', ['invalid_place']);
  await page.goto(`${stub.url}/e/noite`);
  await page.waitForResponse((response) => response.url().endsWith('/join'));
});

test('a called place is claimed, with patience, and the address becomes the shop', async () => {
  stub.state.place.state = 'called';
  await page.goto(`${stub.url}/e/noite`);
  await visible('#view-login');
  assert.equal(calls('POST', '/queue/v1/noite/claim').length, 2, 'once too early, once in');
});

test('a lapsed place is exchanged by one press', async () => {
  stub.state.page = 'lapsed';
  await page.goto(`${stub.url}/e/noite`);
  await page.click('#rejoin');
  await state('waiting');
  assert.equal(calls('POST', '/queue/v1/noite/join').length, 1);
});

test('who leaves the line is not put back by a reload', async () => {
  await page.goto(`${stub.url}/e/noite`);
  await state('waiting');
  await page.click('[data-leave]');
  await state('new');
  stub.state.page = 'new';
  await page.reload();
  await visible('#join');
  assert.match(await page.textContent('#new-lead'), /left the line/);
  await page.click('#join');
  await state('waiting');
});

test('the shop is usable by keyboard alone: seats by arrows, reserved by Enter', async () => {
  await enterShop();
  await page.focus('button[aria-label="Pick seats: Stalls"]');
  await page.keyboard.press('Enter');
  await visible('.plan .seat');
  assert.equal(await page.locator('.plan button[tabindex="0"]').count(), 1, 'one stop for Tab');
  await page.keyboard.press('Tab');
  const focused = () => page.evaluate(() => document.activeElement.getAttribute('aria-label'));
  assert.equal(await focused(), 'Row A, seat 2, free');
  await page.keyboard.press('Space');
  assert.equal(await focused(), 'Row A, seat 2, your choice');
  await page.keyboard.press('ArrowDown');
  await page.keyboard.press('ArrowRight');
  assert.equal(await focused(), 'Row B, seat 3, free');
  await page.keyboard.press('Enter');
  await page.keyboard.press('End');
  assert.equal(await focused(), 'Row B, seat 18, free');
  await page.keyboard.press('Tab');
  await page.keyboard.press('Enter');
  await visible('#view-hold');
  assert.equal(await page.evaluate(() => document.activeElement.id), 'hold-heading');
  assert.deepEqual(JSON.parse(calls('POST', '/api/v1/holds')[0].body), { event: 'noite', seats: [
    { section: 'Stalls', row: 'A', seat: '2' }, { section: 'Stalls', row: 'B', seat: '3' }] });
});

test('a seat that goes while being looked at is taken out of the choice', async () => {
  await enterShop();
  await page.click('button[aria-label="Pick seats: Stalls"]');
  await page.click('.plan .seat.free');
  await visible('.plan .seat.mine');
  stub.state.seats.find((seat) => seat.row === 'A' && seat.seat === '2').state = 'held';
  await page.waitForSelector('.plan .seat.mine', { state: 'detached' });
});

test('a repeated request carries the same idempotency key, and another wish another', async () => {
  await enterShop();
  stub.state.instead.set('POST /api/v1/holds', ['unavailable', 'drop']);
  await page.click('button[aria-label="Take 2 places: Lawn"]');
  await visible('#view-hold');
  const keys = calls('POST', '/api/v1/holds').map((c) => c.headers['idempotency-key']);
  assert.ok(keys.length >= 3);
  assert.equal(new Set(keys).size, 1);
  await page.click('#release');
  await page.click('button[aria-label="Take 2 places: Lawn"]');
  await visible('#view-hold');
  assert.notEqual(calls('POST', '/api/v1/holds').at(-1).headers['idempotency-key'], keys[0]);
});

test('a problem is told in words and shopping goes on', async () => {
  await enterShop();
  stub.state.instead.set('POST /api/v1/holds', ['seats_taken']);
  await page.click('button[aria-label^="Take the best"]');
  await visible('#alert');
  assert.match(await page.textContent('#alert'), /faster/);
  await snap(page, 'shop-problem');
  await page.click('button[aria-label^="Take the best"]');
  await visible('#view-hold');
});

test('a reload keeps the reserved seats', async () => {
  await enterShop();
  await page.click('button[aria-label="Take 2 places: Lawn"]');
  await visible('#view-hold');
  await page.reload();
  await visible('#view-hold');
  assert.equal(await page.locator('#held-seats li').count(), 2);
});

test('an ended session leads back to the waiting room', async () => {
  await enterShop();
  stub.state.instead.set('POST /api/v1/holds', ['session_ended']);
  await page.click('button[aria-label^="Take the best"]');
  await visible('#view-ended');
  await snap(page, 'shop-ended');
  await page.click('text=Back to the waiting room');
  await state('waiting');
  assert.equal(calls('POST', '/e/noite/leave').length, 1, 'the spent place is given up');
});

test('the buyer is sent to the payment page once, and not again when coming back', async () => {
  await enterShop();
  await page.click('button[aria-label="Take 2 places: Lawn"]');
  await visible('#view-hold');
  await page.check('input[value="paypal"]');
  await page.click('#pay');
  await page.waitForURL('**/stub/pay/o1');
  assert.deepEqual(JSON.parse(calls('POST', '/api/v1/orders')[0].body), { hold: 'h1', provider: 'paypal' });
  await page.goto(`${stub.url}/orders/o1?returned=1`);
  await visible('#status[data-tone="busy"]');
  assert.match(await page.textContent('#status'), /confirmed/);
  assert.match(await page.getAttribute('#next', 'href'), /\/stub\/pay\/o1$/);
  stub.state.orders.set('o1', { order: 'o1', event: 'noite', status: 'paid', next_action: null,
    tickets: [{ ticket: 't1', section: 'Stalls', row: 'C', seat: '7' }] });
  await visible('.ticket img');
  await page.waitForFunction(() => document.querySelector('.ticket img').naturalWidth > 0);
});

test('who comes back without paying can go again; the back button does not send one off again', async () => {
  stub.state.loggedIn = true;
  stub.state.orders.set('o7', { order: 'o7', event: 'noite', status: 'awaiting_payment', tickets: [], next_action: { redirect_url: '/stub/pay/o7' } });
  await page.goto(`${stub.url}/orders/o7?cancelled=1`);
  await visible('#next');
  assert.match(await page.textContent('#status'), /without paying/);
  await page.goto(`${stub.url}/orders/o7`);
  await page.waitForURL('**/stub/pay/o7');
  await page.goBack();
  await visible('#next');
  assert.match(page.url(), /\/orders\/o7/);
});

test('without an event stream the order is polled', async () => {
  stub.state.loggedIn = true;
  stub.state.instead.set('GET /api/v1/orders/o8/events', { status: 503, body: {} });
  stub.state.orders.set('o8', { order: 'o8', event: 'noite', status: 'queued', tickets: [], next_action: null });
  await page.goto(`${stub.url}/orders/o8`);
  await visible('#status[data-tone="busy"]');
  stub.state.orders.set('o8', { order: 'o8', event: 'noite', status: 'failed', tickets: [], next_action: null });
  await visible('#status[data-tone="bad"]');
  assert.equal(await page.getAttribute('#next', 'href'), '/e/noite');
});

test('an address for a script is no payment page', async () => {
  stub.state.loggedIn = true;
  stub.state.orders.set('o6', { order: 'o6', event: 'noite', status: 'awaiting_payment', tickets: [],
    next_action: { redirect_url: 'javascript:document.title="owned"' } });
  await page.goto(`${stub.url}/orders/o6`);
  await visible('#status[data-tone="busy"]');
  assert.ok(await page.isHidden('#next'));
});

test('text from the organiser stays text', async () => {
  stub.state.place.message = '<img src=x onerror=alert(1)>';
  await page.goto(`${stub.url}/e/noite`);
  await state('waiting');
  assert.equal(await page.textContent('#message-text'), '<img src=x onerror=alert(1)>');
  assert.equal(await page.locator('#message-text img').count(), 0);
});

test('a hold that is being paid for leads to its order', async () => {
  await enterShop();
  await page.click('button[aria-label="Take 2 places: Lawn"]');
  await visible('#view-hold');
  stub.state.orders.set('o5', { order: 'o5', event: 'noite', status: 'queued', tickets: [], next_action: null });
  const taken = { type: 'https://catraca.dev/problems/hold_has_order', title: 't', status: 409, detail: 'd', order: 'o5' };
  stub.state.instead.set('POST /api/v1/orders', { status: 409, type: 'application/problem+json', body: taken });
  await page.click('#pay');
  await page.waitForURL('**/orders/o5');
});

test('a refunded ticket shows no code to be let in with', async () => {
  stub.state.loggedIn = true;
  stub.state.ticketStatus = 'void';
  await page.goto(`${stub.url}/tickets/t1`);
  await visible('#ticket');
  assert.match(await page.textContent('#status'), /no longer valid/);
  assert.ok(await page.isHidden('#qr'));
});

test('a Pix code is shown here, can be copied, and the page goes on by itself once it is paid', async () => {
  await browser.context.grantPermissions(['clipboard-read', 'clipboard-write']);
  await enterShop();
  await page.click('button[aria-label="Take 2 places: Lawn"]');
  await visible('#view-hold');
  assert.equal(stub.state.calls.filter((c) => c.path === '/api/v1/payment-providers')[0].query.get('currency'), 'BRL');
  await page.check('input[value="pix"]');
  await page.click('#pay');
  await page.waitForURL('**/stub/pay/o1'); // The stand-in knows no code at first; the order's page is asked again.
  stub.state.orders.set('o1', payByCode('o1'));
  await page.goto(`${stub.url}/orders/o1`);
  await visible('#code-image');
  assert.match(page.url(), /\/orders\/o1$/, 'nobody is sent away');
  assert.match(await page.textContent('#code-left'), /^[34]:\d\d$/);
  await page.click('#copy');
  await page.waitForFunction(() => document.getElementById('copy').textContent === 'Copied');
  assert.equal(await page.evaluate(() => navigator.clipboard.readText()), '00020126PIX-CODE-OF-250-REAIS');
  await snap(page, 'order-pix');
  stub.state.orders.set('o1', { order: 'o1', event: 'noite', status: 'paid', next_action: null,
    mail: { to: 'ana@example.com', state: 'queued' }, tickets: [{ ticket: 't1', section: 'Stalls', row: 'C', seat: '7' }] });
  await visible('.ticket img');
  assert.ok(await page.isHidden('#pay-here'));
  assert.match(await page.textContent('#mail'), /sending the tickets to ana@example\.com/);
  stub.state.orders.get('o1').mail = { to: 'ana@example.com', state: 'sent' };
  await page.waitForSelector('#mail[data-state="sent"]');
  await browser.context.clearPermissions();
});

test('each end of an order is told in words of its own', async () => {
  stub.state.loggedIn = true;
  const brl = (amount_minor) => ({ amount_minor, currency: 'BRL' });
  const base = { order: 'o4', event: 'noite', next_action: null, tickets: [], failure: 'the server’s sentence' };
  const ends = [
    [{ status: 'failed', failure_kind: 'declined' }, /did not go through/, /declined the payment. Nothing was charged/],
    [{ status: 'failed', failure_kind: 'not_started' }, /did not go through/, /never began. Nothing was charged/],
    [{ status: 'failed', failure_kind: 'of_a_later_release' }, /did not go through/, /the server’s sentence/],
    [{ status: 'expired', failure_kind: 'not_paid_in_time' }, /expired/, /not paid in time/],
    [{ status: 'expired', failure_kind: 'paid_late_refunded' }, /too late/, /given all of it back/],
    [{ status: 'expired', failure_kind: 'paid_late_not_charged' }, /too late/, /Nothing was charged/],
    [{ status: 'refunded', failure: null, refunded: brl(25000) }, /refunded/, /R\$\s?250\.00 went back/],
    [{ status: 'awaiting_payment', under_review: true }, /looking into it/, /don’t pay again/],
  ];
  for (const [end, heading, words] of ends) {
    stub.state.orders.set('o4', { ...base, ...end });
    await page.goto(`${stub.url}/orders/o4`);
    await visible('#status[data-tone]');
    assert.match(await page.textContent('h1'), heading);
    assert.match(await page.textContent('#status'), words, JSON.stringify(end));
  }
  // Of two tickets one was refunded: the other is still there, and so is what went back.
  stub.state.orders.set('o4', { ...base, status: 'paid', failure: null, refunded: brl(12500),
    mail: { to: 'ana@example.com', state: 'given_up' },
    tickets: [{ ticket: 't1', section: 'Stalls', row: 'C', seat: '7' }],
    refunds: [{ refund: 'r1', amount: brl(12500), state: 'completed', seats: [{ section: 'Stalls', row: 'C', seat: '8' }] },
      { refund: 'r2', amount: brl(100), state: 'pending', seats: [] }] });
  await page.goto(`${stub.url}/orders/o4`);
  await visible('#refund-list li');
  const refunds = await page.locator('#refund-list li').allTextContents();
  assert.match(refunds[0], /R\$\s?125\.00 went back.*Section Stalls, row C, seat 8/);
  assert.match(refunds[1], /R\$\s?1\.00 is on its way/);
  assert.equal(await page.locator('.ticket').count(), 1);
  assert.match(await page.textContent('#mail'), /could not be delivered/);
  await snap(page, 'order-part-refunded');
});

test('a ticket prints on paper without its buttons, black on white', async () => {
  stub.state.loggedIn = true;
  await page.goto(`${stub.url}/tickets/t1`);
  await visible('#qr');
  await page.emulateMedia({ media: 'print', colorScheme: 'dark' });
  assert.ok(await page.isHidden('#large') && await page.isHidden('#print') && await page.isHidden('.masthead'));
  assert.ok(await page.isVisible('#qr') && await page.isVisible('#code'));
  assert.equal(await page.evaluate(() => getComputedStyle(document.body).backgroundColor), 'rgb(255, 255, 255)');
  await page.emulateMedia({ media: null, colorScheme: null });
});
