// An operator over HTTP: sets up an event of its own for a test on the running stack.
import { Visitor, actOn, createEvent, runningStack } from '../../../tests/e2e/client.mjs';

export { runningStack };

/** Logs in as the development provider's operator. */
export async function operator(edge) {
  return new Operator(await new Visitor(edge).login('operator@example.com'));
}

function stallsAndLawn() {
  const lines = ['section,kind,row,seat,capacity,price_minor,x,y', 'Lawn,general,,,50,8000,,'];
  for (const [y, row] of ['A', 'B', 'C'].entries()) {
    for (let x = 1; x <= 8; x += 1) lines.push(`Stalls,seated,${row},${x},,12500,${x},${y}`);
  }
  return `${lines.join('\n')}\n`;
}

class Operator {
  constructor(visitor) {
    this.visitor = visitor;
  }

  room(event, action) {
    return actOn(this.visitor, event, action);
  }

  /** Makes an event with 24 seats in Stalls and 50 places on the Lawn, or others; its room is still closed. */
  event(name, room = {}, csv = stallsAndLawn()) {
    return createEvent(this.visitor, {
      name, csv,
      event: { title: 'Noite Estrelada', venue: 'Teatro Municipal, São Paulo', starts_at: '2030-03-12T22:00:00Z' },
      room: { rate_per_minute: 600, max_active: 50, session_seconds: 600, claim_window_seconds: 120, ...room },
    });
  }
}
