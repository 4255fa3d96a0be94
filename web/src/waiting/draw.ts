// The draw on the waiting page: the seal before it, the check after it.
import { checkDraw } from '../drawcheck';
import { byId, onPress, setText, show } from '../dom';
import { Problem, inWords } from '../problem';
import { drawRecord } from '../room';
import { draw as words, region } from '../text';
import { Unable } from '../verifier';
import type { Place } from '../wire';

/** The record as this browser first saw it: kept over tabs, for the day of the draw. */
const kept = (room: string): string => `draw:${room}`;
const format = new Intl.NumberFormat(region);
let sealing = false;
let latest: Place | null = null;

/** Shows what there is to see of the room's draw, if it has one. */
export function showDraw(room: string, place: Place): void {
  latest = place;
  // Lanes are not drawn.
  if (document.body.dataset.draw !== 'yes' || place.lane !== null) return;
  const drawn = place.position !== null;
  show(byId('draw'), true);
  setText(byId('draw-lead'), drawn ? words.drawnLead : words.lobbyLead);
  show(byId('seal'), !drawn);
  if (drawn) offerCheck(room);
  else if (place.state === 'lobby' && !sealing) {
    sealing = true;
    void keepSeal(room);
  }
}

async function keepSeal(room: string): Promise<void> {
  try {
    const record = await drawRecord(room);
    const { commitment, epoch } = JSON.parse(record) as { commitment: unknown; epoch: unknown };
    // Another opening has another seal; within one, the first copy is the one that counts.
    const before = JSON.parse(localStorage.getItem(kept(room)) ?? 'null') as { epoch: unknown } | null;
    if (before === null || before.epoch !== epoch) localStorage.setItem(kept(room), record);
    setText(byId('seal'), String(commitment));
  } catch {
    // Without a copy the check still tells whether the record holds by itself. Try with the next poll.
    sealing = false;
  }
}

function earlierRecord(room: string, record: string): string | null {
  try {
    const before = localStorage.getItem(kept(room));
    const epochOf = (text: string): unknown => (JSON.parse(text) as { epoch: unknown }).epoch;
    return before !== null && epochOf(before) === epochOf(record) ? before : null;
  } catch {
    return null;
  }
}

let offered = false;
function offerCheck(room: string): void {
  const button = byId('check-draw');
  show(button, true);
  if (offered) return;
  offered = true;
  onPress(button, async () => {
    const out = byId('draw-verdict');
    delete out.dataset.verdict;
    try {
      const record = await drawRecord(room);
      const mine = latest === null ? null : { number: latest.number, position: latest.position };
      const { verdict, sentence } = await checkDraw(record, earlierRecord(room, record), mine,
        (done) => setText(out, words.checking(format.format(done))));
      out.dataset.verdict = verdict;
      setText(out, sentence);
    } catch (error) {
      setText(out, error instanceof Unable ? words.unable
        : error instanceof Problem && error.kind === 'not_found' ? words.noRecord : inWords(error));
    }
  });
}
