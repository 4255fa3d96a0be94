// How far the order of the line is from the order of arrival, on the real edge. People join over 64
// connections for some seconds; the server's own clock says when each came (it is in the place token),
// the number when each is called. `node edge/tests/fairness.mjs [SECONDS]` (`make bench-fairness`).
//
// The bound: nobody stands before someone who came more than a lease (250 ms; with one Dispenser nothing)
// and the slowest join of the run earlier, for a number is given at some time during the join.
import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { withEdge } from "./suite.mjs";

const LEASE_MS = 250;
const CONNECTIONS = 64;

const joinedAt = (token) => Number(Buffer.from(token.split(".")[2], "base64url").readBigUInt64BE(12));

/** Pairs in the wrong order, of those that did not come in the same millisecond; by merge sort. */
function inversions(list) {
  if (list.length < 2) return { sorted: list, count: 0 };
  const half = list.length >> 1;
  const [left, right] = [inversions(list.slice(0, half)), inversions(list.slice(half))];
  const sorted = [];
  let count = left.count + right.count;
  let [i, j] = [0, 0];
  while (i < left.sorted.length || j < right.sorted.length) {
    if (j === right.sorted.length || (i < left.sorted.length && left.sorted[i] <= right.sorted[j])) {
      sorted.push(left.sorted[i]);
      i += 1;
    } else {
      count += left.sorted.length - i;
      sorted.push(right.sorted[j]);
      j += 1;
    }
  }
  return { sorted, count };
}

export async function fairness(dispensers, seconds) {
  return withEdge({}, async (edge) => {
    await edge.open("fair", { control: "paused", dispensers });
    await edge.join("fair");
    const people = [];
    let slowest = 0;
    const until = Date.now() + seconds * 1000;
    await Promise.all(Array.from({ length: CONNECTIONS }, async () => {
      while (Date.now() < until) {
        const begun = Date.now();
        const { status, body } = await edge.join("fair");
        assert.equal(status, 201);
        slowest = Math.max(slowest, Date.now() - begun);
        people.push({ number: body.number, at: joinedAt(body.place_token) });
      }
    }));
    people.sort((a, b) => a.number - b.number);
    const times = people.map(({ at }) => at);
    const n = times.length;
    const tau = 1 - (4 * inversions(times).count) / (n * (n - 1));
    let latest = 0;
    let overtaken = 0;
    for (const at of times) {
      latest = Math.max(latest, at);
      overtaken = Math.max(overtaken, latest - at);
    }
    // Between ranks by arrival, those of one millisecond taken in the order of their numbers.
    const ranked = people.map((person, rank) => ({ ...person, rank })).sort((a, b) => a.at - b.at || a.rank - b.rank);
    const displaced = ranked.reduce((most, { rank }, arrival) => Math.max(most, Math.abs(rank - arrival)), 0);
    const bound = (dispensers === 1 ? 0 : LEASE_MS) + slowest;
    assert.ok(overtaken <= bound, `overtaken by someone ${overtaken} ms later, bound ${bound}`);
    return {
      dispensers, joins: n, joins_per_second: Math.round(n / seconds), kendall_tau: Number(tau.toFixed(5)),
      displaced_most: displaced, overtaken_ms_most: overtaken, bound_ms: bound,
    };
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const seconds = Number(process.argv[2] ?? 10);
  for (const dispensers of [1, 8]) console.log(JSON.stringify(await fairness(dispensers, seconds)));
}
