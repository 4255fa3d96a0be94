// What a room asks before it gives a place: a little work, or Turnstile's word.
import { fields, maybe, number, oneOf, text } from './decode';
import { byId, setText, show } from './dom';
import { NetworkFailure } from './problem';
import { challenge as words } from './text';
import { Unable, work } from './verifier';

/** What goes with the next join. */
export type Solution = { readonly puzzle: string; readonly solution: string } | { readonly response: string };

const TURNSTILE = 'https://challenges.cloudflare.com/turnstile/v0/api.js?render=explicit';

/** https://developers.cloudflare.com/turnstile/get-started/client-side-rendering/ */
interface Turnstile {
  render(element: HTMLElement, options: Readonly<Record<string, unknown>>): string;
  remove(widget: string): void;
}

/**
 * Solves what a join was refused for; null: nothing came of it, ask for another.
 * @throws Unable when this browser can't.
 */
export async function solve(challenge: unknown): Promise<Solution | null> {
  const it = fields(challenge);
  const kind = oneOf(it.kind, ['proof_of_work', 'turnstile']);
  show(byId('challenge'), true);
  if (kind === 'turnstile') return askTurnstile(text(it.site_key));
  return proveWork(text(it.puzzle), number(it.difficulty));
}

/** The box is not needed any more. */
export function done(): void {
  show(byId('challenge'), false);
}

async function proveWork(puzzle: string, difficulty: number): Promise<Solution | null> {
  setText(byId('challenge-lead'), words.working);
  const bar = byId('challenge-progress') as HTMLProgressElement;
  show(bar, true);
  bar.value = 0;
  const started = performance.now();
  const answer = await work({ kind: 'solve', puzzle, difficulty }, (parts, of) => {
    // It never goes back, not even when a second puzzle has to be solved.
    bar.value = Math.max(bar.value, parts / of);
  });
  if (answer.kind !== 'solved') return null;
  bar.value = 1;
  // For whoever measures: `performance.getEntriesByName('proof of work')`.
  performance.measure('proof of work', { start: started, detail: { hashes: answer.hashes, difficulty } });
  return { puzzle, solution: answer.solution };
}

async function askTurnstile(siteKey: string): Promise<Solution | null> {
  // The page's policy lets it in only when the page was made for it.
  if (document.body.dataset.challenge !== 'turnstile') {
    location.reload();
    return new Promise(() => undefined);
  }
  setText(byId('challenge-lead'), words.turnstile);
  show(byId('challenge-progress'), false);
  const turnstile = await loadTurnstile();
  let widget = '';
  try {
    const response = await new Promise<string>((resolve, reject) => {
      widget = turnstile.render(byId('widget'), {
        sitekey: siteKey,
        callback: resolve,
        'unsupported-callback': () => reject(new Unable()),
        // It tries again by itself; true: it is dealt with here.
        'error-callback': () => {
          setText(byId('challenge-lead'), words.turnstileTrouble);
          return true;
        },
      });
    });
    return { response };
  } finally {
    if (widget !== '') turnstile.remove(widget);
  }
}

function loadTurnstile(): Promise<Turnstile> {
  const ready = (): Turnstile | null =>
    maybe((globalThis as { turnstile?: unknown }).turnstile, (it) => it as Turnstile);
  const there = ready();
  if (there !== null) return Promise.resolve(there);
  return new Promise((resolve, reject) => {
    const script = document.createElement('script');
    script.src = TURNSTILE;
    const fail = (): void => {
      script.remove();
      reject(new NetworkFailure(TURNSTILE));
    };
    script.onload = () => {
      const loaded = ready();
      if (loaded === null) fail();
      else resolve(loaded);
    };
    script.onerror = fail;
    document.head.append(script);
  });
}
