// The page's side of the worker in `workers/verifier.ts`.

export type Task =
  | { readonly kind: 'solve'; readonly wasm: string; readonly puzzle: string; readonly difficulty: number }
  | { readonly kind: 'check'; readonly wasm: string; readonly record: string; readonly earlier: string | null;
      readonly number: number };

export type Answer =
  | { readonly kind: 'progress'; readonly done: number; readonly of: number }
  | { readonly kind: 'solved'; readonly solution: string; readonly hashes: number }
  | { readonly kind: 'unsolved' }
  | { readonly kind: 'checked'; readonly verdict: unknown; readonly contradiction: string;
      readonly counted: number; readonly fault: string | null }
  | { readonly kind: 'unable' };

/** This browser can't run the check: no web workers, or no WebAssembly. */
export class Unable extends Error {}

type Unfilled<T> = T extends Task ? Omit<T, 'wasm'> : never;

/**
 * Gives a worker of its own one task; `onProgress` hears how far it is.
 * @throws Unable
 */
export function work(task: Unfilled<Task>, onProgress: (done: number, of: number) => void): Promise<Answer> {
  const { worker: script, wasm } = document.body.dataset;
  if (script === undefined || wasm === undefined) throw new Error('the page names no worker');
  return new Promise((resolve, reject) => {
    if (typeof Worker === 'undefined') return reject(new Unable());
    const worker = new Worker(script, { type: 'module' });
    const end = (settle: () => void): void => {
      worker.terminate();
      settle();
    };
    worker.onmessage = ({ data }: MessageEvent<Answer>) => {
      if (data.kind === 'progress') onProgress(data.done, data.of);
      else end(() => (data.kind === 'unable' ? reject(new Unable()) : resolve(data)));
    };
    // The script can't be had or read: an old browser knows no module workers.
    worker.onerror = () => end(() => reject(new Unable()));
    worker.postMessage({ ...task, wasm });
  });
}
