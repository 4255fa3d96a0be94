// The list of events.
import { backoffMs, sleep } from './backoff';
import { formatDate, secondsUntil } from './clock';
import { byId, make, setText } from './dom';
import { get } from './http';
import { common, landing as words } from './text';
import { events, type EventInfo } from './wire';

/** What to know before coming: when the sale opens, and that an account is needed. */
function notes({ entry }: EventInfo): HTMLElement[] {
  const said: string[] = [];
  const opens = entry?.opensAt ?? null;
  if (opens !== null && secondsUntil(opens, Date.now()) > 0) said.push(words.opens(formatDate(opens)));
  if (entry?.account === true) said.push(words.account);
  return said.map((text) => make('p', { class: 'note' }, text));
}

function card(event: EventInfo): HTMLLIElement {
  return make('li', { class: 'card' },
    make('h3', {}, make('a', { href: `/e/${encodeURIComponent(event.event)}` }, event.title)),
    make('p', {}, make('time', { datetime: event.startsAt }, formatDate(event.startsAt))),
    make('p', {}, event.venue),
    ...notes(event),
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
