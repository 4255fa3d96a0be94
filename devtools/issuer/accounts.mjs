// Everyone exists: an account is nothing but an e-mail address, and its `sub` is made from it.

const ROLES = new Map([["operator@example.com", ["operator"]], ["door@example.com", ["door"]]]);
const EMAIL = /^[^\s@<>"]{1,64}@[^\s@<>"]{1,120}$/;

/** The `sub` of an address, or undefined when it isn't one. */
export function subjectOf(email) {
  const address = String(email ?? "").trim().toLowerCase();
  return EMAIL.test(address) ? Buffer.from(address).toString("base64url") : undefined;
}

/** oidc-provider's `findAccount`. */
export function findAccount(_ctx, subject) {
  const email = Buffer.from(subject, "base64url").toString();
  if (subjectOf(email) !== subject) return undefined;
  return {
    accountId: subject,
    claims: () => ({
      sub: subject,
      email,
      email_verified: true,
      name: nameFrom(email),
      roles: ROLES.get(email) ?? [],
    }),
  };
}

/** `ana.souza@example.com` is Ana Souza. */
function nameFrom(email) {
  return email
    .split("@")[0]
    .split(/[._+-]+/)
    .filter(Boolean)
    .map((word) => word[0].toUpperCase() + word.slice(1))
    .join(" ");
}
