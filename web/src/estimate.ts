// The estimated wait on display. It is a promise: it may shrink, it never grows.
import { duration } from './text';

export interface Interval {
  readonly low: number;
  readonly high: number;
}

/**
 * The next interval to show, in seconds: what the room says now, but never more than what was
 * shown before. A line slower than foreseen makes it stand still; it does not climb.
 */
export function nextEstimate(shown: Interval | null, told: Interval): Interval {
  if (shown === null) return { low: Math.min(told.low, told.high), high: told.high };
  const high = Math.min(told.high, shown.high);
  return { low: Math.min(told.low, shown.low, high), high };
}

/** The interval in words. */
export function describe(interval: Interval): string {
  const low = Math.floor(interval.low / 60);
  const high = Math.ceil(interval.high / 60);
  if (interval.high < 60) return duration.underMinute;
  if (high >= 120) {
    const [from, to] = [halfHours(interval.low), halfHours(interval.high)];
    return from === to ? duration.hours(to) : duration.hoursBetween(from, to);
  }
  if (low === 0) return duration.upToMinutes(high);
  return low === high ? duration.minutes(high) : duration.minutesBetween(low, high);
}

function halfHours(seconds: number): string {
  return String(Math.max(0.5, Math.round(seconds / 1800) / 2));
}
