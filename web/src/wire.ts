// The API's documents, as far as the pages need them.
import { fields, list, maybe, number, oneOf, text } from './decode';
import type { Money } from './money';

export function money(value: unknown): Money {
  const it = fields(value);
  return { amountMinor: number(it.amount_minor), currency: text(it.currency) };
}

/** What an event's room asks of whoever joins, and when it opens by itself. */
export interface Entry {
  readonly account: boolean;
  readonly opensAt: string | null;
}

export function entry(value: unknown): Entry {
  const it = fields(value);
  return { account: it.identity === 'account', opensAt: maybe(it.opens_at, text) };
}

export interface EventInfo {
  readonly event: string;
  readonly title: string;
  readonly venue: string;
  readonly startsAt: string;
  /** Only in the list of events. */
  readonly entry: Entry | null;
  /** How each section is sold; the list of events leaves it out. */
  readonly kinds: ReadonlyMap<string, 'seated' | 'general'>;
}

export function eventInfo(value: unknown): EventInfo {
  const it = fields(value);
  const kinds = maybe(it.sections, (sections) => list(sections, (section) => {
    const { section: name, kind } = fields(section);
    return [text(name), oneOf(kind, ['seated', 'general'])] as const;
  }));
  return {
    event: text(it.event), title: text(it.title), venue: text(it.venue),
    startsAt: text(it.starts_at), entry: maybe(it.entry, entry), kinds: new Map(kinds ?? []),
  };
}

export function events(value: unknown): EventInfo[] {
  return list(fields(value).events, eventInfo);
}

export const PLACE_STATES = ['lobby', 'waiting', 'called', 'admitted', 'lapsed'] as const;

export interface Place {
  readonly state: (typeof PLACE_STATES)[number];
  readonly number: number;
  /** Its lane, unless that is the standard one. */
  readonly lane: string | null;
  /** Where it stands, once drawn. */
  readonly position: number | null;
  readonly ahead: number;
  readonly eta: { readonly low: number; readonly high: number } | null;
  readonly pollAfterMs: number;
  readonly phase: string | null;
  readonly message: string | null;
}

export function place(value: unknown): Place {
  const it = fields(value);
  return {
    state: oneOf(it.state, PLACE_STATES), number: number(it.number),
    lane: maybe(it.lane, text), position: maybe(it.position, number), ahead: number(it.ahead),
    eta: maybe(it.eta_seconds, (eta) => ({ low: number(fields(eta).low), high: number(fields(eta).high) })),
    pollAfterMs: number(it.poll_after_ms), phase: maybe(it.phase, text), message: maybe(it.message, text),
  };
}

export interface Session {
  readonly expiresAt: string;
  readonly maxSeats: number;
}

export function session(value: unknown): Session {
  const it = fields(value);
  return { expiresAt: text(it.expires_at), maxSeats: number(it.max_seats_per_buyer) };
}

export interface Section {
  readonly section: string;
  readonly free: number;
  readonly price: Money;
}

export function availability(value: unknown): Section[] {
  return list(fields(value).sections, (section) => {
    const it = fields(section);
    return { section: text(it.section), free: number(it.free), price: money(it.price) };
  });
}

export interface Seat {
  readonly row: string;
  readonly seat: string;
  readonly x: number | null;
  readonly y: number | null;
  readonly state: 'free' | 'held' | 'sold';
}

export function seats(value: unknown): Seat[] {
  return list(fields(value).seats, (seat) => {
    const it = fields(seat);
    return {
      row: text(it.row), seat: text(it.seat), x: maybe(it.x, number), y: maybe(it.y, number),
      state: oneOf(it.state, ['free', 'held', 'sold']),
    };
  });
}

/** A seat by its name; general admission has neither row nor seat. */
export interface SeatName {
  readonly section: string;
  readonly row: string | null;
  readonly seat: string | null;
}

export function seatName(value: unknown): SeatName {
  const it = fields(value);
  return {
    section: text(it.section), row: maybe(it.row, text) || null, seat: maybe(it.seat, text) || null,
  };
}

export interface Hold {
  readonly hold: string;
  readonly seats: readonly SeatName[];
  readonly total: Money;
  readonly expiresAt: string;
  /** `active`, until it is `sold`, `released` or `expired`. */
  readonly state: string;
}

