// 64 claimers at one room, workerd killed -9 again and again: `max_active` is never exceeded, no window
// has more than target plus a quantum, no number is given twice. Judged by the admission log, which is
// written with the admissions. `node edge/tests/soak.mjs SECONDS KILL_EVERY_SECONDS` (`make soak-room`).
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { LOG_KEY, sleep } from "./harness.mjs";
import { withEdge } from "./suite.mjs";

const CLAIMERS = 64;
const RATE_PER_MINUTE = 900;
const QUANTUM = Math.ceil(RATE_PER_MINUTE / 60);
const MAX_ACTIVE = 40;
const SESSION_SECONDS = 10;
const WINDOW_MS = 10_000;
const ROOM = "soak";

async function entries(edge) {
  const all = [];
  for (;;) {
    const { status, body } = await edge.json(`/queue/v1/${ROOM}/log?after=${all.length}`);
    assert.equal(status, 200);
    all.push(...body.entries);
    if (body.entries.length === 0 || all.length >= body.head.index) return all;
  }
}

function mostInAWindow(times) {
  let most = 0;
  for (let first = 0, next = 0; first < times.length; first += 1) {
    while (next < times.length && times[next] - times[first] < WINDOW_MS) next += 1;
    most = Math.max(most, next - first);
  }
  return most;
}

/** Most live at once: whoever is said to have left has, as early as that could have been. */
function mostLive(log, leftAt) {
  let most = 0;
  let live = [];
  for (const { number, at_ms } of log) {
    live = live.filter((until) => until > at_ms);
    const runsOut = (Math.floor(at_ms / 1000) + SESSION_SECONDS) * 1000;
    live.push(Math.min(runsOut, leftAt.get(number) ?? Infinity));
    most = Math.max(most, live.length);
  }
  return most;
}

export async function soak(seconds, killEverySeconds) {
  return withEdge({ bindings: { CATRACA_LOG_KEY: LOG_KEY } }, (edge) => trial(edge, seconds, killEverySeconds));
}

async function trial(edge, seconds, killEverySeconds) {
  const numbers = [];
  const admitted = new Set();
  const leftAt = new Map();
  let going = true;
  let most = 0;
  // Whoever meets a dead workerd looks again in a moment.
  const ask = async (call) => {
    while (going) {
      const answer = await call().catch(() => undefined);
      if (answer !== undefined && answer.status < 500) return answer;
      await sleep(40);
    }
    return undefined;
  };
  const visit = async (turn) => {
    const joined = await ask(() => edge.join(ROOM));
    if (joined === undefined) return;
    assert.equal(joined.status, 201, JSON.stringify(joined.body));
    const { number, place_token } = joined.body;
    numbers.push(number);
    for (;;) {
      const claimed = await ask(() => edge.withPlace(ROOM, "claim", place_token));
      if (claimed === undefined || claimed.status === 410) return;
      if (claimed.status === 200) break;
      assert.ok(claimed.status === 202 || claimed.status === 409, JSON.stringify(claimed.body));
      await sleep(Math.min(claimed.body.retry_after_ms ?? 100, 400));
    }
    admitted.add(number);
    if (turn % 3 === 0) return;
    await sleep(500 + (turn % 7) * 200);
    const at = Date.now();
    leftAt.set(number, at);
    await ask(() => edge.withPlace(ROOM, "leave", place_token));
  };
  try {
    await edge.open(ROOM, {
      rate_per_minute: RATE_PER_MINUTE, max_active: MAX_ACTIVE, session_seconds: SESSION_SECONDS,
      claim_window_seconds: 30, dispensers: 2,
    });
    const claimers = Array.from({ length: CLAIMERS }, async (_, index) => {
      for (let turn = index; going; turn += 1) await visit(turn);
    });
    const until = Date.now() + seconds * 1000;
    let kills = 0;
    while (Date.now() < until) {
      const next = Math.min(Date.now() + killEverySeconds * 1000, until);
      while (Date.now() < next) {
        await sleep(Math.min(500, Math.max(next - Date.now(), 1)));
        const live = await edge.internal(ROOM, "live").catch(() => undefined);
        if (live?.status === 200) most = Math.max(most, live.body.active);
      }
      await edge.kill();
      kills += 1;
      await edge.start();
    }
    going = false;
    await Promise.all(claimers);
    await sleep(1_100);
    const log = await entries(edge);
    const told = {
      seconds, kills, admitted: log.length, numbers: numbers.length,
      window_most: mostInAWindow(log.map(({ at_ms }) => at_ms)),
      window_allowed: RATE_PER_MINUTE / 6 + QUANTUM,
      live_most: Math.max(most, mostLive(log, leftAt)), live_allowed: MAX_ACTIVE,
    };
    assert.equal(new Set(numbers).size, numbers.length, "a number was given twice");
    assert.equal(new Set(log.map(({ number }) => number)).size, log.length);
    const logged = new Set(log.map(({ number }) => number));
    for (const number of admitted) assert.ok(logged.has(number), `${number} was let in and is not in the log`);
    assert.ok(told.window_most <= told.window_allowed, JSON.stringify(told));
    assert.ok(told.live_most <= told.live_allowed, JSON.stringify(told));
    assert.ok(log.length > seconds, `hardly anybody came in: ${JSON.stringify(told)}`);
    assert.doesNotMatch(edge.log, /panicked|RuntimeError|different request/, edge.log);
    return told;
  } finally {
    going = false;
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const [seconds = 300, every = 10] = process.argv.slice(2).map(Number);
  console.log(JSON.stringify(await soak(seconds, every)));
}
