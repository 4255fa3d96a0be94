// The door and the kept ticket, with the network cut: the stand-in is stopped, and nothing listens
// at its address any more.
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, afterEach, before, beforeEach, test } from 'node:test';
import { startStub } from '../stub/server.mjs';
import { openBrowser, root, snap, watchErrors } from './chromium.mjs';

const vectors = JSON.parse(await readFile(`${root}domain/tests/vectors/tickets.json`));
const code = (name) => vectors.cases.find((one) => one.name === name).code;
const EVENT = 'big-show-2026';

let browser;
let stub;
let page;
let errors;
let cut;

before(async () => {
  browser = await openBrowser({ permissions: ['camera'] });
});
after(() => browser?.close());
beforeEach(async () => {
  stub = await startStub();
  stub.state.events.push({ event: EVENT, title: 'Big Show', venue: 'Arena', starts_at: '2030-05-02T19:00:00Z', sections: [] });
  stub.state.ticketKeys = vectors.jwks;
  cut = false;
  page = await browser.context.newPage();
  errors = watchErrors(page);
});
afterEach(async () => {
  await page.close();
  await browser.context.clearCookies();
  if (!cut) await stub.close();
  assert.deepEqual(errors, [], 'script errors or content security policy breaches');
});

const visible = (selector) => page.waitForSelector(selector, { state: 'visible' });
const says = (selector, words) => page.waitForFunction(
  ([where, what]) => document.querySelector(where).textContent.includes(what), [selector, words]);

async function cutNetwork() {
  await stub.close();
  cut = true;
}

async function show(text) {
  const before = Number(await page.getAttribute('#verdict', 'data-count') ?? 0);
  await page.fill('#code', text);
  await page.press('#code', 'Enter');
  await page.waitForFunction((count) => Number(document.getElementById('verdict').dataset.count ?? 0) > count, before);
  return page.getAttribute('#verdict', 'data-answer');
}

/** Chooses the event, and waits until the door needs no network. */
async function openDoor() {
  await page.goto(`${stub.url}/door`);
  await page.click(`button[data-event="${EVENT}"]`);
  await page.waitForSelector('body[data-kept="true"]');
}

test('a door opened once works without a network, over a reload', async () => {
  await openDoor();
  await cutNetwork();
  await page.reload();
  await visible('#guard');
  await says('#event', 'Big Show');
  await page.waitForSelector('body[data-away="true"]');
  assert.match(await page.textContent('#network'), /No network|does not answer/);
  assert.equal(await show(code('a seat')), 'admitted');
  assert.match(await page.textContent('#verdict-seat'), /Platéia, row C, seat 7/);
  await snap(page, 'door-admitted');
  assert.equal(await show(code('a seat')), 'repeated');
  await snap(page, 'door-repeated');
  // What it remembers outlives the page.
  await page.reload();
  await visible('#guard');
  assert.equal(await show(code("last year's key")), 'repeated', 'the same ticket under another key');
  assert.equal(await show(code('general admission')), 'admitted');
  assert.match(await page.textContent('#admitted'), /^2 let in here/);
  for (const one of vectors.cases.filter(({ verdict }) => verdict !== 'genuine' && verdict !== '')) {
    if (one.code !== '') assert.equal(await show(one.code), one.verdict, one.name);
  }
  assert.equal(await page.getAttribute('body', 'data-by'), null, "by the browser's own Ed25519");
});

test('refunded tickets are refused once the list was loaded, also without a network', async () => {
  await openDoor();
  assert.match(await page.textContent('#network'), /Log in as door staff/);
  assert.match(await page.textContent('#list'), /would be let in/);
  stub.state.loggedIn = true;
  stub.state.doorList = { event: EVENT, void: [vectors.cases[1].payload.t], issued: 2, as_of: new Date().toISOString() };
  await page.click('#refresh');
  await says('#list', '1 refunded ticket is refused');
  await snap(page, 'door');
  await cutNetwork();
  await page.reload();
  await says('#list', '1 refunded ticket is refused');
  assert.equal(await show(code('general admission')), 'void');
  assert.equal(await show(code('a seat')), 'admitted');
  assert.match(await page.textContent('#admitted'), /1 let in here, 2 tickets sold/);
});

test("a ticket for another event is refused, and each event's door remembers its own", async () => {
  await page.goto(`${stub.url}/door?event=noite`);
  await says('#event', 'Noite Estrelada');
  assert.equal(await show(code('a seat')), 'other_event');
  await page.click('#change');
  await page.click(`button[data-event="${EVENT}"]`);
  await says('#event', 'Big Show');
  assert.equal(await show(code('a seat')), 'admitted');
});

test('a code shown while the door still loads is judged as soon as it can be', async () => {
  let answer;
  stub.state.instead.set('GET /api/v1/ticket-keys', new Promise((resolve) => {
    answer = () => resolve({ status: 200, body: vectors.jwks });
  }));
  const asked = () => page.waitForRequest(`${stub.url}/api/v1/ticket-keys`);
  const byTheDoor = asked();
  await page.goto(`${stub.url}/door?event=${EVENT}`);
  await byTheDoor;
  const forTheTicket = asked();
  const shown = show(code('a seat'));
  await forTheTicket;
  answer();
  assert.equal(await shown, 'admitted');
});

