// How long to wait before asking again.

const FIRST_MS = 500;
const LONGEST_MS = 15_000;

/**
 * Delay before the retry number `attempt` (from 0): doubles up to a bound, and is spread over its
 * upper half so that a crowd that failed together does not come back together.
 */
export function backoffMs(attempt: number, random: () => number): number {
  const ceiling = Math.min(LONGEST_MS, FIRST_MS * 2 ** Math.min(attempt, 10));
  return Math.round(ceiling / 2 + (ceiling / 2) * random());
}

/** A polling delay with up to a fifth added. */
export function jitterMs(baseMs: number, random: () => number): number {
  return Math.round(baseMs * (1 + 0.2 * random()));
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
