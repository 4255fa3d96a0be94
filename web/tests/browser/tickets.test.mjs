// What a buyer gets, on the running stack: paid by Pix on the order's page, tickets on the page and
// by mail, and let in at the door once.
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { promisify } from 'node:util';
import { openBrowser, root, snap, watchErrors } from './chromium.mjs';
import { operator, runningStack } from './operator.mjs';

const PATIENCE = { timeout: 45_000 };
const load = process.env.CATRACA_LOAD ?? join(process.env.CARGO_TARGET_DIR ?? `${root}target`, 'debug/catraca-load');

let stack;
let admin;

before(async () => {
  stack = await runningStack();
  admin = await operator(stack.edge);
});

const visible = (page, selector) => page.waitForSelector(selector, { state: 'visible', ...PATIENCE });

async function until(what, look) {
  for (let tries = 0; tries < 300; tries += 1) {
    const found = await look();
    if (found !== undefined) return found;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`waited 30 s for ${what}`);
}

/** The stored messages that name an order in their Message-ID. */
async function mailAbout(order) {
  const found = [];
  for (const name of (await readdir(stack.mail_folder)).sort()) {
    const text = await readFile(join(stack.mail_folder, name), 'latin1');
    if (name.endsWith('.eml') && text.includes(`Message-ID: <tickets.${order}@`)) found.push(text);
  }
  return found;
}

/** Takes two places and chooses Pix; ends on the order's page with the code. */
async function orderByPix(page, event, email) {
  await admin.room(event, 'open');
  await page.goto(`${stack.edge}/e/${event}`);
  await visible(page, '#view-login');
  await page.click('#login-links a');
  await page.fill('input[name="email"]', email);
  await page.press('input[name="email"]', 'Enter');
  await visible(page, '#view-choose');
  await page.click('button[aria-label="Take 2 places: Lawn"]');
  await visible(page, '#view-hold');
  await page.check('input[name="provider"][value="pix"]');
  await page.click('#pay');
  await visible(page, '#code-image');
  await page.waitForFunction(() => document.getElementById('code-image').naturalWidth > 0);
}

async function door(page, event) {
  await page.goto(`${stack.edge}/auth/login?provider=dev&login_hint=door@example.com&return_to=/door`);
  await page.waitForURL(`${stack.edge}/door`);
  await page.click(`button[data-event="${event}"]`);
  await page.waitForSelector('body[data-kept="true"]');
  await page.waitForFunction(() => document.getElementById('network').textContent === 'Connected.');
}

async function show(page, code) {
  const before = Number(await page.getAttribute('#verdict', 'data-count') ?? 0);
  await page.fill('#code', code);
  await page.press('#code', 'Enter');
  await page.waitForFunction((count) => Number(document.getElementById('verdict').dataset.count ?? 0) > count, before);
  return page.getAttribute('#verdict', 'data-answer');
}

test('paid by Pix in the shop, mailed, verified offline, let in once, and refused once refunded', async () => {
  const event = await admin.event('pix');
  const email = `ana-${event}@example.com`;
  const buyer = await openBrowser();
  const guard = await openBrowser();
  const errors = [];
  const scratch = await mkdtemp(join(tmpdir(), 'catraca-tickets-'));
  try {
    const page = buyer.context.pages()[0];
    errors.push(watchErrors(page));
    await orderByPix(page, event, email);
    await snap(page, 'pix');
    const order = page.url().split('/').pop();
    const waiting = await (await page.request.get(`${stack.edge}/api/v1/orders/${order}`)).json();
    assert.equal(await page.inputValue('#code-text'), waiting.next_action.display.data);

    // The bank's app pays; the page is not touched, and moves on.
    const paid = await fetch(waiting.next_action.redirect_url, { method: 'POST', redirect: 'manual',
      body: new URLSearchParams({ outcome: 'approve', delay_seconds: '0' }) });
    assert.equal(paid.status, 303);
    await visible(page, '.ticket img.qr');
    assert.equal(await page.locator('.ticket').count(), 2);
    await page.waitForSelector('#mail[data-state="sent"]', PATIENCE);
    assert.match(await page.textContent('#mail'), new RegExp(`sent the tickets to ${email}`));
    await snap(page, 'order-mailed');

    const [message] = await until('the mail', async () => {
      const found = await mailAbout(order);
      return found.length > 0 ? found : undefined;
    });
    assert.ok(message.includes(`To: ${email}`) && message.includes('tickets.pdf'), message.slice(0, 500));

    const { tickets } = await (await page.request.get(`${stack.edge}/api/v1/orders/${order}`)).json();
    const codes = [];
    for (const { ticket } of tickets) {
      const told = await (await page.request.get(`${stack.edge}/api/v1/tickets/${ticket}`)).json();
      codes.push(told.code);
    }
    const keys = join(scratch, 'keys.json');
    await writeFile(keys, await (await fetch(`${stack.edge}/api/v1/ticket-keys`)).text());
    const verified = await promisify(execFile)(load, ['verify-ticket', '--keys', keys, '--event', event, ...codes]);
    assert.equal(verified.stdout.trim().split('\n').filter((line) => line.startsWith('good: ')).length, 2);

    const gate = guard.context.pages()[0];
    errors.push(watchErrors(gate));
    await door(gate, event);
    await guard.context.setOffline(true);
    assert.equal(await show(gate, codes[0]), 'admitted');
    assert.equal(await show(gate, codes[0]), 'repeated');
    await guard.context.setOffline(false);

    await admin.visitor.post(`/api/v1/admin/orders/${order}/refund`, {});
    await until('the refund', async () => {
      const { status } = await (await page.request.get(`${stack.edge}/api/v1/orders/${order}`)).json();
      return status === 'refunded' ? true : undefined;
    });
    await gate.click('#refresh');
    await gate.waitForFunction(() => /2 refunded tickets are refused/.test(document.getElementById('list').textContent));
    assert.equal(await show(gate, codes[1]), 'void');
    await page.goto(`${stack.edge}/tickets/${tickets[1].ticket}`);
    await visible(page, '#void');
    assert.ok(await page.isHidden('#qr'));
    assert.equal((await mailAbout(order)).length, 1, 'the tickets were mailed once');
    assert.deepEqual(errors.flat(), [], 'script errors or content security policy breaches');
  } finally {
    await buyer.close();
    await guard.close();
    await rm(scratch, { recursive: true, force: true });
  }
});

test('mail waits for a mail server that was killed', async () => {
  const event = await admin.event('mail');
  const browser = await openBrowser();
  try {
    const page = browser.context.pages()[0];
    await orderByPix(page, event, `bia-${event}@example.com`);
    const order = page.url().split('/').pop();
    const { next_action: action } = await (await page.request.get(`${stack.edge}/api/v1/orders/${order}`)).json();
    process.kill((await runningStack()).pids.mail, 'SIGKILL');
    await fetch(action.redirect_url, { method: 'POST', redirect: 'manual',
      body: new URLSearchParams({ outcome: 'approve', delay_seconds: '0' }) });
    await visible(page, '.ticket img.qr');
    await until('the mail', async () => ((await mailAbout(order)).length > 0 ? true : undefined));
  } finally {
    await browser.close();
  }
});
