// The waiting room. The page works without this script; with it nobody has to reload.
//
// One loop: join if there is no place (solving what the room asks first), ask for the place at the
// pace the room sets, claim when called, and load the same address again, which is then the shop.
import { backoffMs, jitterMs, sleep } from './backoff';
import * as challenge from './challenge';
import { countdown, formatCountdown, formatDate } from './clock';
import { byId, focusHeading, idFromPath, onPress, setText, show } from './dom';
import { describe, nextEstimate, type Interval } from './estimate';
import { loginLinks } from './login';
import { NetworkFailure, Problem, inWords } from './problem';
import { claim, currentPlace, join, leave } from './room';
import { challenge as challengeWords, region, waiting as words } from './text';
import { Unable } from './verifier';
import { showDraw } from './waiting/draw';
import type { Place } from './wire';

/** How often a closed, sold-out or unavailable room is looked at again, in milliseconds. */
const REST_MS = 10_000;
/** Challenges in a row that came to nothing before the visitor is asked to press again. */
const CHALLENGES_MAX = 5;
const STATES = [
  'new', 'lobby', 'waiting', 'called', 'lapsed', 'closed', 'sold_out', 'unavailable',
] as const;
type State = (typeof STATES)[number];

const room = idFromPath();
const leftKey = `left:${room}`;
const format = new Intl.NumberFormat(region);
let shown: { readonly number: number; readonly eta: Interval } | null = null;
/** Grows with every new start of the loop; an older loop sees it and ends. */
let run = 0;

function currentState(): State {
  return STATES.find((state) => state === document.body.dataset.state) ?? 'unavailable';
}

function enter(state: State): void {
  if (currentState() === state) return;
  const hadFocus = document.activeElement !== null && document.activeElement !== document.body;
  document.body.dataset.state = state;
  // Focus inside a section that has just gone would be lost.
  if (hadFocus || state === 'called' || state === 'lapsed') {
    const heading = document.querySelector<HTMLElement>(`[data-for~="${state}"] h1`);
    if (heading !== null) focusHeading(heading);
  }
}

function render(place: Place): void {
  const number = format.format(place.number);
  const ahead = format.format(place.ahead);
  setText(byId('number'), number);
  setText(byId('ahead'), ahead);
  if (place.eta === null) {
    setText(byId('eta'), words.etaUnknown);
  } else {
    const before = shown?.number === place.number ? shown.eta : null;
    shown = { number: place.number, eta: nextEstimate(before, place.eta) };
    sessionStorage.setItem(`eta:${room}`, JSON.stringify(shown));
    setText(byId('eta'), describe(shown.eta));
  }
  setText(byId('message-text'), place.message ?? '');
  show(byId('paused'), place.phase === 'paused');
  show(byId('lane'), place.lane !== null);
  if (place.lane !== null) {
    setText(byId('lane'), place.lane.startsWith('partner:') ? words.lanePartner : words.lanePriority);
  }
  showDraw(room, place);
  document.title = place.state === 'called' ? words.titleCalled : words.titleAhead(ahead);
  if (place.state === 'waiting') announce(place.ahead, words.liveAhead(number, ahead));
}

/** Tells screen readers the place, but no oftener than it means something. */
let announcedAhead = Number.POSITIVE_INFINITY;
function announce(ahead: number, sentence: string): void {
  if (ahead > announcedAhead * 0.8 && announcedAhead !== Number.POSITIVE_INFINITY) return;
  announcedAhead = ahead;
  setText(byId('live'), sentence);
}

function restoreEstimate(): void {
  try {
    const kept: unknown = JSON.parse(sessionStorage.getItem(`eta:${room}`) ?? 'null');
    if (typeof kept !== 'object' || kept === null) return;
    const { number, eta } = kept as { number: number; eta: Interval };
    if (Number.isFinite(number) && Number.isFinite(eta.high)) shown = { number, eta };
  } catch {
    // A damaged note is no loss.
  }
}

/** Joins, solving what the room asks for first. */
async function joinRoom(mine: number): Promise<void> {
  let solution: challenge.Solution | null = null;
  for (let asked = 0; ; asked += 1) {
    try {
      await join(room, solution);
      challenge.done();
      return;
    } catch (error) {
      const more = error instanceof Problem && error.kind === 'challenge_required' && asked < CHALLENGES_MAX;
      if (!more || mine !== run) throw error;
      // Too late, or used: there is another one with every refusal.
      solution = await challenge.solve(error.challenge);
    }
  }
}

/** Asks to be let in until the room says yes; then this address is the shop. */
async function goIn(mine: number): Promise<void> {
  while (mine === run) {
    const waitMs = await claim(room);
    if (waitMs === null) {
      await calmly();
      location.replace(`/e/${encodeURIComponent(room)}`);
      // The page is on its way out; nothing more to do here.
      await sleep(REST_MS);
      continue;
    }
    await sleep(jitterMs(waitMs, Math.random));
  }
}

/** A browser that keeps no admission cookie comes straight back here: it must not spin. */
async function calmly(): Promise<void> {
  const key = `went-in:${room}`;
  const before = Number(sessionStorage.getItem(key));
  if (Date.now() - before < REST_MS) await sleep(REST_MS);
  sessionStorage.setItem(key, String(Date.now()));
}

