// The waiting page on the real Worker in workerd, with a stub for the core: a browser, and a fresh page a test.
import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach } from 'node:test';
import { Edge, startCore } from '../../../edge/tests/harness.mjs';
import { openBrowser, root, snap, watchErrors } from './chromium.mjs';

class Fixture {
  /** Another page in place of the one there is, as after a closed tab. */
  async newPage() {
    await this.page?.close();
    this.page = await this.browser.context.newPage();
    this.errors = watchErrors(this.page);
    this.page.on('dialog', (dialog) => dialog.accept());
  }

  go(room) {
    return this.page.goto(`${this.edge.url}/e/${room}`);
  }

  inState(name, page = this.page) {
    return page.waitForSelector(`body[data-state="${name}"]`);
  }

  visible(selector) {
    return this.page.waitForSelector(selector, { state: 'visible' });
  }

  hidden(selector) {
    return this.page.waitForSelector(selector, { state: 'hidden' });
  }

  /** The number on the page, once it is there. */
  async numbered(page = this.page) {
    await page.waitForFunction(() => /^\d/.test(document.getElementById('number').textContent));
    return page.innerText('#number');
  }

  /** A visitor who keeps coming back to the tab, each time to be told the latest, until `seen`. */
  async glancing(seen, page = this.page) {
    const glance = () => page.evaluate(() => document.dispatchEvent(new Event('visibilitychange'))).catch(() => undefined);
    const timer = setInterval(glance, 500);
    try {
      return await seen;
    } finally {
      clearInterval(timer);
    }
  }

  /** Waits until an element's text is as wanted. */
  reads(id, pattern) {
    return this.page.waitForFunction(
      ([element, source]) => new RegExp(source).test(document.getElementById(element).textContent),
      [id, pattern.source],
    );
  }
}

/** Registers the hooks. `bindings`: called before the Worker starts, for its further bindings. */
export function fixture(bindings = () => ({}), faults = async () => undefined) {
  const it = new Fixture();
  before(async () => {
    [it.browser, it.core, it.faults] = await Promise.all([openBrowser(), startCore(), faults()]);
    it.edge = await Edge.create(it.core.url, bindings(), { dist: `${root}web/dist`, faults: it.faults });
  });
  after(async () => {
    await it.browser?.close();
    await it.edge?.stop();
    it.core?.stop();
    it.faults?.stop();
  });
  beforeEach(async () => {
    it.page = undefined;
    await it.newPage();
  });
  afterEach(async (t) => {
    await snap(it.page, `last-${t.name.replace(/\W+/g, '-').slice(0, 60)}`).catch(() => undefined);
    await it.page.close();
    if (it.faults !== undefined) it.faults.now = { Room: 'none', Dispenser: 'none' };
    await it.browser.context.clearCookies();
    await it.browser.context.unrouteAll();
    assert.deepEqual(it.errors, [], 'script errors or content security policy breaches');
  });
  return it;
}
