// The shop: log in, choose, reserve, pay. One view at a time is visible.
import { countdown, formatCountdown, formatDate } from './clock';
import { byId, focusHeading, idFromPath, onPress, setText, show } from './dom';
import { call, change, get } from './http';
import { loginLinks } from './login';
import { endsShopping, inWords, wantsLogin, Problem } from './problem';
import { Choose, type Wish } from './shop/choose';
import { memory, placeOrder, release, rememberedHold, showHold } from './shop/checkout';
import { common, pay, shop as words } from './text';
import { eventInfo, hold as decodeHold, session as decodeSession, type Hold } from './wire';

const VIEWS = ['loading', 'login', 'choose', 'hold', 'ended'] as const;
type View = (typeof VIEWS)[number];

const room = idFromPath();
const eventPath = `/api/v1/events/${encodeURIComponent(room)}`;
let chooser: Choose | null = null;
let held: Hold | null = null;
let stopSession = (): void => undefined;

function view(name: View): void {
  for (const other of VIEWS) show(byId(`view-${other}`), other === name);
  if (name !== 'choose') chooser?.stop();
  // One clock at a time: reserved seats have their own.
  show(byId('session'), name === 'choose');
  const heading = byId(`view-${name}`).querySelector<HTMLElement>('h2');
  if (heading !== null) focusHeading(heading);
}

/** Says what went wrong; an empty text takes it back. */
function say(message: string): void {
  setText(byId('alert'), message);
  show(byId('alert'), message !== '');
}

/** Shows the view an error leads to; true if it led anywhere. */
async function leadOn(error: unknown): Promise<boolean> {
  if (endsShopping(error)) {
    ended(error instanceof Problem && error.kind !== 'session_ended' ? inWords(error) : '');
    return true;
  }
  if (wantsLogin(error)) {
    await logIn();
    return true;
  }
  return false;
}

function ended(why = ''): void {
  stopSession();
  memory.forget(room);
  show(byId('leave'), false);
  say('');
  if (why !== '') setText(byId('ended-lead'), why);
  view('ended');
}

async function logIn(): Promise<void> {
  byId('login-links').replaceChildren(...await loginLinks());
  view('login');
}

function choose(message = ''): void {
  held = null;
  say(message);
  view('choose');
  void chooser?.start();
}

async function showHeld(hold: Hold): Promise<void> {
  held = hold;
  memory.keep(room, hold);
  say('');
  await showHold(hold, () => {
    if (held?.hold !== hold.hold) return;
    memory.forget(room);
    choose(pay.expired);
  });
  view('hold');
}

async function take(wish: Wish): Promise<void> {
  say('');
  setText(byId('busy'), words.holding);
  try {
    await showHeld(await change('/api/v1/holds', { event: room, ...wish }, decodeHold));
  } catch (error) {
    if (await leadOn(error)) return;
    say(inWords(error));
    await chooser?.refresh();
  } finally {
    setText(byId('busy'), '');
  }
}

/** Does something with the hold and explains what can't be done. */
async function withHold(work: (hold: Hold) => Promise<void>): Promise<void> {
  if (held === null) return;
  try {
    await work(held);
  } catch (error) {
    if (await leadOn(error)) return;
    const kind = error instanceof Problem ? error.kind : '';
    const order = error instanceof Problem ? error.order : null;
    if (order !== null) location.assign(`/orders/${encodeURIComponent(order)}`);
    else if (kind === 'hold_expired' || kind === 'hold_not_found') choose(inWords(error));
    else say(inWords(error));
  }
}

function wire(): void {
  onPress(byId('pay'), () => withHold((hold) => placeOrder(hold)));
  onPress(byId('release'), () => withHold(async (hold) => {
    await release(room, hold);
    choose(pay.released);
  }));
  onPress(byId('leave'), async () => {
    if (!confirm(words.leaveConfirm)) return;
    try {
      await call('DELETE', '/api/v1/session');
    } catch (error) {
      if (!endsShopping(error)) return say(inWords(error));
    }
    memory.forget(room);
    location.assign('/');
  });
  onPress(byId('again'), load);
}

async function load(): Promise<void> {
  say('');
  show(byId('again'), false);
  view('loading');
  try {
    const event = await get(eventPath, eventInfo);
    setText(byId('event-title'), event.title);
    setText(byId('event-facts'), [formatDate(event.startsAt), event.venue].filter(Boolean).join(' · '));
    document.title = `${event.title} – Catraca`;
    await get('/api/v1/me', () => null);
    const session = await get('/api/v1/session', decodeSession);
    show(byId('leave'), true);
    stopSession();
    stopSession = countdown(
      session.expiresAt, (left) => setText(byId('session-left'), formatCountdown(left)), ended,
    );
    chooser ??= new Choose(event, session.maxSeats, { hold: take, ended });
    const kept = await rememberedHold(room);
    if (kept === null) choose();
    else await showHeld(kept);
  } catch (error) {
    if (await leadOn(error)) return;
    say(inWords(error));
    setText(byId('again'), common.reload);
    show(byId('again'), true);
    show(byId('loading-text'), false);
  }
}

wire();
void load();
