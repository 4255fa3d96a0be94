// A stand-in for Turnstile's siteverify, as documented:
// https://developers.cloudflare.com/turnstile/get-started/server-side-validation/ (what it takes and answers) and
// https://developers.cloudflare.com/turnstile/troubleshooting/testing/ (the keys for tests).
import { createServer } from "node:http";
import { fileURLToPath } from "node:url";

/** The documented keys for tests. Their widgets give one and the same response. */
export const TESTING = {
  siteKey: "1x00000000000000000000AA",
  passes: "1x0000000000000000000000000000000AA",
  fails: "2x0000000000000000000000000000000AA",
  spent: "3x0000000000000000000000000000000AA",
  response: "XXXX.DUMMY.TOKEN.XXXX",
};
/** A widget's own secret, and what the widget's responses begin with. */
export const SECRET = "0x4AAAAAAA-a-secret-of-our-own";
export const SOLVED = "solved-";

const RESPONSE_MS_MAX = 300_000;

/** The server. */
export class Siteverify {
  /** What is wrong with it: `none`; an HTTP status; `page`: HTML; `internal`: its own error code; `hang`. */
  now = "none";
  /** How often it was asked. */
  asked = 0;
  /** When each response was redeemed first. */
  #redeemed = new Set();

  async listen(port = 0) {
    this.server = createServer(async (request, response) => {
      this.asked += 1;
      const text = Buffer.concat(await request.toArray()).toString();
      if (this.now === "hang") return;
      if (typeof this.now === "number") {
        response.writeHead(this.now, { "content-type": "text/plain" }).end("error code");
        return;
      }
      if (this.now === "page") {
        response.writeHead(200, { "content-type": "text/html" }).end("<html>Just a moment...</html>");
        return;
      }
      const codes = this.now === "internal" ? ["internal-error"] : this.#verdict(request, text);
      const success = codes.length === 0;
      const about = success ? { challenge_ts: new Date().toISOString(), hostname: "example.com" } : {};
      response.writeHead(200, { "content-type": "application/json" });
      response.end(JSON.stringify({ success, "error-codes": codes, ...about }));
    });
    await new Promise((resolve) => this.server.listen(port, "127.0.0.1", resolve));
    this.url = `http://127.0.0.1:${this.server.address().port}/turnstile/v0/siteverify`;
    return this;
  }

  /** The error codes; none: good. */
  #verdict(request, text) {
    if (request.method !== "POST" || request.url !== "/turnstile/v0/siteverify") return ["bad-request"];
    let given;
    try {
      given = request.headers["content-type"]?.startsWith("application/json")
        ? JSON.parse(text) : Object.fromEntries(new URLSearchParams(text));
    } catch {
      return ["bad-request"];
    }
    const { secret, response } = given;
    if (!secret) return ["missing-input-secret"];
    if (!response) return ["missing-input-response"];
    if (secret === SECRET) return this.#redeem(response);
    const dummy = response === TESTING.response;
    switch (secret) {
      case TESTING.passes: return dummy ? [] : ["invalid-input-secret"];
      case TESTING.fails: return ["invalid-input-response"];
      case TESTING.spent: return ["timeout-or-duplicate"];
      default: return ["invalid-input-secret"];
    }
  }

  /** Once, within five minutes of having been solved: `solved-<unix milliseconds>…`. */
  #redeem(response) {
    if (!response.startsWith(SOLVED) || response.length > 2_048) return ["invalid-input-response"];
    const at = Number.parseInt(response.slice(SOLVED.length), 10);
    const late = Date.now() - at > RESPONSE_MS_MAX;
    if (late || this.#redeemed.has(response)) return ["timeout-or-duplicate"];
    this.#redeemed.add(response);
    return [];
  }

  stop() {
    this.server?.closeAllConnections();
    this.server?.close();
  }
}

// `node edge/tests/siteverify.mjs PORT`: for `CATRACA_TURNSTILE_URL`, where there is no way out to the real one.
if (process.argv[1] === fileURLToPath(import.meta.url)) {
  const { url } = await new Siteverify().listen(Number(process.argv[2] ?? 8_790));
  console.log(`CATRACA_TURNSTILE_URL=${url}`);
}
