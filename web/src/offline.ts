// Keeping a page on this device, for when there is no network: the files that it is made of, under a
// name, in the browser's cache. `sw.ts` gives them out again.

/** A page's web workers are asked for at their own address, so not in the page's scope. */
const WORKERS = '/assets/worker-';

/** What a page is made of: itself, and whatever its document names. */
function parts(): string[] {
  const named = [
    ...[...document.querySelectorAll<HTMLLinkElement>('link[rel=stylesheet], link[rel=icon], link[rel=manifest]')].map((e) => e.href),
    ...[...document.querySelectorAll<HTMLScriptElement>('script[src]')].map((e) => e.src),
    ...[...document.querySelectorAll<HTMLImageElement>('.masthead img')].map((e) => e.src),
  ];
  const { worker, wasm } = document.body.dataset;
  const all = [location.origin + location.pathname, ...named];
  if (worker !== undefined) all.push(new URL(worker, location.href).href);
  if (wasm !== undefined) all.push(new URL(wasm, location.href).href);
  return [...new Set(all)];
}

/**
 * Keeps the page and what else it needs; true when it will open without a network from now on. What
 * was kept before stays until all of it is there.
 * @param name of what is kept
 * @param scope the addresses that the service worker answers for
 */
export async function keepPage(name: string, scope: string, more: readonly string[] = []): Promise<boolean> {
  if (!('serviceWorker' in navigator) || !('caches' in globalThis)) return false;
  const cache = await caches.open(name);
  try {
    const scopes = document.body.dataset.worker === undefined ? [scope] : [scope, WORKERS];
    for (const each of scopes) await active(await navigator.serviceWorker.register('/sw.js', { scope: each }));
    const wanted = [...parts(), ...more.map((path) => new URL(path, location.href).href)];
    await cache.addAll(wanted.map((url) => new Request(url, { cache: 'no-cache' })));
    for (const old of await cache.keys()) {
      if (!wanted.includes(old.url)) await cache.delete(old);
    }
    return true;
  } catch {
    // No network now: what was kept before still is.
    return (await cache.keys()).length > 0;
  }
}

/** `navigator.serviceWorker.ready` waits for whoever is in charge of this page; this, for ours. */
async function active(registration: ServiceWorkerRegistration): Promise<void> {
  const worker = registration.installing ?? registration.waiting ?? registration.active;
  if (worker === null || worker.state === 'activated') return;
  await new Promise<void>((resolve, reject) => {
    worker.addEventListener('statechange', () => {
      if (worker.state === 'activated') resolve();
      if (worker.state === 'redundant') reject(new Error('no service worker'));
    });
  });
}

/** Something kept under that name, as JSON. */
export async function keptJson(name: string, path: string): Promise<unknown> {
  if (!('caches' in globalThis) || !(await caches.has(name))) return undefined;
  const response = await (await caches.open(name)).match(path);
  return response?.json();
}

export async function forget(name: string): Promise<void> {
  if ('caches' in globalThis) await caches.delete(name);
}
