// A fan's whole way on the running stack, from the landing page to the QR code.
import assert from 'node:assert/strict';
import { before, test } from 'node:test';
import { DESKTOP, openBrowser, snap, strip, watchErrors } from './chromium.mjs';
import { operator, runningStack } from './operator.mjs';

/** The room polls at most every 20 s; with the way in, that is the longest anything here takes. */
const PATIENCE = { timeout: 45_000 };

let edge;
let admin;

before(async () => {
  ({ edge } = await runningStack());
  admin = await operator(edge);
});

/** Runs a test with a browser and a page of its own. */
async function withPage(work, options) {
  const browser = await openBrowser(options);
  const page = browser.context.pages()[0];
  const errors = watchErrors(page);
  page.on('dialog', (dialog) => dialog.accept());
  try {
    await work(page);
    assert.deepEqual(errors, [], 'script errors or content security policy breaches');
  } catch (error) {
    await snap(page, `failed-${Date.now()}`).catch(() => undefined);
    throw new Error(`at ${page.url()}: ${error.message}`, { cause: error });
  } finally {
    await browser.close();
  }
}

const visible = (page, selector, options) => page.waitForSelector(selector, { state: 'visible', ...options });
const inState = (page, ...names) => page.waitForSelector(names.map((name) => `body[data-state="${name}"]`).join(), PATIENCE);

/** Presses the login button of the page and answers the development provider's form. */
async function logIn(page, email) {
  await page.click('#login-links a');
  await visible(page, 'input[name="email"]');
  await page.fill('input[name="email"]', email);
  await page.press('input[name="email"]', 'Enter');
  await visible(page, '#view-choose', PATIENCE);
}

/** Opens the room, lets the visitor in and logs in: ends in the shop. */
async function enterShop(page, event, email) {
  await admin.room(event, 'open');
  await page.goto(`${edge}/e/${event}`);
  await visible(page, '#view-login', PATIENCE);
  await logIn(page, email);
}

/** Pays the current hold; ends where the provider's page sends the buyer. */
async function pay(page, provider, outcome) {
  await page.check(`input[name="provider"][value="${provider}"]`);
  await page.click('#pay');
  await page.waitForURL((url) => !url.href.startsWith(edge), PATIENCE);
  await visible(page, `[name="outcome"][value="${outcome}"]`);
  await snap(page, `pay-${provider}`);
  await page.click(`[name="outcome"][value="${outcome}"]`);
  await page.waitForURL(`${edge}/orders/**`, PATIENCE);
}

async function seesTickets(page, count) {
  await visible(page, '.ticket img.qr', PATIENCE);
  assert.equal(await page.locator('.ticket').count(), count);
  await page.waitForFunction(() => [...document.querySelectorAll('.ticket img.qr')].every((image) => image.naturalWidth > 0));
}

test('from the landing page to a ticket with its QR code', async () => {
  const event = await admin.event('journey');
  await admin.room(event, 'open');
  await admin.room(event, 'pause');
  await withPage(async (page) => {
    await page.goto(edge);
    await visible(page, `a[href="/e/${event}"]`);
    await snap(page, 'landing', false);
    await page.click(`a[href="/e/${event}"]`);
    await inState(page, 'waiting');
    await page.waitForFunction(() => /^\d/.test(document.getElementById('number').textContent));
    await snap(page, 'waiting');
    await admin.room(event, 'resume');

    await visible(page, '#view-login', PATIENCE);
    await snap(page, 'shop-login');
    await logIn(page, `ana-${event}@example.com`);
    await visible(page, '.section');
    await snap(page, 'shop-choose');
    await page.click('button[aria-label="Pick seats: Stalls"]');
    for (const seat of ['Row B, seat 4', 'Row B, seat 5']) {
      await page.click(`.plan button[aria-label="${seat}, free"]`);
    }
    await snap(page, 'shop-seats');
    await page.click('text=Reserve these seats');
    await visible(page, '#view-hold');
    assert.match(await page.innerText('#held-seats'), /row B, seat 4[\s\S]*row B, seat 5/);
    assert.match(await page.innerText('#total'), /250\.00/);
    await snap(page, 'shop-pay');

    await pay(page, 'card', 'approve');
    await seesTickets(page, 2);
    await snap(page, 'order-paid');
    await page.click('.ticket a[href^="/tickets/"]');
    await visible(page, '#ticket');
    await page.waitForFunction(() => document.getElementById('qr').naturalWidth > 0);
    assert.equal(await page.innerText('#row'), 'B');
    assert.ok((await page.innerText('#code')).length > 10);
    await snap(page, 'ticket');
    const pdf = await page.request.get(new URL(await page.getAttribute('#pdf', 'href'), edge).href);
    assert.equal(pdf.status(), 200);
    assert.equal((await pdf.body()).subarray(0, 5).toString(), '%PDF-');
    await strip(page, 'journey', ['landing', 'waiting', 'shop-seats', 'shop-pay', 'ticket']);
  });
});

test('without JavaScript: a number, the same after a refresh, and admission', async () => {
  const event = await admin.event('noscript');
  await admin.room(event, 'open');
  await admin.room(event, 'pause');
  await withPage(async (page) => {
    await page.goto(`${edge}/e/${event}`);
    await page.click('#join');
    await inState(page, 'waiting');
    const number = await page.innerText('#number');
    assert.match(number, /^[1-9]\d*$/);
    await snap(page, 'noscript-waiting');
    await page.reload();
    assert.equal(await page.innerText('#number'), number);
    assert.match(await page.getAttribute('meta[http-equiv="refresh"]', 'content'), /^\d/);

    await admin.room(event, 'resume');
    // The page refreshes itself; a called number is let in by the refresh or, at a busy door, by the button.
    await page.waitForSelector('body.page-shop, body[data-state="called"]', PATIENCE);
    if (await page.isVisible('#claim')) await page.click('#claim');
    await page.waitForSelector('body.page-shop', PATIENCE);
    await snap(page, 'noscript-admitted');
  }, { javaScriptEnabled: false });
});

test('a declined card is told clearly, and the way on leads to PayPal and a ticket', async () => {
  const event = await admin.event('decline');
  await withPage(async (page) => {
    await enterShop(page, event, `bia-${event}@example.com`);
    await page.click('button[aria-label="Take 2 places: Lawn"]');
    await visible(page, '#view-hold');
    await pay(page, 'card', 'decline');
    await visible(page, '#status[data-tone="bad"]', PATIENCE);
    assert.match(await page.innerText('h1'), /did not go through/);
    await snap(page, 'order-failed');

    await page.click('#next');
    await visible(page, '#view-choose');
    await page.click('button[aria-label="Take 2 places: Lawn"]');
    await visible(page, '#view-hold');
    await pay(page, 'paypal', 'approve');
    await seesTickets(page, 2);
  }, { viewport: DESKTOP });
});

test('a reload of the waiting page keeps the number', async () => {
  const event = await admin.event('reload');
  await admin.room(event, 'open');
  await admin.room(event, 'pause');
  await withPage(async (page) => {
    await page.goto(`${edge}/e/${event}`);
    await inState(page, 'waiting');
    await page.waitForFunction(() => /^\d/.test(document.getElementById('number').textContent));
    const number = await page.innerText('#number');
    await page.reload();
    assert.equal(await page.innerText('#number'), number, 'in the page itself');
    await page.waitForResponse((response) => response.url().endsWith('/place'));
    assert.equal(await page.innerText('#number'), number, 'and after asking the room');
  });
});

