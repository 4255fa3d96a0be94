// One ticket, to show at the entrance or to print.
import { formatDate } from './clock';
import { byId, idFromPath, onPress, setText, show } from './dom';
import { get } from './http';
import { loginLinks } from './login';
import { Problem, inWords, wantsLogin } from './problem';
import { common, ticket as words } from './text';
import { ticket as decodeTicket, type Ticket } from './wire';

const api = `/api/v1/tickets/${encodeURIComponent(idFromPath())}`;

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
  if (ticket.valid) byId('qr').setAttribute('src', `${api}.svg`);
  setText(byId('status'), ticket.valid ? words.show : words.invalid);
  show(byId('qr'), ticket.valid);
  show(byId('code-line'), ticket.valid);
  show(byId('ticket'), true);
}

async function load(): Promise<void> {
  show(byId('again'), false);
  setText(byId('status'), common.loading);
  try {
    render(await get(api, decodeTicket));
  } catch (error) {
    if (wantsLogin(error)) {
      setText(byId('status'), words.login);
      byId('login-links').replaceChildren(...await loginLinks());
      return;
    }
    const unknown = error instanceof Problem && error.status === 404;
    setText(byId('status'), unknown ? words.notFound : inWords(error));
    show(byId('again'), !unknown);
  }
}

onPress(byId('print'), async () => window.print());
onPress(byId('again'), load);
void load();
