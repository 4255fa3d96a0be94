// Seats in words.
import { common, pay } from './text';
import type { SeatName } from './wire';

export function describeSeat(name: SeatName): string {
  const section = `${common.section} ${name.section}`;
  if (name.row === null && name.seat === null) return `${section}, ${pay.general}`;
  const row = name.row === null ? '' : `, ${common.row.toLowerCase()} ${name.row}`;
  const seat = name.seat === null ? '' : `, ${common.seat.toLowerCase()} ${name.seat}`;
  return section + row + seat;
}
