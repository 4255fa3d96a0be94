// The waiting room without JavaScript: forms and a page that refreshes itself.
import assert from 'node:assert/strict';
import test from 'node:test';
import { startStub } from '../stub/server.mjs';
import { openBrowser, snap } from './chromium.mjs';

test('join, wait, go in and leave by forms alone', async () => {
  const stub = await startStub();
  const browser = await openBrowser({ javaScriptEnabled: false });
  try {
    const page = browser.context.pages()[0];
    await page.goto(`${stub.url}/e/noite`);
    await page.click('#join');
    assert.equal(await page.innerText('#number'), '1284');
    assert.equal(await page.innerText('#eta'), '4 to 7 minutes');
    assert.equal(await page.getAttribute('meta[http-equiv="refresh"]', 'content'), '30');
    assert.equal(await page.locator('h1:visible').count(), 1);
    await snap(page, 'noscript-waiting');
    await page.click('[data-leave]');
    assert.ok(await page.isVisible('#join'));
    stub.state.page = 'called';
    await page.reload();
    await snap(page, 'noscript-called');
    await page.click('#claim');
    assert.match(await page.innerText('.notice'), /JavaScript/);
  } finally {
    await browser.close();
    await stub.close();
  }
});
