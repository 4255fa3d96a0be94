// The page's side of the worker that checks codes where the browser knows no Ed25519.
import { readPayload, type Checker, type Verdict } from './code';

export interface Question {
  readonly id: number;
  readonly wasm: string;
  readonly keys: string;
  readonly code: string;
}
export interface Reply {
  readonly id: number;
  /** What `verify_ticket` said; null when it can't run here. */
  readonly said: string | null;
}

/** By the domain's own Rust. Fails where that can't run, or the set of keys is none. */
export async function wasmChecker(keys: string): Promise<Checker> {
  const { worker: script, wasm } = document.body.dataset;
  if (script === undefined || wasm === undefined || typeof Worker === 'undefined') throw new Error('no worker');
  const worker = new Worker(script, { type: 'module' });
  const waiting = new Map<number, (said: string | null) => void>();
  let last = 0;
  worker.onmessage = ({ data }: MessageEvent<Reply>) => waiting.get(data.id)?.(data.said);
  worker.onerror = () => waiting.forEach((tell) => tell(null));
  const check = async (code: string): Promise<Verdict> => {
    const id = ++last;
    const said = await new Promise<string | null>((tell) => {
      waiting.set(id, tell);
      worker.postMessage({ id, wasm, keys, code } satisfies Question);
    });
    waiting.delete(id);
    if (said === null) throw new Error('the check does not run here');
    return readReply(JSON.parse(said));
  };
  await check('T2');
  return { check };
}

function readReply(value: { verdict: string; says?: unknown }): Verdict {
  const { verdict } = value;
  if (verdict === 'malformed' || verdict === 'unknown_key' || verdict === 'forged') return { verdict };
  const says = readPayload(value.says);
  if (verdict !== 'genuine' || says === null) throw new Error(`a verdict of ${verdict}`);
  return { verdict, says };
}
