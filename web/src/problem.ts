// Errors as the API sends them (RFC 9457), and their words for a fan.
import { problem as words, problems } from './text';

/** The server said no, and why. */
export class Problem extends Error {
  constructor(
    readonly status: number,
    /** Last part of the problem's `type`, such as `seats_taken`. */
    readonly kind: string,
    readonly detail: string,
    readonly retryAfterMs: number | null = null,
    /** Of `hold_has_order`: which. */
    readonly order: string | null = null,
    /** Of `challenge_required`: what is to be solved. */
    readonly challenge: unknown = null,
  ) {
    super(`${status} ${kind}`);
  }

  /** Whether the same request may do better in a moment. */
  get passing(): boolean {
    return this.status === 429 || this.status === 502 || this.status === 503 || this.status === 504;
  }
}

/** The server did not answer at all. */
export class NetworkFailure extends Error {}

/** Reads an error answer; whatever its body is, there is a problem to show. */
export async function problemOf(response: Response): Promise<Problem> {
  let kind = '';
  let detail = '';
  let order: string | null = null;
  let challenge: unknown = null;
  try {
    const body: unknown = await response.json();
    if (typeof body === 'object' && body !== null) {
      if ('type' in body && typeof body.type === 'string') kind = body.type.split('/').pop() ?? '';
      if ('detail' in body && typeof body.detail === 'string') detail = body.detail;
      if ('order' in body && typeof body.order === 'string') order = body.order;
      if ('challenge' in body) challenge = body.challenge;
    }
  } catch {
    // No JSON: the status has to do.
  }
  const retryAfter = Number(response.headers.get('retry-after'));
  return new Problem(
    response.status, kind || kindOfStatus(response.status), detail,
    retryAfter > 0 ? retryAfter * 1000 : null, order, challenge,
  );
}

function kindOfStatus(status: number): string {
  if (status === 404) return 'not_found';
  if (status === 429) return 'too_many_requests';
  return status === 502 || status === 503 || status === 504 ? 'unavailable' : status >= 500 ? 'internal' : '';
}

/** What happened, in words for a fan. */
export function inWords(error: unknown): string {
  if (error instanceof NetworkFailure) return words.network;
  if (error instanceof Problem) return problems[error.kind] ?? (error.detail || words.other);
  return words.other;
}

/** Whether shopping is over and only the waiting room leads on. */
export function endsShopping(error: unknown): boolean {
  return error instanceof Problem
    && ['no_admission', 'invalid_admission', 'admission_spent', 'session_ended'].includes(error.kind);
}

/** Whether logging in leads on. */
export function wantsLogin(error: unknown): boolean {
  return error instanceof Problem && error.kind === 'not_logged_in';
}
