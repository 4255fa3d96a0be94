// What the provider remembers (sessions, codes, tokens): in memory, bounded, gone after a restart.

const ENTRIES_MAX = 50_000;
const entries = new Map();

function live(key) {
  const entry = entries.get(key);
  if (entry === undefined) return undefined;
  if (entry.expiresAt > Date.now()) return entry.payload;
  entries.delete(key);
  return undefined;
}

/** oidc-provider's adapter interface; one instance per kind of record. */
export class Store {
  constructor(kind) {
    this.kind = kind;
  }

  key(id) {
    return `${this.kind}:${id}`;
  }

  async upsert(id, payload, expiresIn) {
    const key = this.key(id);
    entries.delete(key); // so that the map stays ordered by age
    entries.set(key, { payload, expiresAt: Date.now() + (expiresIn ?? 3600) * 1000 });
    if (payload.uid) {
      const uidKey = `${this.kind}.uid:${payload.uid}`;
      entries.delete(uidKey);
      entries.set(uidKey, { payload: id, expiresAt: Date.now() + (expiresIn ?? 3600) * 1000 });
    }
    for (const oldest of entries.keys()) {
      if (entries.size <= ENTRIES_MAX) break;
      entries.delete(oldest);
    }
  }

  async find(id) {
    return live(this.key(id));
  }

  async findByUid(uid) {
    const id = live(`${this.kind}.uid:${uid}`);
    return id === undefined ? undefined : this.find(id);
  }

  async findByUserCode() {
    return undefined; // no device flow here
  }

  async consume(id) {
    const payload = live(this.key(id));
    if (payload) payload.consumed = Math.floor(Date.now() / 1000);
  }

  async destroy(id) {
    entries.delete(this.key(id));
  }

  async revokeByGrantId(grantId) {
    for (const [key, entry] of entries) {
      if (entry.payload?.grantId === grantId) entries.delete(key);
    }
  }
}
