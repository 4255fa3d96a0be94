// Writes the entry module around wasm-bindgen's output: `node edge-shim.mjs bindings.js > shim.js`.
//
// A panic in wasm traps and leaves its memory in an unknown state. The bindings can start the
// module afresh (`__wbg_reset_state`), but objects handed out before still point into the old memory.
// So the runtime never holds the real object: it holds a stand-in that makes a new one from the same
// constructor arguments once the module has been started afresh. A Durable Object then
// loads itself from its storage, as after any restart. The request that panicked fails; the next works.
import { readFileSync } from "node:fs";

const bindings = readFileSync(process.argv[2], "utf8");
// Durable Objects are the classes that take requests; the other exports are wasm-bindgen's own.
const durable = bindings
  .split(/^(?=export class )/m)
  .filter((text) => /^export class \w+ \{/.test(text) && /^ {4}fetch\(/m.test(text.split(/^\}/m)[0]))
  .map((text) => text.match(/^export class (\w+)/)[1]);
const functions = new Set(
  [...bindings.matchAll(/^export (?:async )?function (\w+)/gm)].map((match) => match[1]),
);
for (const match of bindings.matchAll(/^export \{([^}]*)\}/gm)) {
  for (const name of match[1].split(",")) functions.add(name.split(" as ").pop().trim());
}
const handlers = ["fetch", "scheduled", "queue", "email"].filter((name) => functions.has(name));
if (handlers.length === 0) throw new Error("the crate exports no event handler");

// What the crate answers without crossing into the runtime: `src/quick/quick.js`, put beside the bindings.
const quick = functions.has("quick_place");

process.stdout.write(`
import * as wasm from "./bindings.js";
${quick ? 'import { quickWay } from "./quick.js";' : ""}

const health = wasm.__worker_init_state();
const inFlight = new Set();

function noteFault(fault) {
  if (!(fault instanceof WebAssembly.RuntimeError)) return;
  console.error("wasm trapped:", fault.message);
  health.criticalError = true;
  // Their futures live in the dead memory: without this their callers would wait for ever.
  for (const fail of inFlight) fail(new Error("the Worker panicked while this was in flight"));
  inFlight.clear();
}
addEventListener("error", (event) => noteFault(event.error));

function reviveIfFaulty() {
  if (!health.criticalError) return;
  console.error("starting the wasm module afresh");
  wasm.__wbg_reset_state();
  health.criticalError = false;
  health.instanceId += 1;
}

// Calls into wasm; a trap fails this call and all others in flight.
function guarded(call) {
  reviveIfFaulty();
  try {
    const result = call();
    if (typeof result?.then !== "function") return result;
    return new Promise((resolve, reject) => {
      inFlight.add(reject);
      result.then(
        (value) => { inFlight.delete(reject); resolve(value); },
        (fault) => { inFlight.delete(reject); noteFault(fault); reject(fault); },
      );
    });
  } catch (fault) {
    noteFault(fault);
    throw fault;
  }
}

// A class with the methods of Class, whose objects outlive restarts of the wasm module.
function standIn(Class) {
  const real = Symbol("the object in wasm");
  class StandIn {
    constructor(...args) {
      this[real] = { args };
      guarded(() => current(this));
    }
  }
  function current(self) {
    const held = self[real];
    if (held.instance === undefined || held.madeIn !== health.instanceId) {
      held.instance = new Class(...held.args);
      held.madeIn = health.instanceId;
    }
    return held.instance;
  }
  for (const name of Object.getOwnPropertyNames(Class.prototype)) {
    if (["constructor", "free", "__destroy_into_raw"].includes(name)) continue;
    StandIn.prototype[name] = function (...args) {
      return guarded(() => current(this)[name](...args));
    };
  }
  return StandIn;
}

// What a visitor sees of a trap: a problem document, as of any other error.
function internalError(fault) {
  console.error("request failed:", fault?.message ?? fault);
  const problem = {
    type: "https://catraca.dev/problems/internal",
    title: "Something went wrong on our side",
    status: 500,
    detail: "The request could not be completed.",
  };
  const headers = { "content-type": "application/problem+json", "cache-control": "no-store" };
  return new Response(JSON.stringify(problem), { status: 500, headers });
}

${quick ? "const quickAnswer = quickWay({ wasm, health, guarded, internalError, fetchSlowly });" : ""}
export default {
${handlers
  .map((name) => `  ${name}(event, env, context) {
    ${name === "fetch" && quick ? "const quick = quickAnswer(event, env, context);\n    if (quick !== undefined) return quick;\n    " : ""}return ${name}Slowly(event, env, context);
  },`)
  .join("\n")}
};
${handlers
  .map((name) => `async function ${name}Slowly(event, env, context) {
  try {
    return await guarded(() => wasm.${name}.call({ env, ctx: context }, event, env, context));
  } catch (fault) {
    ${name === "fetch" ? "return internalError(fault);" : "throw fault;"}
  }
}`)
  .join("\n")}
${durable.map((name) => `export const ${name} = standIn(wasm.${name});`).join("\n")}
`);
