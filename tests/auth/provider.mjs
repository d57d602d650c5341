// A real OpenID provider for the sign-in tests: oidc-provider, five people, and a page that signs in whom one clicks.
// Arguments: a JSON file with {port, hub, secret, method, log}. It writes one line per request to `log`.
import fs from "node:fs";
import Provider from "oidc-provider";

const settings = JSON.parse(fs.readFileSync(process.argv[2], "utf-8"));
const issuer = `http://127.0.0.1:${settings.port}`;
const PEOPLE = {
  alice: { preferred_username: "alice", email: "alice@uni.example", email_verified: true, groups: ["/physics", "staff"] },
  bob: { preferred_username: "bob", email: "bob@uni.example", email_verified: false, groups: ["chemistry"] },
  nobody: { preferred_username: "nobody", email: "nobody@uni.example", email_verified: true, groups: [] },
  superuser: { preferred_username: "root", email: "root@uni.example", email_verified: true, groups: ["physics"] },
  nameless: { email: "nameless@uni.example", email_verified: true, groups: ["physics"] },
};
let broken = "";

const provider = new Provider(issuer, {
  clients: [{
    client_id: "simdeck",
    client_secret: settings.secret,
    redirect_uris: [`${settings.hub}/hub/oauth_callback`],
    post_logout_redirect_uris: [`${settings.hub}/hub/login`],
    token_endpoint_auth_method: settings.method,
  }],
  clientAuthMethods: [settings.method],
  cookies: { keys: ["only for tests"] },
  scopes: ["openid", "profile", "email", "groups"],
  claims: { openid: ["sub"], profile: ["preferred_username"], email: ["email", "email_verified"], groups: ["groups"] },
  pkce: { required: () => settings.pkce },
  features: { devInteractions: { enabled: false }, rpInitiatedLogout: { enabled: true } },
  interactions: { url: (ctx, interaction) => `/interaction/${interaction.uid}` },
  findAccount: (ctx, id) => PEOPLE[id] && { accountId: id, claims: () => ({ sub: `id-of-${id}`, ...PEOPLE[id] }) },
  // Everybody has agreed to everything.
  async loadExistingGrant(ctx) {
    const grant = new ctx.oidc.provider.Grant({ clientId: ctx.oidc.client.clientId, accountId: ctx.oidc.session.accountId });
    grant.addOIDCScope("openid profile email groups");
    await grant.save();
    return grant;
  },
});

provider.use(async (ctx, next) => {
  if (ctx.path.startsWith("/test/break/")) {
    broken = ctx.path.slice("/test/break/".length);
    ctx.body = "ok";
    return;
  }
  const query = ctx.path === "/auth" ? ` ${ctx.querystring}` : "";
  fs.appendFileSync(settings.log, `${ctx.method} ${ctx.path}${query}\n`);
  if (broken && ctx.path === `/${broken}`) {
    ctx.status = 500;
    ctx.body = { error: "server_error", access_token: "leaked-by-a-broken-provider" };
    return;
  }
  const interaction = ctx.path.match(/^\/interaction\/([^/]+)(?:\/as\/([a-z]+))?$/);
  if (!interaction) {
    await next();
    return;
  }
  const [, uid, name] = interaction;
  if (!name) {
    ctx.type = "html";
    ctx.body = `<title>Provider</title><h1>Who are you?</h1>${Object.keys(PEOPLE)
      .map((person) => `<p><a href="/interaction/${uid}/as/${person}">${person}</a></p>`).join("")}
      <p><a href="/interaction/${uid}/as/cancel">cancel</a></p>`;
    return;
  }
  const result = name === "cancel" ? { error: "access_denied" } : { login: { accountId: name } };
  ctx.respond = false;
  await provider.interactionFinished(ctx.req, ctx.res, result, { mergeWithLastSubmission: false });
});

provider.listen(settings.port, "127.0.0.1", () => console.log(`ready at ${issuer}`));
