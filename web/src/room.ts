// The waiting room's calls, as the edge answers them.
import { fields, maybe, number } from './decode';
import type { Solution } from './challenge';
import { call, get, getText } from './http';
import { place, type Place } from './wire';

const path = (room: string, what: string): string => `/queue/v1/${encodeURIComponent(room)}/${what}`;

/** Takes a place, or finds the one this browser has. The place itself is in a cookie. */
export async function join(room: string, solution: Solution | null): Promise<void> {
  await call('POST', path(room, 'join'), solution === null ? {} : { challenge: solution });
}

/** The draw's published record, letter by letter. */
export function drawRecord(room: string): Promise<string> {
  return getText(path(room, 'draw'));
}

export function currentPlace(room: string): Promise<Place> {
  return get(path(room, 'place'), place);
}

/** Goes in. Null when admitted; else milliseconds to wait, for the door lets in only so many. */
export async function claim(room: string): Promise<number | null> {
  const response = await call('POST', path(room, 'claim'), {});
  if (response.status !== 202) return null;
  return maybe(fields(await response.json()).retry_after_ms, number) ?? 1000;
}

export async function leave(room: string): Promise<void> {
  await call('POST', path(room, 'leave'), {});
}
