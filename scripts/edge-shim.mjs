// Writes the entry module around wasm-bindgen's output: `node edge-shim.mjs bindings.js > shim.js`.
//
// A panic in wasm traps and leaves its memory in an unknown state. The bindings can start the
// module afresh (`__wbg_reset_state`), but objects handed out before still point into the old memory.
// So nothing outside holds the real object: the runtime holds a stand-in that makes a new one from
// the same constructor arguments once the module has been started afresh. A Durable Object then
// loads itself from its storage, as after any restart. The request that panicked fails; the next works.
import { readFileSync } from "node:fs";

const bindings = readFileSync(process.argv[2], "utf8");
const classes = [...bindings.matchAll(/^export class (\w+)/gm)].map((match) => match[1]);
const functions = new Set(
  [...bindings.matchAll(/^export (?:async )?function (\w+)/gm)].map((match) => match[1]),
);
for (const match of bindings.matchAll(/^export \{([^}]*)\}/gm)) {
  for (const name of match[1].split(",")) functions.add(name.split(" as ").pop().trim());
}
const handlers = ["fetch", "scheduled", "queue", "email"].filter((name) => functions.has(name));
if (handlers.length === 0) throw new Error("the crate exports no event handler");

process.stdout.write(`
import { WorkerEntrypoint } from "cloudflare:workers";
import * as wasm from "./bindings.js";

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

function guarded(method, self) {
  return (...args) => {
    reviveIfFaulty();
    try {
      const result = method(self(), args);
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
  };
}

// Looks like an instance of Class to the runtime, and outlives restarts of the wasm module.
function standIn(Class) {
  return new Proxy(Class, {
    construct(target, args, newTarget) {
      reviveIfFaulty();
      let instance;
      let madeIn;
      const current = () => {
        if (instance === undefined || madeIn !== health.instanceId) {
          instance = Reflect.construct(target, args, newTarget);
          madeIn = health.instanceId;
        }
        return instance;
      };
      try {
        current();
      } catch (fault) {
        health.criticalError = true;
        throw fault;
      }
      return new Proxy(instance, {
        get(_, property) {
          const value = Reflect.get(current(), property);
          if (typeof value !== "function") return value;
          return guarded((self, callArgs) => Reflect.apply(self[property], self, callArgs), current);
        },
        set: (_, property, value) => Reflect.set(current(), property, value),
      });
    },
  });
}

class Entrypoint extends WorkerEntrypoint {
${handlers
  .map((name) => `  ${name}(event) { return wasm.${name}.call(this, event, this.env, this.ctx); }`)
  .join("\n")}
}
export default standIn(Entrypoint);
${classes.map((name) => `export const ${name} = standIn(wasm.${name});`).join("\n")}
`);
