// The door: checks tickets on this device, with a network or without.
import { formatDate } from './clock';
import { browserChecker, type Checker, type Says } from './door/code';
import { canScan, scan } from './door/camera';
import { Memory, type Guarded } from './door/memory';
import { wasmChecker } from './door/wasm';
import { byId, focusHeading, make, onPress, setText, show } from './dom';
import { get, getText } from './http';
import { loginLinks } from './login';
import { keepPage } from './offline';
import { NetworkFailure, Problem } from './problem';
import { describeSeat } from './seats';
import { door as words, region } from './text';
import { door as decodeDoor, eventInfo, events as decodeEvents, type EventInfo } from './wire';

/** How often the list of void tickets is loaded anew while there is a network, in milliseconds. */
const REFRESH_MS = 60_000;
/** Verdicts left on the page, for a look back. */
const HISTORY = 8;

type Answer = 'admitted' | 'repeated' | 'void' | 'other_event' | 'forged' | 'unknown_key' | 'malformed' | 'cannot';

let memory: Memory;
let guarded: Guarded | null = null;
let checker: { readonly keys: string; readonly by: Checker } | null = null;

const clock = (rfc3339: string): string =>
  new Intl.DateTimeFormat(region, { hour: '2-digit', minute: '2-digit' }).format(new Date(rfc3339));

async function checkerOf(keys: string): Promise<Checker> {
  if (checker?.keys === keys) return checker.by;
  let by: Checker;
  try {
    by = await browserChecker(keys);
  } catch {
    by = await wasmChecker(keys);
    document.body.dataset.by = 'wasm';
  }
  checker = { keys, by };
  return by;
}

/** The published keys. A door just opened may still be loading them: the first ticket waits for that. */
async function keysAtHand(): Promise<string> {
  const kept = await memory.setting('keys');
  if (kept !== undefined) return kept;
  const loaded = await getText('/api/v1/ticket-keys');
  await memory.set('keys', loaded);
  return loaded;
}

/** Judges a code, and writes down whom it lets in. Fails where nothing can be checked. */
async function judge(code: string, event: Guarded): Promise<{ answer: Answer; text: string; says: Says | null }> {
  const verdict = await (await checkerOf(await keysAtHand())).check(code);
  if (verdict.verdict !== 'genuine') return { answer: verdict.verdict, text: words.refused[verdict.verdict], says: null };
  const { says } = verdict;
  if (says.event !== event.event) return { answer: 'other_event', text: words.otherEvent(says.event), says };
  if (event.void?.includes(says.ticket)) return { answer: 'void', text: words.void, says };
  const entry = await memory.admit(event.event, says.ticket);
  if (!entry.first) return { answer: 'repeated', text: words.repeated(clock(entry.at)), says };
  return { answer: 'admitted', text: words.admitted, says };
}

async function check(code: string): Promise<void> {
  const text = code.trim();
  if (guarded === null || text === '') return;
  const panel = byId('verdict');
  let answer: Answer = 'cannot';
  try {
    const { answer: judged, text: why, says } = await judge(text, guarded);
    answer = judged;
    const good = answer === 'admitted';
    const seat = says === null ? '' : describeSeat(says);
    panel.dataset.tone = good ? 'good' : 'bad';
    setText(byId('verdict-word'), good ? words.letIn : words.refuse);
    setText(byId('verdict-why'), why);
    setText(byId('verdict-seat'), seat);
    const line = `${clock(new Date().toISOString())} – ${good ? words.letIn : words.refuse}: ${seat === '' ? why : seat}`;
    byId('history').prepend(make('li', { 'data-tone': good ? 'good' : 'bad' }, line));
    while (byId('history').childElementCount > HISTORY) byId('history').lastElementChild?.remove();
    navigator.vibrate?.(good ? 80 : [120, 80, 120]);
  } catch {
    panel.dataset.tone = 'bad';
    setText(byId('verdict-word'), words.cannot);
    setText(byId('verdict-why'), words.cannotWhy);
    setText(byId('verdict-seat'), '');
  }
  // Last: whoever waits for it finds all of the above.
  panel.dataset.answer = answer;
  panel.dataset.count = String(Number(panel.dataset.count ?? '0') + 1);
  show(panel, true);
  await showFacts();
}

