// Reading JSON at the border: what does not have the expected shape is refused here and nowhere else.

export class Malformed extends Error {}

export type Fields = Readonly<Record<string, unknown>>;

export function fields(value: unknown): Fields {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Fields;
  throw new Malformed('expected an object');
}

export function list<T>(value: unknown, item: (value: unknown) => T): T[] {
  if (!Array.isArray(value)) throw new Malformed('expected a list');
  return value.map(item);
}

export function text(value: unknown): string {
  if (typeof value === 'string') return value;
  throw new Malformed('expected text');
}

export function number(value: unknown): number {
  if (typeof value === 'number' && Number.isFinite(value)) return value;
  throw new Malformed('expected a number');
}

/** Null and absent are the same. */
export function maybe<T>(value: unknown, decode: (value: unknown) => T): T | null {
  return value === undefined || value === null ? null : decode(value);
}

export function oneOf<T extends string>(value: unknown, names: readonly T[]): T {
  const name = names.find((candidate) => candidate === value);
  if (name === undefined) throw new Malformed(`unexpected ${String(value)}`);
  return name;
}