test('a list that comes after the door has turned to another event is not taken for its own', async () => {
  stub.state.loggedIn = true;
  stub.state.doorList = { event: EVENT, void: [], issued: 2, as_of: new Date().toISOString() };
  let answer;
  stub.state.instead.set('GET /api/v1/door/noite', new Promise((resolve) => {
    answer = () => resolve({ status: 200, body: { event: 'noite', void: [], issued: 77, as_of: new Date().toISOString() } });
  }));
  await page.goto(`${stub.url}/door?event=noite`);
  await says('#event', 'Noite Estrelada');
  await page.click('#change');
  await page.click(`button[data-event="${EVENT}"]`);
  await says('#admitted', '2 tickets sold');
  const late = page.waitForResponse(`${stub.url}/api/v1/door/noite`);
  answer();
  await (await late).finished();
  assert.equal(await show(code('a seat')), 'admitted');
  assert.match(await page.textContent('#event'), /Big Show/);
});

test('a door without keys and without a network says so, and judges nothing', async () => {
  stub.state.instead.set('GET /api/v1/ticket-keys', 'drop');
  await page.goto(`${stub.url}/door?event=${EVENT}`);
  await says('#event', 'Big Show');
  assert.equal(await show(code('a seat')), 'cannot');
  assert.match(await page.textContent('#verdict-word'), /Can.t check/);
  stub.state.instead.delete('GET /api/v1/ticket-keys');
  assert.equal(await show(code('a seat')), 'admitted');
});

test('two pages on one device let in a ticket once', async () => {
  await openDoor();
  const other = await browser.context.newPage();
  await other.goto(`${stub.url}/door`);
  await other.waitForSelector('#guard', { state: 'visible' });
  for (const one of [page, other]) await one.fill('#code', code('a seat'));
  await Promise.all([page, other].map((one) => one.press('#code', 'Enter')));
  const answers = await Promise.all([page, other].map(async (one) => {
    await one.waitForSelector('#verdict[data-answer]');
    return one.getAttribute('#verdict', 'data-answer');
  }));
  assert.deepEqual(answers.sort(), ['admitted', 'repeated']);
  await other.close();
});

test('a browser without Ed25519 checks with the domain’s own Rust, without a network too', async () => {
  await page.addInitScript(() => {
    const { importKey } = SubtleCrypto.prototype;
    SubtleCrypto.prototype.importKey = function withoutEd25519(format, data, algorithm, ...rest) {
      if ((algorithm.name ?? algorithm) === 'Ed25519') return Promise.reject(new DOMException('?', 'NotSupportedError'));
      return importKey.call(this, format, data, algorithm, ...rest);
    };
  });
  await openDoor();
  await cutNetwork();
  await page.reload();
  await visible('#guard');
  assert.equal(await show(code('a seat')), 'admitted');
  assert.equal(await page.getAttribute('body', 'data-by'), 'wasm');
  for (const one of vectors.cases.filter(({ verdict, code: text }) => verdict !== 'genuine' && text !== '')) {
    assert.equal(await show(one.code), one.verdict, one.name);
  }
});

test('codes are scanned where the browser can read them, each once', async () => {
  await page.addInitScript((seen) => {
    // A camera that sees a picture of nothing, and a reader that reads a ticket in it.
    navigator.mediaDevices.getUserMedia = async () => document.createElement('canvas').captureStream(5);
    HTMLMediaElement.prototype.play = async () => undefined;
    globalThis.BarcodeDetector = class {
      async detect() {
        return [{ rawValue: seen }];
      }
    };
  }, code('a seat'));
  await openDoor();
  await page.click('#camera');
  await page.waitForSelector('#verdict[data-answer="admitted"]');
  await page.waitForTimeout(600); // Four more looks at the same code, none of which may count.
  assert.equal(await page.getAttribute('#verdict', 'data-count'), '1');
  await page.click('#camera');
  assert.ok(await page.isHidden('#video'));
});

test('a ticket once opened opens without a network, large if wanted, until it is removed', async () => {
  stub.state.loggedIn = true;
  await page.goto(`${stub.url}/tickets/t1`);
  await page.waitForSelector('body[data-kept="true"]');
  await cutNetwork();
  await page.reload();
  await visible('#qr');
  await page.waitForFunction(() => document.getElementById('qr').naturalWidth > 0);
  assert.equal(await page.textContent('#heading'), 'Noite Estrelada');
  await page.click('#large');
  await visible('#bright-qr');
  const box = await page.locator('#bright-qr').boundingBox();
  assert.ok(box.width > 340, `only ${box.width} px of 390`);
  assert.equal(await page.evaluate(() => getComputedStyle(document.getElementById('bright')).backgroundColor), 'rgb(255, 255, 255)');
  await snap(page, 'ticket-large', false);
  await page.click('#bright button');
  await page.click('#forget');
  await says('#kept', 'Removed');
  await page.goto(`${stub.url}/tickets/t1`).catch(() => undefined);
  assert.equal(await page.locator('#qr').count(), 0, 'nothing is left to open');
  errors.length = 0;
});

test('a kept ticket is shown as void once that is known, and after the login has ended', async () => {
  stub.state.loggedIn = true;
  await page.goto(`${stub.url}/tickets/t1`);
  await page.waitForSelector('body[data-kept="true"]');
  stub.state.loggedIn = false;
  await page.reload();
  await visible('#qr');
  assert.match(await page.textContent('#kept'), /Log in to see whether/);
  assert.ok(await page.isVisible('#login-links a'));
  stub.state.loggedIn = true;
  stub.state.ticketStatus = 'void';
  await page.reload();
  await page.waitForSelector('body[data-kept="true"]');
  await cutNetwork();
  await page.reload();
  await visible('#void');
  assert.ok(await page.isHidden('#qr'));
});
