// An order: follows it until it is settled, sends the buyer to the payment page once or shows the
// code to pay by, and shows the tickets.
import { backoffMs, jitterMs, sleep } from './backoff';
import { countdown, formatCountdown } from './clock';
import { byId, idFromPath, make, onPress, setText, show } from './dom';
import { get } from './http';
import { loginLinks } from './login';
import { formatMoney } from './money';
import { NetworkFailure, Problem, inWords, wantsLogin } from './problem';
import { describeSeat } from './seats';
import { common, order as words, region } from './text';
import { order as decodeOrder, type Order, type OrderTicket, type PayCode } from './wire';

/** How often the order is asked for where no event stream comes through, in milliseconds. */
const POLL_MS = 1500;
/** The stream tells the order at once; one that does not is held back on its way. In milliseconds. */
const FIRST_WORD_MS = 4000;
/** A silent stream is opened anew after this long, in milliseconds. */
const QUIET_MS = 25_000;
/** Mail goes out within seconds; it is asked after this often, this many times. */
const MAIL_MS = 2000;
const MAIL_ASKS = 8;

const id = idFromPath();
const path = `/api/v1/orders/${encodeURIComponent(id)}`;
const query = new URLSearchParams(location.search);
const cameBack = query.has('returned') || query.has('cancelled');
const sentKey = `sent:${id}`;
let last: Order | null = null;

const isFinal = (order: Order): boolean => !['queued', 'awaiting_payment'].includes(order.status);

function status(heading: string, text: string, tone: 'busy' | 'good' | 'bad' | 'plain'): void {
  setText(byId('heading'), heading);
  setText(byId('status'), text);
  byId('status').dataset.tone = tone;
}

/** The provider's page, if it is an address to go to. */
function paymentPage(order: Order): string | null {
  if (order.redirectUrl === null || !URL.canParse(order.redirectUrl, location.href)) return null;
  const url = new URL(order.redirectUrl, location.href);
  return url.protocol === 'https:' || url.protocol === 'http:' ? url.href : null;
}

function link(href: string | null, label = ''): void {
  const next = byId('next');
  show(next, href !== null);
  if (href === null) return;
  next.setAttribute('href', href);
  setText(next, label);
}

function awaiting(order: Order): void {
  const url = paymentPage(order);
  if (order.payCode !== null) {
    status(words.codeHeading, words.codeStatus, 'plain');
    payHere(order.payCode);
    link(null);
  } else if (url === null) {
    status(words.heading, cameBack ? words.confirming : words.queued, 'busy');
    link(null);
  } else if (query.has('cancelled')) {
    status(words.heading, words.cancelled, 'plain');
    link(url, words.payAgain);
  } else if (query.has('returned')) {
    status(words.heading, words.confirming, 'busy');
    link(url, words.payAgain);
  } else if (sessionStorage.getItem(sentKey) !== null) {
    status(words.heading, words.awaiting, 'plain');
    link(url, words.toPayment);
  } else {
    status(words.heading, words.redirecting, 'busy');
    link(url, words.toPayment);
    sessionStorage.setItem(sentKey, '1');
    location.assign(url);
  }
}

let shownCode = '';
let stopCountdown = (): void => undefined;

/** Shows the code to pay by; the event stream tells when that was done. */
function payHere(code: PayCode): void {
  if (code.data === shownCode) return;
  shownCode = code.data;
  byId('code-image').setAttribute('src', `${path}/pay.svg`);
  (byId('code-text') as HTMLTextAreaElement).value = code.data;
  show(byId('code-left-line'), code.expiresAt !== null);
  stopCountdown();
  if (code.expiresAt === null) return;
  stopCountdown = countdown(code.expiresAt, (left) => setText(byId('code-left'), formatCountdown(left)), () => {
    show(byId('code-left-line'), false);
    setText(byId('status'), words.codeOver);
  });
}

async function copyCode(): Promise<void> {
  const field = byId('code-text') as HTMLTextAreaElement;
  field.select();
  try {
    await navigator.clipboard.writeText(field.value);
  } catch {
    // Not allowed, or not a secure address: it is selected, and the old way may do.
    if (!document.execCommand('copy')) return;
  }
  setText(byId('copy'), words.copied);
}

function refunds(order: Order): void {
  show(byId('refunds'), order.refunds.length > 0);
  byId('refund-list').replaceChildren(...order.refunds.map(({ amount, done, seats }) => {
    const money = formatMoney(amount, region);
    const what = done ? words.refundDone(money) : words.refundPending(money);
    return make('li', {}, seats.length === 0 ? what : `${what} (${words.refundSeats(seats.map(describeSeat).join('; '))})`);
  }));
}

function mail(order: Order): void {
  const line = byId('mail');
  show(line, order.status === 'paid' && order.mail !== null);
  if (order.mail === null) return;
  const say = { queued: words.mailQueued, sent: words.mailSent, given_up: words.mailGivenUp }[order.mail.state];
  setText(line, say(order.mail.to));
  line.dataset.state = order.mail.state;
}

