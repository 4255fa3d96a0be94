// The edge on the real runtime: `node --test edge/tests/run.mjs` after `scripts/build-edge`.
import "./account.mjs";
import "./beacon.mjs";
import "./bounds.mjs";
import "./challenge.mjs";
import "./dispensers.mjs";
import "./draw.mjs";
import "./failures.mjs";
import "./gateway.mjs";
import "./input.mjs";
import "./joins.mjs";
import "./lanes.mjs";
import "./log.mjs";
import "./turnstile.mjs";
import "./visit.mjs";
