// What a door remembers on this device: which event it guards, the keys, the void tickets, and whom
// it let in. IndexedDB: it survives closing the page, and two tabs can't let in the same ticket.

export interface Guarded {
  readonly event: string;
  readonly title: string;
  readonly venue: string;
  readonly startsAt: string;
  /** Tickets that are void; null while the list was never loaded. */
  readonly void: readonly string[] | null;
  /** How many tickets are good, when the list was loaded. */
  readonly issued: number | null;
  /** When the list was made, by the server's clock. */
  readonly asOf: string | null;
}

/** The first time, or when it was before. */
export type Entry = { readonly first: true } | { readonly first: false; readonly at: string };

const STORES = { settings: 'settings', events: 'events', admitted: 'admitted' } as const;

function done<T>(request: IDBRequest<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

function finished(transaction: IDBTransaction): Promise<void> {
  return new Promise((resolve, reject) => {
    transaction.oncomplete = () => resolve();
    transaction.onabort = () => reject(transaction.error);
  });
}

export class Memory {
  private constructor(private readonly db: IDBDatabase) {}

  static async open(): Promise<Memory> {
    const request = indexedDB.open('door', 1);
    request.onupgradeneeded = () => {
      request.result.createObjectStore(STORES.settings);
      request.result.createObjectStore(STORES.events, { keyPath: 'event' });
      request.result.createObjectStore(STORES.admitted, { keyPath: ['event', 'ticket'] });
    };
    return new Memory(await done(request));
  }

  setting(name: 'keys' | 'guarding'): Promise<string | undefined> {
    return done(this.db.transaction(STORES.settings).objectStore(STORES.settings).get(name));
  }

  async set(name: 'keys' | 'guarding', value: string): Promise<void> {
    const transaction = this.db.transaction(STORES.settings, 'readwrite');
    transaction.objectStore(STORES.settings).put(value, name);
    await finished(transaction);
  }

  guarded(event: string): Promise<Guarded | undefined> {
    return done(this.db.transaction(STORES.events).objectStore(STORES.events).get(event));
  }

  async keep(guarded: Guarded): Promise<void> {
    const transaction = this.db.transaction(STORES.events, 'readwrite');
    transaction.objectStore(STORES.events).put(guarded);
    await finished(transaction);
  }

  /** Writes down that a ticket was let in. It is on the disk before anybody is told. */
  async admit(event: string, ticket: string): Promise<Entry> {
    const transaction = this.db.transaction(STORES.admitted, 'readwrite', { durability: 'strict' });
    const store = transaction.objectStore(STORES.admitted);
    const before = (await done(store.get([event, ticket]))) as { at: string } | undefined;
    if (before !== undefined) return { first: false, at: before.at };
    store.add({ event, ticket, at: new Date().toISOString() });
    await finished(transaction);
    return { first: true };
  }

  admitted(event: string): Promise<number> {
    const range = IDBKeyRange.bound([event], [event, []]);
    return done(this.db.transaction(STORES.admitted).objectStore(STORES.admitted).count(range));
  }
}