/** In our words, else the server's, else in general. */
function failure(order: Order, general: string): string {
  return order.failureKind === null ? order.failure ?? general : words.failures[order.failureKind];
}

function tryAgain(order: Order): void {
  link(`/e/${encodeURIComponent(order.event)}`, words.tryAgain);
}

function render(order: Order): void {
  last = order;
  const waits = order.status === 'awaiting_payment' && !order.underReview;
  show(byId('pay-here'), waits && order.payCode !== null);
  refunds(order);
  mail(order);
  if (order.underReview && !isFinal(order)) {
    status(words.reviewHeading, words.review, 'plain');
    link(null);
    show(byId('tickets'), false);
    return;
  }
  switch (order.status) {
    case 'queued':
      status(words.heading, cameBack ? words.confirming : words.queued, 'busy');
      link(null);
      break;
    case 'awaiting_payment':
      awaiting(order);
      break;
    case 'paid':
      status(words.heading, words.paid, 'good');
      link(null);
      tickets(order.tickets);
      break;
    case 'failed':
      status(words.failedHeading, failure(order, words.failed), 'bad');
      tryAgain(order);
      break;
    case 'expired':
      status(order.failureKind?.startsWith('paid_late') ? words.lateHeading : words.expiredHeading,
        failure(order, words.expired), 'bad');
      tryAgain(order);
      break;
    case 'refunded':
      status(words.refundedHeading, order.refunded === null || order.refunded.amountMinor === 0
        ? words.refunded : words.refundedAmount(formatMoney(order.refunded, region)), 'plain');
      link('/', common.backToEvents);
      break;
  }
  show(byId('tickets'), order.status === 'paid' && order.tickets.length > 0);
}

function tickets(list: readonly OrderTicket[]): void {
  const items = byId('ticket-list');
  if (items.dataset.tickets === list.map(({ ticket }) => ticket).join()) return;
  items.dataset.tickets = list.map(({ ticket }) => ticket).join();
  items.replaceChildren(...list.map((ticket) => {
    const api = `/api/v1/tickets/${encodeURIComponent(ticket.ticket)}`;
    const where = describeSeat(ticket.where);
    return make('li', { class: 'card ticket' },
      make('img', { src: `${api}.svg`, alt: words.qrAlt(where), class: 'qr', width: '200', height: '200' }),
      make('h3', {}, where),
      make('p', { class: 'actions' },
        make('a', { href: `/tickets/${encodeURIComponent(ticket.ticket)}`, class: 'button' }, words.open),
        make('a', { href: `${api}.pdf`, class: 'button' }, words.pdf)));
  }));
}

/** Asks once; true when there is nothing more to ask. */
async function ask(): Promise<boolean> {
  render(await get(path, decodeOrder));
  return last !== null && isFinal(last);
}

/** Listens to the stream until the order is settled (true) or the stream is no use (false). */
function listen(): Promise<boolean> {
  return new Promise((resolve) => {
    const stream = new EventSource(`${path}/events`);
    let quiet = 0;
    const end = (settled: boolean): void => {
      clearTimeout(quiet);
      stream.close();
      resolve(settled);
    };
    const allow = (ms: number): void => {
      clearTimeout(quiet);
      quiet = window.setTimeout(() => end(false), ms);
    };
    const onWord = (event: MessageEvent<string>): void => {
      allow(QUIET_MS);
      try {
        const order = decodeOrder(JSON.parse(event.data));
        render(order);
        if (isFinal(order)) end(true);
      } catch {
        end(false);
      }
    };
    stream.addEventListener('order', onWord);
    stream.addEventListener('error', () => end(false));
    allow(FIRST_WORD_MS);
  });
}

async function refuse(error: unknown): Promise<void> {
  if (wantsLogin(error)) {
    status(words.heading, words.login, 'plain');
    byId('login-links').replaceChildren(...await loginLinks());
    return;
  }
  const unknown = error instanceof Problem && error.status === 404;
  status(words.heading, unknown ? words.notFound : inWords(error), 'bad');
  link('/', common.backToEvents);
}

async function follow(): Promise<void> {
  setText(byId('reference'), `${words.reference} ${id}`);
  for (let attempt = 0; ;) {
    try {
      if (await ask()) return;
      attempt = 0;
      if (await listen()) return;
      await sleep(jitterMs(POLL_MS, Math.random));
    } catch (error) {
      const passing = error instanceof NetworkFailure || (error instanceof Problem && error.passing);
      if (!passing) return refuse(error);
      if (last === null) status(words.heading, common.retrying, 'busy');
      await sleep(backoffMs(attempt, Math.random));
      attempt += 1;
    }
  }
}

/** Whether the mail has gone out is not worth an event: it is asked after for a few seconds. */
async function followMail(): Promise<void> {
  for (let ask = 0; ask < MAIL_ASKS && last?.mail?.state === 'queued'; ask += 1) {
    await sleep(MAIL_MS);
    try {
      render(await get(path, decodeOrder));
    } catch {
      return;
    }
  }
}

onPress(byId('copy'), copyCode);
void follow().then(followMail);
