// The development OpenID provider: logs in whoever `login_hint` names, without showing a page.
//
// Authorisation code flow with PKCE by the certified npm `oidc-provider`; only the login is make-believe.
// Environment: CATRACA_LISTEN (host:port), CATRACA_PUBLIC_URL (whose /auth/callback is the one redirect
// URI), CATRACA_OIDC_CLIENT_SECRET, CATRACA_ISSUER_DATA (folder for the keys).
import { Provider, interactionPolicy } from "oidc-provider";
import { findAccount, subjectOf } from "./accounts.mjs";
import { loadKeys } from "./keys.mjs";
import { Store } from "./store.mjs";

const listen = required("CATRACA_LISTEN");
const publicUrl = required("CATRACA_PUBLIC_URL");
const { jwks, cookieKeys } = loadKeys(required("CATRACA_ISSUER_DATA"));
const [host, port] = listen.split(":");

const MINUTES = 60;
const provider = new Provider(`http://${listen}`, {
  adapter: Store,
  jwks,
  cookies: { keys: cookieKeys },
  clients: [
    {
      client_id: "catraca",
      client_secret: required("CATRACA_OIDC_CLIENT_SECRET"),
      redirect_uris: [`${publicUrl}/auth/callback`],
      grant_types: ["authorization_code"],
      response_types: ["code"],
      token_endpoint_auth_method: "client_secret_basic",
    },
  ],
  scopes: ["openid", "email", "profile"],
  claims: { openid: ["sub"], email: ["email", "email_verified"], profile: ["name", "roles"] },
  // The claims are in the ID token too, for applications that don't ask userinfo.
  conformIdTokenClaims: false,
  findAccount,
  loadExistingGrant: grantEverything,
  interactions: { policy: alwaysLogIn(), url: (_ctx, interaction) => `/login/${interaction.uid}` },
  features: { devInteractions: { enabled: false }, userinfo: { enabled: true } },
  pkce: { required: () => true },
  ttl: {
    AccessToken: 10 * MINUTES,
    AuthorizationCode: MINUTES,
    Grant: 10 * MINUTES,
    IdToken: 10 * MINUTES,
    Interaction: 10 * MINUTES,
    Session: 10 * MINUTES,
  },
  renderError: (ctx, out) => {
    ctx.type = "text/plain";
    ctx.body = `${out.error}: ${out.error_description ?? ""}\n`;
  },
});

function required(name) {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set`);
  return value;
}

/** One prompt only, and for every request: nobody stays logged in at the provider. */
function alwaysLogIn() {
  const { Check, Prompt } = interactionPolicy;
  const policy = interactionPolicy.base();
  policy.clear();
  const check = new Check("no_login_yet", "who are you?", (ctx) => !ctx.oidc.result?.login);
  policy.add(new Prompt({ name: "login", requestable: true }, check));
  return policy;
}

/** Stands in for the consent page. */
async function grantEverything(ctx) {
  const grant = new ctx.oidc.provider.Grant({
    clientId: ctx.oidc.client.clientId,
    accountId: ctx.oidc.session.accountId,
  });
  grant.addOIDCScope("openid email profile");
  await grant.save();
  return grant;
}

function loginPage(uid, complaint) {
  return `<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>Development login</title>
<style>body{font:1rem/1.5 system-ui;max-width:24rem;margin:4rem auto;padding:0 1rem}
input,button{font:inherit;padding:.5rem;width:100%;box-sizing:border-box;margin:.25rem 0}</style>
<h1>Development login</h1>
<form action="/login/${uid}">
<label>E-mail <input name="email" type="email" required autofocus autocomplete="email"></label>
<button>Log in</button></form>
<p>${complaint ?? "Any address will do; operator@example.com is an operator."}</p></html>`;
}

/** `/login/<uid>`: finishes at once when the address is known, else asks for it. */
async function logIn(ctx, next) {
  const uid = /^\/login\/([\w-]+)$/.exec(ctx.path)?.[1];
  if (uid === undefined) return next();
  let details;
  try {
    details = await provider.interactionDetails(ctx.req, ctx.res);
  } catch {
    ctx.status = 400;
    ctx.body = "This login has expired or was opened in another browser: start again.\n";
    return undefined;
  }
  const email = ctx.query.email ?? details.params.login_hint;
  const accountId = subjectOf(email);
  if (accountId === undefined) {
    ctx.type = "html";
    ctx.body = loginPage(uid, email && "That is not an e-mail address.");
    return undefined;
  }
  ctx.redirect(await provider.interactionResult(ctx.req, ctx.res, { login: { accountId } }));
  ctx.status = 303;
  return undefined;
}

/** Forgets who was here before: otherwise changing the account shows a logout page in between. */
async function startAfresh(ctx, next) {
  if (ctx.path === "/auth" || ctx.path.startsWith("/auth/")) {
    ctx.req.headers.cookie = (ctx.req.headers.cookie ?? "")
      .split(/;\s*/)
      .filter((cookie) => !cookie.startsWith("_session"))
      .join("; ");
  }
  return next();
}

provider.use(startAfresh);
provider.use(logIn);
provider.on("server_error", (_ctx, error) => console.error(error));

const server = provider.listen(Number(port), host, () => console.log(`issuer on http://${listen}`));
for (const signal of ["SIGTERM", "SIGINT"]) {
  process.on(signal, () => {
    server.close(() => process.exit(0));
    server.closeAllConnections();
  });
}
