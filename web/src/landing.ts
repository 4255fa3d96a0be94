// The list of events.
import { backoffMs, sleep } from './backoff';
import { formatDate } from './clock';
import { byId, make, setText } from './dom';
import { get } from './http';
import { common, landing as words } from './text';
import { events, type EventInfo } from './wire';

function card(event: EventInfo): HTMLLIElement {
  return make('li', { class: 'card' },
    make('h3', {}, make('a', { href: `/e/${encodeURIComponent(event.event)}` }, event.title)),
    make('p', {}, make('time', { datetime: event.startsAt }, formatDate(event.startsAt))),
    make('p', {}, event.venue),
    make('p', { class: 'go', 'aria-hidden': 'true' }, words.go));
}

async function load(): Promise<EventInfo[]> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      return await get('/api/v1/events', events);
    } catch {
      setText(byId('status'), common.retrying);
      await sleep(backoffMs(attempt + 1, Math.random));
    }
  }
}

setText(byId('status'), common.loading);
const found = await load();
found.sort((a, b) => a.startsAt.localeCompare(b.startsAt));
setText(byId('status'), found.length === 0 ? words.empty : '');
byId('events').replaceChildren(...found.map(card));
