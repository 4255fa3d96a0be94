// The service worker of the door and of tickets: the network first, and what the page has kept
// (`offline.ts`) when there is none. It is registered for those addresses alone, and keeps nothing by itself.

/** A network that takes longer is none, in milliseconds: somebody stands at the door. */
const NETWORK_MS = 4000;

interface LifeEvent extends Event {
  waitUntil(work: Promise<unknown>): void;
}
interface AskEvent extends LifeEvent {
  readonly request: Request;
  respondWith(answer: Promise<Response>): void;
}
declare const self: {
  readonly clients: { claim(): Promise<void> };
  skipWaiting(): Promise<void>;
  addEventListener(name: 'install' | 'activate', listener: (event: LifeEvent) => void): void;
  addEventListener(name: 'fetch', listener: (event: AskEvent) => void): void;
};

self.addEventListener('install', (event) => event.waitUntil(self.skipWaiting()));
self.addEventListener('activate', (event) => event.waitUntil(self.clients.claim()));
self.addEventListener('fetch', (event) => {
  const { request } = event;
  const { origin, pathname } = new URL(request.url);
  if (request.method !== 'GET' || origin !== location.origin) return;
  if (pathname.startsWith('/assets/')) event.respondWith(keptFirst(request));
  else if (request.mode === 'navigate' || pathname.startsWith('/api/v1/tickets/')) event.respondWith(freshFirst(request));
});

/** Its name changes with its content. */
async function keptFirst(request: Request): Promise<Response> {
  return (await caches.match(request.url)) ?? fetch(request);
}

async function freshFirst(request: Request): Promise<Response> {
  const kept = (): Promise<Response | undefined> => caches.match(request.url, { ignoreSearch: true });
  const late = new Promise<null>((resolve) => setTimeout(() => resolve(null), NETWORK_MS));
  const asked = fetch(request);
  // Whichever loses the race is heard of no more.
  asked.catch(() => undefined);
  try {
    const answer = await Promise.race([asked, late]);
    if (answer !== null && answer.status < 500) return answer;
    return (await kept()) ?? (answer ?? await asked);
  } catch {
    return (await kept()) ?? Response.error();
  }
}

export {};
