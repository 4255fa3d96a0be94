// The product as it is, with a counter around it: requests to Durable Objects, alarms, and rows
// written as the database reports them. Only for counting; speed is measured without it.
import edge, { Room as RealRoom, Dispenser as RealDispenser } from "./index.js";

// Objects of one Worker share an isolate here, and so this.
const counts = { objectRequests: 0, alarms: 0, rowsWritten: 0, rowsRead: 0 };
const databaseBytes = new Map();
let unread = [];

function readCursors() {
  for (const cursor of unread) {
    counts.rowsWritten += cursor.rowsWritten;
    counts.rowsRead += cursor.rowsRead;
  }
  unread = [];
}

// The same object, but for what `replace` names; methods keep their own `this`.
function around(object, replace) {
  return new Proxy(object, {
    get(target, key) {
      if (key in replace) return replace[key];
      const value = Reflect.get(target, key, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

function countedState(state) {
  const { storage } = state;
  const sql = around(storage.sql, {
    exec(...args) {
      // A cursor knows its counts once it has been read, which it has when the next one is made.
      readCursors();
      const cursor = storage.sql.exec(...args);
      unread.push(cursor);
      databaseBytes.set(state, storage.sql.databaseSize);
      return cursor;
    },
  });
  const setAlarm = (...args) => {
    // Billed as a row written.
    counts.rowsWritten += 1;
    return storage.setAlarm(...args);
  };
  return around(state, { storage: around(storage, { sql, setAlarm }) });
}

function counted(Real) {
  return class {
    constructor(state, env) {
      this.real = new Real(countedState(state), env);
    }

    fetch(request) {
      counts.objectRequests += 1;
      return this.real.fetch(request);
    }

    alarm(...args) {
      counts.alarms += 1;
      return this.real.alarm(...args);
    }
  };
}

export const Room = counted(RealRoom);
export const Dispenser = counted(RealDispenser);

export default {
  async fetch(request, env, context) {
    if (new URL(request.url).pathname === "/counts") {
      readCursors();
      let storageBytes = 0;
      for (const bytes of databaseBytes.values()) storageBytes += bytes;
      return Response.json({ ...counts, storageBytes });
    }
    return edge.fetch(request, env, context);
  },
};
