// Seats that come back go to those in line, through the room's pace: on the real edge and core.
import assert from "node:assert/strict";
import { test } from "node:test";
import { openEvent, runningStack, until, Visitor } from "./client.mjs";

const csv = "section,kind,row,seat,capacity,price_minor,x,y\nPit,general,,,2,5000,,\n";

const hold = (visitor, event) => visitor.post("/api/v1/holds", { event, section: "Pit", quantity: 1 });
const claim = async (visitor, room) => (await visitor.post(`/queue/v1/${room}/claim`, {})).status;

// The core tells the room how many may be inside, in a moment.
const toldMax = (operator, room, expected) =>
  until(`${room} to hear ${expected}`, async () => {
    const { data } = await operator.get(`/api/v1/admin/rooms/${room}`);
    return data.stock_max === expected && data.in_force ? true : undefined;
  });

async function shopper(origin, room, name) {
  const visitor = await new Visitor(origin).login(`${name}-${room}@example.com`);
  await visitor.admit(room);
  return visitor;
}

async function joined(origin, room, name) {
  const visitor = await new Visitor(origin).login(`${name}-${room}@example.com`);
  assert.equal((await visitor.post(`/queue/v1/${room}/join`, {})).status, 201);
  return visitor;
}

async function allHeld(stack, event) {
  const { slug, operator } = await openEvent(stack.edge, { csv, event, name: "returned", room: { max_active: 10 } });
  const holders = [];
  for (const name of ["ana", "bia"]) {
    const visitor = await shopper(stack.edge, slug, name);
    const granted = await hold(visitor, slug);
    assert.equal(granted.status, 201, JSON.stringify(granted.data));
    holders.push({ visitor, hold: granted.data.hold });
  }
  await toldMax(operator, slug, 2);
  // In this order, both while nothing is for sale.
  const line = [await joined(stack.edge, slug, "caio"), await joined(stack.edge, slug, "duda")];
  return { slug, operator, holders, line };
}

test("a released seat lets the next one in, and nobody else", async () => {
  const stack = runningStack();
  const { slug, holders, line } = await allHeld(stack, {});
  const [caio, duda] = line;
  for (let look = 0; look < 5; look += 1) {
    for (const visitor of line) assert.notEqual(await claim(visitor, slug), 200, "nothing is for sale");
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  const [ana, bia] = holders;
  const released = await ana.visitor.ask("DELETE", `/api/v1/holds/${ana.hold}`);
  assert.equal(released.status, 204);
  // Duda asks all the time; the seat is still Caio's to choose.
  await until("Caio to be let in", async () => {
    assert.notEqual(await claim(duda, slug), 200, "Duda came later");
    return (await claim(caio, slug)) === 200 ? true : undefined;
  });
  for (let look = 0; look < 5; look += 1) {
    assert.notEqual(await claim(duda, slug), 200, "one seat, one more inside");
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  const granted = await hold(caio, slug);
  assert.equal(granted.status, 201, JSON.stringify(granted.data));
  assert.notEqual(await claim(duda, slug), 200);
  await bia.visitor.ask("DELETE", `/api/v1/holds/${bia.hold}`);
  await until("Duda to be let in", async () => ((await claim(duda, slug)) === 200 ? true : undefined));
  assert.equal((await hold(duda, slug)).status, 201);
});

test("an expired hold lets the next one in", async () => {
  const stack = runningStack();
  const { slug, line } = await allHeld(stack, { hold_seconds: 10 });
  await until("Caio to be let in", async () => ((await claim(line[0], slug)) === 200 ? true : undefined));
  const granted = await hold(line[0], slug);
  assert.equal(granted.status, 201, JSON.stringify(granted.data));
});
