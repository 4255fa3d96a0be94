// Dates and countdowns.
import { region } from './text';

export function formatDate(rfc3339: string): string {
  const date = new Date(rfc3339);
  if (Number.isNaN(date.getTime())) return '';
  return new Intl.DateTimeFormat(region, { dateStyle: 'full', timeStyle: 'short' }).format(date);
}

/** Seconds as `m:ss`, or `h:mm:ss` from an hour on. */
export function formatCountdown(seconds: number): string {
  const whole = Math.max(0, Math.ceil(seconds));
  const pad = (n: number): string => String(n).padStart(2, '0');
  const [h, m, s] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  return h > 0 ? `${h}:${pad(m)}:${pad(s)}` : `${m}:${pad(s)}`;
}

/** What the server's clock is ahead of this one, in milliseconds: phones are often wrong. */
let skewMs = 0;

/** Learns the server's time from an answer's `Date` header; off by a second or less is no news. */
export function noteServerDate(header: string | null): void {
  const serverMs = header === null ? Number.NaN : Date.parse(header);
  if (Number.isNaN(serverMs)) return;
  const aheadMs = serverMs - Date.now();
  skewMs = Math.abs(aheadMs) < 2000 ? 0 : aheadMs;
}

/** Seconds until a moment, by the server's clock as far as it is known. */
export function secondsUntil(rfc3339: string, nowMs: number): number {
  return (new Date(rfc3339).getTime() - (nowMs + skewMs)) / 1000;
}

/** Calls `tick` soon and every second until the moment, then `done`; returns how to stop. */
export function countdown(
  rfc3339: string, tick: (seconds: number) => void, done: () => void,
): () => void {
  let stopped = false;
  const step = (): void => {
    if (stopped) return;
    const left = secondsUntil(rfc3339, Date.now());
    tick(left);
    if (left > 0) {
      setTimeout(step, 1000);
    } else {
      stopped = true;
      done();
    }
  };
  queueMicrotask(step);
  return () => {
    stopped = true;
  };
}
