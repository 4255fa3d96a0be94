// Runs the domain's own Rust, compiled to wasm, away from the page: solves challenges and checks
// draws. A hidden tab's worker goes on; nothing here waits on a timer or on a frame.
import init, { Census, Solving, contradiction, verify_draw } from '../../../verify/build/verify.js';
import type { Answer, Task } from '../verifier';

/** Hashes and places between two reports: some tens of milliseconds on a slow phone. */
const HASHES = 16_384;
const PLACES = 65_536;
/** A search that takes eight times the average is given up: a fresh puzzle is the better bet. */
const PATIENCE = 8;

declare function postMessage(answer: Answer): void;

function solve(puzzle: string, difficulty: number): void {
  const solving = Solving.of(puzzle);
  if (solving === undefined) return postMessage({ kind: 'unsolved' });
  const mostHashes = PATIENCE * 2 ** difficulty;
  while (solving.hashes() < mostHashes) {
    const solution = solving.step(HASHES);
    if (solution !== undefined) return postMessage({ kind: 'solved', solution, hashes: solving.hashes() });
    postMessage({ kind: 'progress', done: solving.parts(), of: 16 });
  }
  postMessage({ kind: 'unsolved' });
}

function check(record: string, earlier: string | null, number: number): void {
  const broken = earlier === null ? '' : contradiction(record, earlier);
  // Every draw has a number 1; who asks for no number gets that one's answer and drops it.
  const verdict: unknown = JSON.parse(verify_draw(record, number));
  const census = broken === '' ? Census.of(record) : undefined;
  while (census !== undefined && !census.step(PLACES)) {
    postMessage({ kind: 'progress', done: census.checked(), of: Number.NaN });
  }
  postMessage({
    kind: 'checked', verdict, contradiction: broken, counted: census?.checked() ?? 0, fault: census?.fault() ?? null,
  });
}

onmessage = async ({ data }: MessageEvent<Task>): Promise<void> => {
  try {
    await init({ module_or_path: data.wasm });
  } catch {
    return postMessage({ kind: 'unable' });
  }
  if (data.kind === 'solve') solve(data.puzzle, data.difficulty);
  else check(data.record, data.earlier, data.number);
};
