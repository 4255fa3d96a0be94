// Checks ticket codes with the domain's own Rust, for browsers that know no Ed25519.
import init, { verify_ticket } from '../../../verify/build/verify.js';
import type { Question, Reply } from '../door/wasm';

declare function postMessage(reply: Reply): void;

let ready: Promise<unknown> | undefined;

onmessage = async ({ data }: MessageEvent<Question>): Promise<void> => {
  try {
    ready ??= init({ module_or_path: data.wasm });
    await ready;
    postMessage({ id: data.id, said: verify_ticket(data.keys, data.code) });
  } catch {
    postMessage({ id: data.id, said: null });
  }
};
