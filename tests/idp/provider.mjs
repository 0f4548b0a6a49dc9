// The certified `oidc-provider`, with a login page that a script can fill in and a few levers for the stories.
//
// usage: node provider.mjs PORT STATE.json     (PORT 0: any free port; prints {"ready":true,"issuer":…} when it serves)
//
// STATE.json holds the signing keys and the accounts, so that a provider that was killed comes back as the same one.
// The levers, all POST, answer 204:
//   /levers/rotate            the old signing key is gone, a new one signs
//   /levers/accounts/NAME     the body (a JSON object) becomes NAME's claims
//   /levers/break             every other answer is 500 until /levers/mend
//   /levers/algorithm/ALG     the client's ID tokens are signed by ALG from now on (RS256, ES256, PS256, EdDSA)
import { createServer } from 'node:http';
import { generateKeyPairSync, randomUUID } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import Provider from 'oidc-provider';

const [port, statePath] = [Number(process.argv[2]), process.argv[3]];
const state = existsSync(statePath)
  ? JSON.parse(readFileSync(statePath, 'utf8'))
  : { keys: newKeys(), cookieKey: randomUUID(), accounts: {}, algorithm: 'RS256' };
const save = () => writeFileSync(statePath, JSON.stringify(state), { mode: 0o600 });
save();

let issuer;
let provider;
let broken = false;

const server = createServer((request, response) => answer(request, response).catch((error) => {
  response.statusCode = 500;
  response.end(String(error));
}));

server.listen(port, '127.0.0.1', () => {
  issuer = `http://127.0.0.1:${server.address().port}`;
  start();
  console.log(JSON.stringify({ ready: true, issuer }));
});

async function answer(request, response) {
  const { pathname } = new URL(request.url, issuer);
  if (request.method === 'POST' && pathname.startsWith('/levers/')) {
    return lever(pathname.split('/').slice(2), await body(request), response);
  }
  if (broken) {
    response.statusCode = 500;
    return response.end('out of order');
  }
  if (pathname.startsWith('/interaction/')) return interaction(request, response);
  return provider.callback()(request, response);
}

async function lever([name, argument], text, response) {
  if (name === 'rotate') state.keys = newKeys();
  if (name === 'accounts') state.accounts[argument] = JSON.parse(text);
  if (name === 'algorithm') state.algorithm = argument;
  if (name === 'break' || name === 'mend') broken = name === 'break';
  save();
  if (name === 'rotate' || name === 'algorithm') start();
  response.statusCode = 204;
  response.end();
}

// One form per prompt: `login` takes a NAME, `consent` a yes; either takes a `refuse`.
async function interaction(request, response) {
  const { prompt, params, session, grantId } = await provider.interactionDetails(request, response);
  if (request.method === 'GET') {
    response.setHeader('content-type', 'text/html');
    return response.end(`<form method="post" data-prompt="${prompt.name}"><button>${prompt.name}</button></form>`);
  }
  const form = new URLSearchParams(await body(request));
  if (form.has('refuse')) {
    const refused = { error: 'access_denied', error_description: 'the person refused' };
    return provider.interactionFinished(request, response, refused, { mergeWithLastSubmission: false });
  }
  if (prompt.name === 'login') {
    const accountId = form.get('login');
    const { amr, acr } = claimsOf(accountId);
    return provider.interactionFinished(request, response, { login: { accountId, amr, acr } });
  }
  const { missingOIDCScope, missingOIDCClaims } = prompt.details;
  const grant = grantId
    ? await provider.Grant.find(grantId)
    : new provider.Grant({ accountId: session.accountId, clientId: params.client_id });
  if (missingOIDCScope) grant.addOIDCScope(missingOIDCScope.join(' '));
  if (missingOIDCClaims) grant.addOIDCClaims(missingOIDCClaims);
  const consent = { grantId: await grant.save() };
  return provider.interactionFinished(request, response, { consent }, { mergeWithLastSubmission: true });
}

function start() {
  provider = new Provider(issuer, {
    jwks: { keys: state.keys },
    cookies: { keys: [state.cookieKey] },
    clients: [
      client('jit-ssh'),
      // Another application at the same provider: its tokens must open nothing here.
      client('another-app'),
    ],
    scopes: ['openid', 'offline_access', 'groups'],
    claims: { openid: ['sub', 'amr', 'acr', '_claim_names', 'repository', 'ref', 'event_name'], email: ['email', 'email_verified'], groups: ['groups'] },
    // Claims go into the ID token, as they do at the providers people have.
    conformIdTokenClaims: false,
    findAccount: (_context, id) => ({ accountId: id, claims: () => ({ sub: id, ...claimsOf(id) }) }),
    pkce: { required: () => true, methods: ['S256'] },
    features: { devInteractions: { enabled: false }, deviceFlow: { enabled: true }, rpInitiatedLogout: { enabled: false } },
    interactions: { url: (_context, { uid }) => `/interaction/${uid}` },
    acrValues: ['urn:example:mfa'],
    enabledJWA: { idTokenSigningAlgValues: ['RS256', 'PS256', 'ES256', 'EdDSA'] },
    ttl: { AccessToken: 300, AuthorizationCode: 60, DeviceCode: 300, Grant: 600, IdToken: 300, Interaction: 300, Session: 600 },
  });
  provider.on('server_error', (_context, error) => console.error(error));
}

function client(client_id) {
  return {
    client_id,
    application_type: 'native',
    token_endpoint_auth_method: 'none',
    id_token_signed_response_alg: state.algorithm,
    require_auth_time: true,
    grant_types: ['authorization_code', 'urn:ietf:params:oauth:grant-type:device_code'],
    response_types: ['code'],
    // RFC 8252: any port on loopback.
    redirect_uris: ['http://127.0.0.1/callback', 'http://127.0.0.1/'],
  };
}

function claimsOf(name) {
  return state.accounts[name] ?? { email: `${name}@example.com`, email_verified: true, groups: [] };
}

function newKeys() {
  const made = [
    ['RS256', generateKeyPairSync('rsa', { modulusLength: 2048 })],
    ['ES256', generateKeyPairSync('ec', { namedCurve: 'P-256' })],
    ['EdDSA', generateKeyPairSync('ed25519')],
  ];
  return made.map(([alg, { privateKey }]) => {
    const key = { ...privateKey.export({ format: 'jwk' }), kid: randomUUID(), use: 'sig' };
    return alg === 'RS256' ? key : { ...key, alg };
  });
}

async function body(request) {
  let text = '';
  for await (const chunk of request) text += chunk;
  return text;
}
