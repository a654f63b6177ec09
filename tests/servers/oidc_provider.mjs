// The certified OpenID provider (npm oidc-provider) as authorization server, and beside it a small
// resource that takes only tokens bound to a key, checked with the provider's own library (jose).
//
// - it listens on loopback only, on a port that the kernel picks, and says which
//   (`testbed: listening on <port>`);
// - it ends when its standard input closes, so it cannot outlive the test's process.
//
// Paths of its own: GET /testbed/stats counts the grants by outcome; POST /bound/mcp is the resource.
import crypto from "node:crypto";
import http from "node:http";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [entry] = process.argv.slice(2);
const { default: Provider } = await import(pathToFileURL(entry));
const jose = await import(pathToFileURL(createRequire(entry).resolve("jose")));

const secret = Buffer.from(process.env.TESTBED_JWT_SECRET);
const lifetime = Number(process.env.TESTBED_TOKEN_SECONDS ?? 3600);
const clients = JSON.parse(process.env.TESTBED_CLIENTS ?? "[]");

const stats = { success: {}, error: {}, registered: 0, revoked: 0 };
const count = (kind, name) => (stats[kind][name] = (stats[kind][name] ?? 0) + 1);

let answer;
const ready = new Promise((resolve) => (answer = resolve));
const server = http.createServer(async (request, response) => (await ready)(request, response));
await new Promise((resolve) => server.listen(0, "127.0.0.1", resolve));
const issuer = `http://127.0.0.1:${server.address().port}`;
const bound = `${issuer}/bound/mcp`;

const provider = new Provider(issuer, {
  clients,
  cookies: { keys: [crypto.randomBytes(16).toString("hex")] },
  scopes: ["openid", "offline_access", "tools:read", "tools:write"],
  responseTypes: ["code"],
  rotateRefreshToken: true,
  issueRefreshToken: async (_ctx, client, code) =>
    client.grantTypeAllowed("refresh_token") && code.scopes.has("offline_access"),
  ttl: { AccessToken: lifetime, ClientCredentials: lifetime },
  clientAuthMethods: ["client_secret_basic", "client_secret_post", "private_key_jwt", "none"],
  enabledJWA: {
    clientAuthSigningAlgValues: ["ES256", "RS256", "Ed25519", "EdDSA"],
    dPoPSigningAlgValues: ["ES256"],
  },
  features: {
    devInteractions: { enabled: true },
    clientCredentials: { enabled: true },
    deviceFlow: { enabled: true },
    registration: { enabled: true },
    revocation: { enabled: true },
    dPoP: {
      enabled: true,
      nonceSecret: crypto.randomBytes(32),
      requireNonce: () => process.env.TESTBED_DPOP_NONCE === "1",
    },
    resourceIndicators: {
      enabled: true,
      useGrantedResource: () => true,
      getResourceServerInfo: (_ctx, resource) => ({
        scope: "tools:read tools:write",
        audience: resource,
        accessTokenTTL: lifetime,
        accessTokenFormat: "jwt",
        jwt: { sign: { alg: "HS256", key: secret } },
      }),
    },
  },
});
provider.on("grant.success", (ctx) => count("success", ctx.oidc.params.grant_type));
provider.on("grant.error", (ctx, error) =>
  count("error", `${ctx.oidc?.params?.grant_type} ${error.error}`),
);
provider.on("registration_create.success", () => (stats.registered += 1));
provider.on("grant.revoked", () => (stats.revoked += 1));

let nonce = crypto.randomUUID();
const used = new Set();

// RFC 9449, sections 4.3, 7 and 9, with the library of other people.
async function checkBound(request) {
  const [scheme, token] = (request.headers.authorization ?? "").split(" ");
  if (!token) return `DPoP resource_metadata="${issuer}/.well-known/oauth-protected-resource/bound/mcp"`;
  if (scheme !== "DPoP") return 'DPoP error="invalid_token"';
  const proof = request.headers.dpop;
  try {
    const { payload, protectedHeader } = await jose.jwtVerify(proof, jose.EmbeddedJWK, {
      typ: "dpop+jwt",
      algorithms: ["ES256"],
    });
    if (payload.nonce !== nonce) return 'DPoP error="use_dpop_nonce"';
    const digest = crypto.createHash("sha256").update(token).digest("base64url");
    const fits =
      payload.htm === request.method &&
      payload.htu === bound &&
      payload.ath === digest &&
      Math.abs(Date.now() / 1000 - payload.iat) < 60 &&
      !used.has(payload.jti) &&
      !("d" in protectedHeader.jwk);
    if (!fits) return 'DPoP error="invalid_dpop_proof"';
    used.add(payload.jti);
    const { payload: claims } = await jose.jwtVerify(token, secret, { issuer, audience: bound });
    const thumbprint = await jose.calculateJwkThumbprint(protectedHeader.jwk);
    if (claims.cnf?.jkt !== thumbprint) return 'DPoP error="invalid_token"';
    return null;
  } catch (error) {
    return `DPoP error="invalid_dpop_proof", error_description="${error.code}"`;
  }
}

const json = (response, status, value, headers = {}) =>
  response.writeHead(status, { "content-type": "application/json", ...headers }).end(JSON.stringify(value));

const oidc = provider.callback();
answer(async (request, response) => {
  const path = request.url.split("?")[0];
  if (path === "/testbed/stats") return json(response, 200, stats);
  if (path === "/.well-known/oauth-protected-resource/bound/mcp") {
    return json(response, 200, {
      resource: bound,
      authorization_servers: [issuer],
      scopes_supported: ["tools:read"],
      dpop_bound_access_tokens_required: true,
    });
  }
  if (path !== "/bound/mcp") return oidc(request, response);
  const challenge = await checkBound(request);
  request.resume();
  if (challenge) return json(response, 401, {}, { "www-authenticate": challenge, "dpop-nonce": nonce });
  // A nonce is good for one answer; the next comes with it.
  nonce = crypto.randomUUID();
  json(response, 200, { ok: true }, { "dpop-nonce": nonce });
});
console.error(`testbed: listening on ${server.address().port}`);

process.stdin.on("end", () => process.exit(0));
process.stdin.on("error", () => process.exit(0));
process.stdin.resume();