export function hold(value: unknown): Hold {
  const it = fields(value);
  return {
    hold: text(it.hold), seats: list(it.seats, seatName), total: money(it.total),
    expiresAt: text(it.expires_at), state: text(it.state),
  };
}

export const ORDER_STATUSES = [
  'queued', 'awaiting_payment', 'paid', 'failed', 'expired', 'refunded',
] as const;

export interface OrderTicket {
  readonly ticket: string;
  readonly where: SeatName;
}

export const FAILURES = [
  'not_started', 'declined', 'not_paid_in_time', 'paid_late_refunded', 'paid_late_not_charged',
] as const;

/** A code to pay by, shown here instead of on the provider's page. */
export interface PayCode {
  readonly data: string;
  readonly expiresAt: string | null;
}

export interface Refund {
  readonly amount: Money;
  readonly done: boolean;
  readonly seats: readonly SeatName[];
}

export interface Order {
  readonly status: (typeof ORDER_STATUSES)[number];
  readonly redirectUrl: string | null;
  readonly payCode: PayCode | null;
  readonly total: Money | null;
  readonly provider: string | null;
  /** Parts that went back, or are on their way. */
  readonly refunds: readonly Refund[];
  /** What has gone back in all. */
  readonly refunded: Money | null;
  /** Where the tickets were sent. */
  readonly mail: { readonly to: string; readonly state: 'queued' | 'sent' | 'given_up' } | null;
  /** A person has to look at it. */
  readonly underReview: boolean;
  readonly event: string;
  readonly tickets: readonly OrderTicket[];
  /** Why it came to nothing, in the server's sentence. */
  readonly failure: string | null;
  /** The same by name; null for a reason that this page doesn't know. */
  readonly failureKind: (typeof FAILURES)[number] | null;
}

function payCode(action: unknown): PayCode | null {
  const display = maybe(fields(action).display, fields);
  // Another kind is paid on the provider's page, like everything else.
  if (display === null || display.kind !== 'qr_code') return null;
  return { data: text(display.data), expiresAt: maybe(display.expires_at, text) };
}

function refund(value: unknown): Refund {
  const it = fields(value);
  return { amount: money(it.amount), done: it.state === 'completed', seats: maybe(it.seats, (seats) => list(seats, seatName)) ?? [] };
}

export function order(value: unknown): Order {
  const it = fields(value);
  return {
    status: oneOf(it.status, ORDER_STATUSES),
    redirectUrl: maybe(it.next_action, (action) => text(fields(action).redirect_url)),
    payCode: maybe(it.next_action, payCode),
    total: maybe(it.total, money), provider: maybe(it.provider, text),
    refunds: maybe(it.refunds, (refunds) => list(refunds, refund)) ?? [], refunded: maybe(it.refunded, money),
    mail: maybe(it.mail, (mail) => (
      { to: text(fields(mail).to), state: oneOf(fields(mail).state, ['queued', 'sent', 'given_up']) })),
    underReview: it.under_review === true,
    event: text(it.event),
    tickets: list(it.tickets, orderTicket), failure: maybe(it.failure, text),
    failureKind: FAILURES.find((name) => name === it.failure_kind) ?? null,
  };
}

function orderTicket(value: unknown): OrderTicket {
  return { ticket: text(fields(value).ticket), where: seatName(value) };
}

export interface Ticket {
  readonly title: string;
  readonly venue: string;
  readonly startsAt: string;
  readonly where: SeatName;
  /** None once it is void. */
  readonly code: string | null;
  /** False once its order is refunded. */
  readonly valid: boolean;
}

export function ticket(value: unknown): Ticket {
  const it = fields(value);
  const event = fields(it.event);
  return {
    title: text(event.title), venue: text(event.venue), startsAt: text(event.starts_at),
    where: seatName(value), code: maybe(it.code, text), valid: oneOf(it.status, ['valid', 'void']) === 'valid',
  };
}

/** What a door keeps of its event. */
export function door(value: unknown): { void: string[]; issued: number; asOf: string } {
  const it = fields(value);
  return { void: list(it.void, text), issued: number(it.issued), asOf: text(it.as_of) };
}
