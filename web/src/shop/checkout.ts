// Paying for a hold: what it is, until when, and with which provider.
import { countdown, formatCountdown } from '../clock';
import { byId, make, setText } from '../dom';
import { fields, list, text } from '../decode';
import { call, change, get } from '../http';
import { formatMoney } from '../money';
import { describeSeat } from '../seats';
import { region, pay as words } from '../text';
import { hold as decodeHold, type Hold } from '../wire';

/** What every stack has, should the list not answer. */
const PROVIDERS = ['card', 'paypal'];
const LABELS: Record<string, string> = { card: words.card, paypal: words.paypal, pix: words.pix };

/** Remembers this browser's hold, so that a reload or the way over the login does not lose it. */
export const memory = {
  key: (room: string): string => `hold:${room}`,
  keep: (room: string, hold: Hold): void => localStorage.setItem(memory.key(room), hold.hold),
  forget: (room: string): void => localStorage.removeItem(memory.key(room)),
};

/** The hold kept from before, if it is still good. */
export async function rememberedHold(room: string): Promise<Hold | null> {
  const id = localStorage.getItem(memory.key(room));
  if (id === null) return null;
  try {
    const hold = await get(`/api/v1/holds/${encodeURIComponent(id)}`, decodeHold);
    const live = hold.state === 'active' && Date.parse(hold.expiresAt) > Date.now();
    if (live) return hold;
  } catch {
    // Gone, or of another account: choose anew.
  }
  memory.forget(room);
  return null;
}

async function providers(currency: string): Promise<string[]> {
  try {
    const known = await get(`/api/v1/payment-providers?currency=${encodeURIComponent(currency)}`, (body) => list(fields(body).providers, text));
    return known.length > 0 ? known : PROVIDERS;
  } catch {
    return PROVIDERS;
  }
}

let offered = false;
async function offerProviders(currency: string): Promise<void> {
  if (offered) return;
  const choices = (await providers(currency)).map((name, index) => make('label', { class: 'choice' },
    make('input', { type: 'radio', name: 'provider', value: name, checked: index === 0 }),
    make('span', {}, LABELS[name] ?? name)));
  byId('providers').append(...choices);
  offered = true;
}

function chosenProvider(): string {
  const input = document.querySelector<HTMLInputElement>('input[name="provider"]:checked');
  return input?.value ?? PROVIDERS[0] ?? 'card';
}

let stopCountdown = (): void => undefined;

/** Fills the view; `late` is called when the time is up. */
export async function showHold(hold: Hold, late: () => void): Promise<void> {
  await offerProviders(hold.total.currency);
  const total = formatMoney(hold.total, region);
  byId('held-seats').replaceChildren(...hold.seats.map((seat) => make('li', {}, describeSeat(seat))));
  setText(byId('total'), total);
  setText(byId('pay'), words.pay(total));
  stopCountdown();
  stopCountdown = countdown(hold.expiresAt, (left) => setText(byId('hold-left'), formatCountdown(left)), late);
}

/** Places the order and goes to its page. The hold is remembered: it leads back to the order. */
export async function placeOrder(hold: Hold): Promise<void> {
  const order = await change('/api/v1/orders', { hold: hold.hold, provider: chosenProvider() },
    (body) => text(fields(body).order));
  stopCountdown();
  location.assign(`/orders/${encodeURIComponent(order)}`);
}

export async function release(room: string, hold: Hold): Promise<void> {
  await call('DELETE', `/api/v1/holds/${encodeURIComponent(hold.hold)}`);
  stopCountdown();
  memory.forget(room);
}

