// The requests that come by the million: the polls of those who wait, and the joins of those who come.
// Between JavaScript and wasm every object costs, so these cross as strings, once; whatever the crate
// does not answer so goes the usual way.
//
// Joins that come while numbers are being asked for make up the next call: one request to a Durable
// Object for all of them, in order of arrival. What a request begins, such as a call or a timer, is
// its own and ends with it; so whoever makes a call finishes it even if its own visitor has gone
// (`waitUntil`), and nobody relies on that: each has a timer of its own.

const ROUTE = /^https?:\/\/[^/]+\/queue\/v1\/([a-z0-9-]+)\/(place|join)$/;
/** How long people gather behind a call under way, in milliseconds. Then the next one goes beside it. */
const GATHER_MS = 100;
/** Longest wait for numbers, in milliseconds; `DISPENSER_MS_MAX` in `client.rs` is the same. */
const NUMBERS_MS = 5_000;
/** A call older than this is taken for dead, in milliseconds. */
const CALL_MS_MAX = 6_000;
/** Most people in one call. */
const PEOPLE_MAX = 1_000;
/** What `quick_refused` takes for "not available". */
const UNAVAILABLE = 3;

/** Answers a request, now or later, or leaves it alone: `undefined`. */
export function quickWay({ wasm, health, guarded, internalError, fetchSlowly }) {
  // A Response as the model of another is the cheapest way to give it headers.
  const pollAnswer = new Response(null, { headers: JSON.parse(wasm.quick_headers()) });
  const lines = new Map();

  function poll(room, { headers }) {
    const authorization = headers.get("authorization") ?? undefined;
    // Every header asked for costs. A place in this one that is also bound to a cookie goes the long way.
    const cookie = authorization === undefined ? headers.get("cookie") ?? undefined : undefined;
    const view = guarded(() => wasm.quick_place(room, authorization, cookie, Date.now()));
    if (view === undefined) return undefined;
    return new Response(view, pollAnswer);
  }

  function join(room, request, env, context) {
    const { headers } = request;
    if (headers.get("authorization") !== null) return undefined;
    const visit = {
      room,
      cookie: headers.get("cookie") ?? undefined,
      fromBrowser: headers.get("sec-fetch-site") !== null,
      at: Date.now(),
    };
    if (!guarded(() => wasm.quick_join(room, visit.cookie, visit.at))) return undefined;
    if (request.body === null) return joined(visit, env, context);
    return saysNothing(headers) ? bodiless(visit, request, env, context) : undefined;
  }

  // Browsers announce an empty body, and our own page sends an empty object.
  function saysNothing(headers) {
    const length = headers.get("content-length");
    if (length === "0") return true;
    return length === "2" && headers.get("content-type") === "application/json";
  }

  async function bodiless(visit, request, env, context) {
    const { method, url, headers } = request;
    let body;
    try {
      body = await request.text();
    } catch (fault) {
      return internalError(fault);
    }
    if (body === "" || body === "{}") return joined(visit, env, context);
    return fetchSlowly(new Request(url, { method, headers, body }), env, context);
  }

  async function joined(visit, env, context) {
    const { number, refusal } = await numberFor(visit.room, env, context);
    try {
      return guarded(() => {
        const text = number === undefined ? undefined : wasm.quick_joined(
          visit.room, visit.cookie, visit.fromBrowser, visit.at, ...number);
        return response(text ?? wasm.quick_refused(refusal ?? UNAVAILABLE));
      });
    } catch (fault) {
      return internalError(fault);
    }
  }

  // Status, body and headers, a line each.
  function response(text) {
    const [status, body, ...headers] = text.split("\n");
    return new Response(body, {
      status: Number(status),
      headers: headers.map((line) => {
        const colon = line.indexOf(": ");
        return [line.slice(0, colon), line.slice(colon + 2)];
      }),
    });
  }

  /** The next number for whoever asks: `{ number: [epoch, number, standing] }` or `{ refusal }`. */
  function numberFor(room, env, context) {
    let line = lines.get(room);
    if (line === undefined) lines.set(room, (line = { calls: new Set(), gathering: undefined }));
    const batch = (line.gathering ??= { people: [], sent: false, wake: undefined });
    const send = () => {
      if (!batch.sent) call(room, line, batch, env, context);
    };
    const { promise, resolve } = Promise.withResolvers();
    batch.people.push(resolve);
    if (!isBusy(line) || batch.people.length >= PEOPLE_MAX) {
      send();
    } else if (batch.wake === undefined) {
      // The first of them makes the call, in its own request, when the one before has ended.
      const turn = Promise.withResolvers();
      batch.wake = turn.resolve;
      turn.promise.then(send);
    }
    // If that one is gone meanwhile, anyone else does; and nobody waits for ever. There is always a next
    // timer: the runtime ends a request that has nothing of its own to wait for, even if another has just
    // resolved its promise.
    const waits = [GATHER_MS, NUMBERS_MS + GATHER_MS];
    const look = () => {
      send();
      if (waits.length === 0) resolve({ refusal: UNAVAILABLE });
      timer = setTimeout(look, waits.shift() ?? NUMBERS_MS);
    };
    let timer = setTimeout(look, waits.shift());
    return promise.finally(() => clearTimeout(timer));
  }

  function isBusy(line) {
    const now = Date.now();
    for (const since of line.calls) {
      if (now - since.at > CALL_MS_MAX) line.calls.delete(since);
    }
    return line.calls.size > 0;
  }

  function call(room, line, batch, env, context) {
    batch.sent = true;
    if (line.gathering === batch) line.gathering = undefined;
    const since = { at: Date.now() };
    line.calls.add(since);
    const asked = numbers(room, batch.people.length, env).then((given) => {
      batch.people.forEach((resolve, index) => resolve(given(index)));
      line.calls.delete(since);
      line.gathering?.wake?.();
      if (line.calls.size === 0 && line.gathering === undefined) lines.delete(room);
    });
    context.waitUntil(asked);
  }

  /** Asks once, and never again: what each of them gets, by its place in the order of arrival. */
  async function numbers(room, people, env) {
    let timer;
    try {
      const [name, path, body] = guarded(() => wasm.quick_joins_call(room, people)).split(" ");
      const late = new Promise((_, reject) => {
        timer = setTimeout(() => reject(new Error(`no answer in ${NUMBERS_MS} ms`)), NUMBERS_MS);
      });
      const ask = async () => {
        const stub = env.DISPENSER.getByName(name);
        const answer = await stub.fetch(`https://object${path}`, { method: "POST", body });
        if (answer.status !== 200) throw new Error(`status ${answer.status}`);
        return answer.text();
      };
      const reply = await Promise.race([ask(), late]);
      const flat = guarded(() => wasm.quick_joins_reply(reply));
      const given = (flat.length - 1) / 3;
      return (index) => index < given
        ? { number: flat.subarray(3 * index, 3 * index + 3) }
        : { refusal: flat[flat.length - 1] };
    } catch (fault) {
      console.error(`no numbers for ${people} in ${room}: ${fault?.message ?? fault}`);
      return () => ({ refusal: UNAVAILABLE });
    } finally {
      clearTimeout(timer);
    }
  }

  return (request, env, context) => {
    if (health.criticalError) return undefined;
    const route = ROUTE.exec(request.url);
    if (route === null) return undefined;
    const [, room, action] = route;
    try {
      if (action === "place" && request.method === "GET") return poll(room, request);
      if (action === "join" && request.method === "POST") return join(room, request, env, context);
    } catch (fault) {
      return internalError(fault);
    }
    return undefined;
  };
}