async function showFacts(): Promise<void> {
  if (guarded === null) return;
  setText(byId('event'), guarded.title);
  setText(byId('event-facts'), `${guarded.venue} · ${formatDate(guarded.startsAt)}`);
  setText(byId('admitted'), words.count(await memory.admitted(guarded.event), guarded.issued));
  const { asOf } = guarded;
  setText(byId('list'), asOf === null ? words.noList : words.list(guarded.void?.length ?? 0, clock(asOf)));
  byId('list').dataset.tone = asOf === null ? 'bad' : 'plain';
  document.title = `${guarded.title} – ${words.title}`;
}

/** Loads keys and void tickets, as far as there is a network and a login. */
async function refresh(): Promise<void> {
  if (guarded === null) return;
  const event = guarded;
  // The door may have turned to another event while this one was asked about.
  const still = (): boolean => guarded?.event === event.event;
  const path = encodeURIComponent(event.event);
  try {
    await memory.set('keys', await getText('/api/v1/ticket-keys'));
    const fresh = { ...event, ...await get(`/api/v1/door/${path}`, decodeDoor) };
    await memory.keep(fresh);
    if (!still()) return;
    guarded = fresh;
    setText(byId('network'), words.fresh);
    byId('login-links').replaceChildren();
    delete document.body.dataset.away;
  } catch (error) {
    if (!still()) return;
    if (error instanceof Problem && (error.status === 401 || error.status === 403)) {
      setText(byId('network'), error.status === 401 ? words.logIn : words.notStaff);
      byId('login-links').replaceChildren(...await loginLinks());
    } else {
      setText(byId('network'), error instanceof NetworkFailure ? words.offline : words.noAnswer);
      document.body.dataset.away = 'true';
    }
  }
  await showFacts();
}

async function guard(event: Guarded): Promise<void> {
  guarded = event;
  await memory.set('guarding', event.event);
  show(byId('pick'), false);
  show(byId('guard'), true);
  await showFacts();
  byId('code').focus();
  await refresh();
  if (await keepPage('door', '/door')) {
    document.body.dataset.kept = 'true';
    setText(byId('kept'), words.kept);
  }
  // So that a full disk does not cost the door its memory.
  await navigator.storage?.persist?.().catch(() => false);
}

async function choose(info: EventInfo): Promise<void> {
  const known = await memory.guarded(info.event);
  const { event, title, venue, startsAt } = info;
  const fresh: Guarded = { void: null, issued: null, asOf: null, ...known, event, title, venue, startsAt };
  await memory.keep(fresh);
  await guard(fresh);
}

async function pick(): Promise<void> {
  guarded = null;
  show(byId('guard'), false);
  show(byId('pick'), true);
  try {
    const list = await get('/api/v1/events', decodeEvents);
    setText(byId('pick-status'), list.length === 0 ? words.noEvents : words.pickLead);
    byId('events').replaceChildren(...list.map((info) => {
      const button = make('button', { type: 'button', 'data-event': info.event }, `${info.title} · ${formatDate(info.startsAt)}`);
      onPress(button, async () => {
        await choose(info);
        focusHeading(byId('event'));
      });
      return make('li', {}, button);
    }));
  } catch {
    setText(byId('pick-status'), words.pickOffline);
  }
}

/** The event in the address, or the one guarded before. */
async function start(): Promise<void> {
  memory = await Memory.open();
  const asked = new URLSearchParams(location.search).get('event');
  const event = asked ?? await memory.setting('guarding');
  const known = event === undefined ? undefined : await memory.guarded(event);
  if (known !== undefined) return guard(known);
  if (asked === null) return pick();
  try {
    await choose(await get(`/api/v1/events/${encodeURIComponent(asked)}`, eventInfo));
  } catch {
    await pick();
  }
}

function wireCamera(): void {
  const [button, video] = [byId('camera'), byId('video') as HTMLVideoElement];
  show(button, canScan());
  show(byId('no-camera'), !canScan());
  let stop: (() => void) | null = null;
  onPress(button, async () => {
    if (stop !== null) {
      stop();
      stop = null;
    } else {
      try {
        stop = await scan(video, check);
      } catch {
        setText(byId('network'), words.noCamera);
      }
    }
    show(video, stop !== null);
    setText(button, stop === null ? words.camera : words.cameraOff);
  });
}

byId('check').addEventListener('submit', (event) => {
  event.preventDefault();
  const input = byId('code') as HTMLInputElement;
  const code = input.value;
  input.value = '';
  void check(code);
});
onPress(byId('refresh'), refresh);
onPress(byId('change'), pick);
addEventListener('online', () => void refresh());
setInterval(() => void refresh(), REFRESH_MS);
wireCamera();
void start();
