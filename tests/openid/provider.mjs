// An OpenID provider of its own for the tests: oidc-provider, with the pages to sign in that it comes with.
//
// Whoever types a login is that person. Prints its issuer, then does what lines of JSON on stdin say and
// answers each with a line: {"redirect_uri": ...} for the one client, {"new_keys": true} for other keys,
// {"claims": {login: {...}}} for what is told of people, {"in_id_token": true} to tell it there.
import { generateKeyPairSync, randomUUID } from "node:crypto";
import { createServer } from "node:http";
import { createInterface } from "node:readline";
import Provider from "oidc-provider";

const [clientId, clientSecret] = process.argv.slice(2);
const said = { redirect_uri: "http://127.0.0.1/", claims: {}, in_id_token: false };
let handle;
let keys = newKeys();

function newKeys() {
  const { privateKey } = generateKeyPairSync("rsa", { modulusLength: 2048 });
  return { keys: [{ ...privateKey.export({ format: "jwk" }), kid: randomUUID(), use: "sig" }] };
}

function begin(issuer) {
  const provider = new Provider(issuer, {
    clients: [{ client_id: clientId, client_secret: clientSecret, redirect_uris: [said.redirect_uri] }],
    jwks: keys,
    claims: { profile: ["preferred_username"], email: ["email", "email_verified"] },
    conformIdTokenClaims: !said.in_id_token,
    pkce: { required: () => true },
    cookies: { keys: [randomUUID()] },
    ttl: { AccessToken: 60, AuthorizationCode: 60, Grant: 600, IdToken: 600, Interaction: 600, Session: 600 },
    findAccount: (_context, login) => ({
      accountId: login,
      claims: () => ({ sub: login, preferred_username: login, ...said.claims[login] }),
    }),
  });
  handle = provider.callback();
}

const server = createServer((request, response) => handle(request, response));
server.listen(0, "127.0.0.1", () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  begin(issuer);
  console.log(`issuer ${issuer}`);
  const lines = createInterface({ input: process.stdin });
  lines.on("line", (line) => {
    const { new_keys, ...changed } = JSON.parse(line);
    Object.assign(said, changed);
    if (new_keys) keys = newKeys();
    begin(issuer);
    console.log("done");
  });
  // Whoever started it has ended.
  lines.on("close", () => process.exit());
});
