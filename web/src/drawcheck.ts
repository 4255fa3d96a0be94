// Anyone can check a draw: the seal published before it, the order it made, the place one got.
import { fields, maybe, number, oneOf, text } from './decode';
import { draw as words, region } from './text';
import { work } from './verifier';

/** What the check found. */
export interface Finding {
  /** True, false, or too early to say. */
  readonly verdict: 'true' | 'false' | 'early';
  readonly sentence: string;
}

/**
 * Checks a record as it was published, and the one that was kept from before the draw.
 * @param mine the visitor's own number, and the position that the room told
 * @throws Unable
 */
export async function checkDraw(
  record: string, earlier: string | null, mine: { readonly number: number; readonly position: number | null } | null,
  onProgress: (done: number) => void,
): Promise<Finding> {
  const answer = await work({ kind: 'check', record, earlier, number: mine?.number ?? 1 }, onProgress);
  if (answer.kind !== 'checked') throw new Error(`unexpected ${answer.kind}`);
  const format = new Intl.NumberFormat(region);
  const it = fields(answer.verdict);
  const verdict = oneOf(it.verdict, ['true', 'false', 'early']);
  const wrong = (sentence: string): Finding => ({ verdict: 'false', sentence });
  // A record that changed is false however well it holds by itself.
  if (answer.contradiction !== '') return wrong(words.wrong(answer.contradiction));
  if (verdict === 'early') return { verdict, sentence: words.early(maybe(it.reason, text) ?? '') };
  if (verdict === 'false') return wrong(words.wrong(maybe(it.reason, text) ?? ''));
  if (answer.fault !== null) return wrong(words.wrong(answer.fault));
  const count = number(it.count);
  const sentences = [words.right];
  if (earlier !== null) sentences.push(words.sealKept);
  sentences.push(answer.counted === count ? words.all(format.format(count)) : words.tooMany(format.format(count)));
  if (mine !== null) {
    const position = number(it.position);
    if (mine.position !== null && mine.position !== position) {
      return wrong(words.otherPosition(format.format(position), format.format(mine.position)));
    }
    const [n, p] = [format.format(mine.number), format.format(position)];
    sentences.push(it.drawn === true ? words.mine(n, p) : words.late(n));
  }
  return { verdict, sentence: sentences.join(' ') };
}