/** One look at the room; returns when to look again, in milliseconds. */
async function look(mine: number): Promise<number> {
  const place = await currentPlace(room);
  if (mine !== run) return 0;
  show(byId('offline'), false);
  render(place);
  switch (place.state) {
    case 'lobby':
      enter('lobby');
      break;
    case 'waiting':
      enter(place.phase === 'closed' ? 'closed' : place.phase === 'sold_out' ? 'sold_out' : 'waiting');
      break;
    case 'called':
    case 'admitted':
      enter('called');
      await goIn(mine);
      return 0;
    case 'lapsed':
      enter('lapsed');
      run += 1;
      return 0;
  }
  // Spread by the room already.
  return place.pollAfterMs;
}

/** What an error means for the loop: when to go on, in milliseconds; null to stop. */
function after(error: unknown, attempt: number): number | null {
  if (error instanceof NetworkFailure) {
    show(byId('offline'), true);
    return backoffMs(attempt, Math.random);
  }
  if (error instanceof Unable) {
    challenge.done();
    enter('new');
    setText(byId('new-lead'), challengeWords.unable);
    return null;
  }
  if (!(error instanceof Problem)) throw error;
  if (error.kind === 'challenge_required') {
    challenge.done();
    enter('new');
    setText(byId('new-lead'), challengeWords.failed);
    return null;
  }
  if (error.passing) {
    if (currentState() === 'new') enter('unavailable');
    else show(byId('offline'), true);
    // Never sooner than asked, and less and less often.
    return Math.max(error.retryAfterMs ?? 0, backoffMs(attempt + 2, Math.random));
  }
  switch (error.kind) {
    case 'not_called':
      return 1000;
    case 'place_lapsed':
      enter('lapsed');
      return null;
    case 'room_closed':
      enter('closed');
      return jitterMs(REST_MS, Math.random);
    case 'sold_out':
      enter('sold_out');
      return jitterMs(REST_MS, Math.random);
    case 'not_logged_in':
      enter('new');
      setText(byId('new-lead'), words.accountNeeded);
      show(byId('join'), false);
      void loginLinks().then((links) => byId('login-links').replaceChildren(...links));
      return null;
    default:
      setText(byId('new-lead'), inWords(error));
      enter('new');
      return null;
  }
}

/** Follows the place, and joins first when there is none. */
async function follow(hasPlace: boolean): Promise<void> {
  const mine = (run += 1);
  let joined = hasPlace;
  // What the room said last.
  let pollMs = 0;
  for (let attempt = 0; mine === run;) {
    let waitMs: number | null;
    try {
      if (!joined) {
        await joinRoom(mine);
        joined = true;
      }
      waitMs = await look(mine);
      attempt = 0;
    } catch (error) {
      if (mine !== run) return;
      // The place is unknown here (an old cookie, another opening): take a new one.
      if (error instanceof Problem && error.kind === 'invalid_place') joined = false;
      waitMs = error instanceof Problem && error.kind === 'invalid_place'
        ? backoffMs(attempt, Math.random) : after(error, attempt);
      attempt += 1;
    }
    if (waitMs === null) return;
    if (attempt === 0) pollMs = waitMs;
    // Whoever is far back stays as spread as before: a crowd that failed together would come back together.
    await pause(attempt === 0 ? waitMs : Math.max(waitMs, pollMs));
  }
}

/** Waits, but looks at once when the visitor comes back to the page or the network to life. */
function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    const timer = window.setTimeout(done, ms);
    function onVisible(): void {
      if (document.visibilityState === 'visible') done();
    }
    function done(): void {
      clearTimeout(timer);
      document.removeEventListener('visibilitychange', onVisible);
      window.removeEventListener('online', done);
      resolve();
    }
    document.addEventListener('visibilitychange', onVisible);
    window.addEventListener('online', done);
  });
}

function startOpening(): void {
  const clock = byId('opens-at');
  const opensAt = clock.getAttribute('datetime') ?? '';
  const date = formatDate(opensAt);
  if (date === '') return;
  setText(clock, date);
  countdown(
    opensAt,
    (seconds) => setText(byId('opens-in'), seconds > 0 ? formatCountdown(seconds) : words.opening),
    () => undefined,
  );
}

async function rejoin(): Promise<void> {
  sessionStorage.removeItem(leftKey);
  announcedAhead = Number.POSITIVE_INFINITY;
  setText(byId('new-lead'), words.joining);
  enter('new');
  // The room gives a new place for one that has lapsed.
  void follow(false);
}

function start(): void {
  restoreEstimate();
  startOpening();
  onPress(byId('join'), rejoin);
  onPress(byId('rejoin'), rejoin);
  onPress(byId('claim'), async () => {
    void follow(true);
  });
  for (const button of document.querySelectorAll<HTMLElement>('[data-leave]')) {
    onPress(button, async () => {
      if (!confirm(words.leaveConfirm)) return;
      run += 1;
      await leave(room).catch(() => undefined);
      sessionStorage.setItem(leftKey, '1');
      setText(byId('new-lead'), words.leftLead);
      enter('new');
    });
  }

  const state = currentState();
  if (state === 'lapsed') return;
  if (state === 'new' && sessionStorage.getItem(leftKey) !== null) {
    setText(byId('new-lead'), words.leftLead);
    return;
  }
  if (state === 'new') setText(byId('new-lead'), words.joining);
  void follow(state === 'lobby' || state === 'waiting' || state === 'called');
}

start();
