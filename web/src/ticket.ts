// One ticket, to show at the entrance or to print. Once opened it is kept on this device, for a
// place without a network.
import { formatDate } from './clock';
import { byId, idFromPath, onPress, setText, show } from './dom';
import { get } from './http';
import { loginLinks } from './login';
import { forget, keepPage, keptJson } from './offline';
import { Problem, inWords, wantsLogin } from './problem';
import { describeSeat } from './seats';
import { common, ticket as words } from './text';
import { ticket as decodeTicket, type Ticket } from './wire';

const id = idFromPath();
const api = `/api/v1/tickets/${encodeURIComponent(id)}`;
const keptName = `ticket-${id}`;

function render(ticket: Ticket): void {
  const { section, row, seat } = ticket.where;
  setText(byId('heading'), ticket.title);
  setText(byId('date'), formatDate(ticket.startsAt));
  setText(byId('venue'), ticket.venue);
  show(byId('event-facts'), true);
  document.title = `${ticket.title} – Catraca`;
  setText(byId('section'), section);
  setText(byId('row'), row ?? '');
  setText(byId('seat'), seat ?? '');
  show(byId('row-line'), row !== null);
  show(byId('seat-line'), seat !== null);
  setText(byId('code'), ticket.code ?? '');
  byId('pdf').setAttribute('href', `${api}.pdf`);
  if (ticket.valid) {
    for (const image of ['qr', 'bright-qr']) byId(image).setAttribute('src', `${api}.svg`);
  }
  setText(byId('bright-seat'), describeSeat(ticket.where));
  setText(byId('status'), ticket.valid ? words.show : words.invalid);
  show(byId('void'), !ticket.valid);
  for (const only of ['qr', 'code-line', 'large']) show(byId(only), ticket.valid);
  show(byId('ticket'), true);
}

/** Keeps what is shown; a void ticket too, so that it is not taken for good without a network. */
async function keep(ticket: Ticket): Promise<void> {
  const kept = await keepPage(keptName, '/tickets/', ticket.valid ? [api, `${api}.svg`] : [api]);
  if (!kept) return;
  document.body.dataset.kept = 'true';
  setText(byId('kept'), words.kept);
  show(byId('forget'), true);
}

/** Without a login, what this device has kept is still shown. */
async function showKept(): Promise<boolean> {
  const kept = await keptJson(keptName, api);
  if (kept === undefined) return false;
  render(decodeTicket(kept));
  setText(byId('kept'), words.keptOnly);
  show(byId('forget'), true);
  return true;
}

async function load(): Promise<void> {
  show(byId('again'), false);
  setText(byId('status'), common.loading);
  try {
    const ticket = await get(api, decodeTicket);
    render(ticket);
    await keep(ticket);
  } catch (error) {
    if (wantsLogin(error)) {
      if (!(await showKept())) setText(byId('status'), words.login);
      byId('login-links').replaceChildren(...await loginLinks());
      return;
    }
    const unknown = error instanceof Problem && error.status === 404;
    setText(byId('status'), unknown ? words.notFound : inWords(error));
    show(byId('again'), !unknown);
  }
}

/** As large and bright as the screen can, and not dimmed while it is held out. */
async function enlarge(): Promise<void> {
  const dialog = byId('bright') as HTMLDialogElement;
  dialog.showModal();
  try {
    const awake = await navigator.wakeLock.request('screen');
    dialog.addEventListener('close', () => void awake.release(), { once: true });
  } catch {
    // The screen will dim when it does.
  }
}

onPress(byId('large'), enlarge);
onPress(byId('forget'), async () => {
  await forget(keptName);
  delete document.body.dataset.kept;
  show(byId('forget'), false);
  setText(byId('kept'), words.forgotten);
});
onPress(byId('print'), async () => window.print());
onPress(byId('again'), load);
void load();
