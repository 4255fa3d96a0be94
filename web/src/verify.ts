// Checks any draw's record, loaded from here or pasted from anywhere.
import { checkDraw } from './drawcheck';
import { byId, setText } from './dom';
import { Problem, inWords } from './problem';
import { drawRecord } from './room';
import { common, draw as words, region } from './text';
import { Unable } from './verifier';

const format = new Intl.NumberFormat(region);
const field = (id: string): HTMLInputElement | HTMLTextAreaElement =>
  byId(id) as HTMLInputElement | HTMLTextAreaElement;
const given = (id: string): string | null => field(id).value.trim() || null;

/** Runs a form's work, one at a time. */
function onSubmit(form: HTMLElement, work: () => Promise<void>): void {
  let busy = false;
  form.addEventListener('submit', async (event) => {
    event.preventDefault();
    if (busy) return;
    busy = true;
    await work().finally(() => {
      busy = false;
    });
  });
}

async function load(): Promise<void> {
  const room = given('room');
  if (room === null) return;
  const status = byId('load-status');
  setText(status, common.loading);
  try {
    field('record').value = await drawRecord(room);
    setText(status, '');
  } catch (error) {
    setText(status, error instanceof Problem && error.kind === 'not_found' ? words.noRecord : inWords(error));
  }
}

async function check(): Promise<void> {
  const out = byId('draw-verdict');
  delete out.dataset.verdict;
  const number = Number(given('number'));
  try {
    const { verdict, sentence } = await checkDraw(
      given('record') ?? '', given('earlier'), number > 0 ? { number, position: null } : null,
      (done) => setText(out, words.checking(format.format(done))),
    );
    out.dataset.verdict = verdict;
    setText(out, sentence);
  } catch (error) {
    setText(out, error instanceof Unable ? words.unable : inWords(error));
  }
}

onSubmit(byId('load'), load);
onSubmit(byId('check'), check);
const room = new URLSearchParams(location.search).get('room');
if (room !== null) {
  field('room').value = room;
  await load();
}
