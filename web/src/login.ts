// The way to log in: one button for each provider the core knows.
import { fields, list, text } from './decode';
import { loginAddress, make } from './dom';
import { get } from './http';
import { shop as words } from './text';

/** The only provider of a development stack, and the fall-back. */
const DEFAULT_PROVIDER = 'dev';

const names = (body: unknown): string[] =>
  list(fields(body).providers, (provider) => text(fields(provider).name));

async function providers(): Promise<string[]> {
  try {
    const known = await get('/auth/providers', names);
    return known.length > 0 ? known : [DEFAULT_PROVIDER];
  } catch {
    return [DEFAULT_PROVIDER];
  }
}

/** Links that log in and come back to this page. */
export async function loginLinks(): Promise<HTMLAnchorElement[]> {
  const known = await providers();
  return known.map((name) => make('a', { class: 'button primary', href: loginAddress(name) },
    known.length === 1 ? words.logIn : words.logInWith(name)));
}
