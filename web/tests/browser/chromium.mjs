// Starting the browser, and what every page test does with it.
import { mkdir, mkdtemp, readFile, rm } from 'node:fs/promises';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';

export const root = fileURLToPath(new URL('../../..', import.meta.url));
const screenshots = `${root}.local/screenshots`;
export const PHONE = { width: 390, height: 844 };
export const DESKTOP = { width: 1280, height: 800 };

/**
 * Opens a browser of its own with a fresh profile: `{context, close}`. Fails when there is none.
 * @param options passed on to the browser context
 */
export async function openBrowser(options = {}) {
  const executablePath = process.env.CATRACA_CHROMIUM ?? '/usr/bin/chromium';
  if (!existsSync(executablePath)) {
    throw new Error(`no browser at ${executablePath}: install Debian's chromium or set CATRACA_CHROMIUM`);
  }
  const profile = await mkdtemp(`${tmpdir()}/catraca-browser-`);
  const args = ['--disable-background-networking', '--disable-component-update', '--disable-sync',
    '--disable-default-apps', '--no-first-run', '--no-default-browser-check', '--disable-gpu',
    '--disable-dev-shm-usage'];
  if (process.getuid?.() === 0) args.push('--no-sandbox');
  const context = await chromium.launchPersistentContext(profile, {
    executablePath, args, headless: true, viewport: PHONE, locale: 'en-GB', timezoneId: 'America/Sao_Paulo', ...options,
  });
  context.setDefaultTimeout(30_000);
  return {
    context,
    close: async () => {
      await context.close();
      await rm(profile, { recursive: true, force: true, maxRetries: 3 });
    },
  };
}

/** What a page that waits is told from now on: after how many ms to ask for its place again, an entry a poll. */
export function watchPolls(page) {
  const told = [];
  page.on('response', (response) => {
    if (!response.url().endsWith('/place')) return;
    response.json().then(({ phase, poll_after_ms }) => phase !== 'sold_out' && told.push(poll_after_ms), () => undefined);
  });
  return told;
}

/** Near the end of a sale: what a page is told at most, so that with the way there five seconds are enough. */
export const POLL_LOW_MS_MAX = 4_000;

/** Waits until a page has heard that the end of the sale is near, and asks often. */
export function hasHeard(page, options = {}) {
  return page.waitForResponse(async (response) => response.url().endsWith('/place')
    && (await response.json().catch(() => ({}))).poll_after_ms <= POLL_LOW_MS_MAX, options);
}

/** Saves what the page looks like under `.local/screenshots`. */
export async function snap(page, name, fullPage = true) {
  await mkdir(screenshots, { recursive: true });
  await page.screenshot({ path: `${screenshots}/${name}.png`, fullPage });
}

/** Puts saved pictures side by side, as the phone screens they are, into one. */
export async function strip(page, name, pictures) {
  const images = await Promise.all(pictures.map(async (picture) => {
    const data = await readFile(`${screenshots}/${picture}.png`, 'base64');
    return `<div><img src="data:image/png;base64,${data}"></div>`;
  }));
  const style = 'body{margin:0;padding:16px;display:flex;gap:16px;background:#d9ddda}'
    + `div{width:${PHONE.width}px;height:${PHONE.height}px;overflow:hidden;border-radius:18px}img{display:block}`;
  await page.goto('about:blank');
  await page.setViewportSize({ width: pictures.length * (PHONE.width + 16) + 16, height: PHONE.height + 32 });
  await page.setContent(`<style>${style}</style>${images.join('')}`);
  await page.waitForFunction(() => [...document.images].every((image) => image.complete && image.naturalWidth > 0));
  await snap(page, name, false);
}

/** Collects what a page must not do: script errors, and breaches of its content security policy. */
export function watchErrors(page) {
  const errors = [];
  page.on('pageerror', (error) => errors.push(String(error)));
  page.on('console', (message) => {
    if (/Content Security Policy/i.test(message.text())) errors.push(message.text());
  });
  return errors;
}
