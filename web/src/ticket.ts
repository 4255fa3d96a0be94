// One ticket, to show at the entrance or to print.
import { formatDate } from './clock';
import { byId, idFromPath, onPress, setText, show } from './dom';
import { get } from './http';
import { loginLinks } from './login';
import { Problem, inWords, wantsLogin } from './problem';
import { common, ticket as words } from './text';
import { eventInfo, ticket as decodeTicket, type Ticket } from './wire';

const api = `/api/v1/tickets/${encodeURIComponent(idFromPath())}`;

function render(ticket: Ticket): void {
  const { section, row, seat } = ticket.where;
  setText(byId('section'), section);
  setText(byId('row'), row ?? '');
  setText(byId('seat'), seat ?? '');
  show(byId('row-line'), row !== null);
  show(byId('seat-line'), seat !== null);
  setText(byId('code'), ticket.code);
  byId('pdf').setAttribute('href', `${api}.pdf`);
  byId('qr').setAttribute('src', `${api}.svg`);
  setText(byId('status'), ticket.valid ? words.show : words.invalid);
  show(byId('qr'), ticket.valid);
  show(byId('ticket'), true);
}

/** Title, date and venue; the ticket is good without them. */
async function renderEvent(name: string): Promise<void> {
  try {
    const event = await get(`/api/v1/events/${encodeURIComponent(name)}`, eventInfo);
    setText(byId('heading'), event.title);
    setText(byId('date'), formatDate(event.startsAt));
    setText(byId('venue'), event.venue);
    show(byId('event-facts'), true);
    document.title = `${event.title} – Catraca`;
  } catch {
    setText(byId('heading'), name);
  }
}

async function load(): Promise<void> {
  show(byId('again'), false);
  setText(byId('status'), common.loading);
  try {
    const ticket = await get(api, decodeTicket);
    render(ticket);
    await renderEvent(ticket.event);
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
