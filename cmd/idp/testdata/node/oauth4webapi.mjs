// A relying party on npm's oauth4webapi, which refuses what is not to the letter,
// and a person without JavaScript. Nothing is skipped: the signature of each ID
// token and of its JWKS key, iss of each answer, nonce, auth_time, content types. Requests are
// pushed (RFC 9126).
import assert from 'node:assert/strict'
import * as oauth from 'oauth4webapi'
import { person } from './walk.mjs'

const job = JSON.parse(process.argv[2])
const redirect = 'http://127.0.0.1:9/callback'
const bye = 'http://127.0.0.1:9/'
const loopback = { [oauth.allowInsecureRequests]: true } // the demo's issuer is http
const maxAge = 600 // makes auth_time due
const go = person(job)

const issuer = new URL(job.issuer)
const as = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, loopback))
const client = { client_id: job.client }
const basic = oauth.ClientSecretBasic(job.secret)

const push = async (request) => oauth.processPushedAuthorizationResponse(as, client,
  await oauth.pushedAuthorizationRequest(as, client, basic, request, loopback))

// attempt sends the person to sign in, and redeems what they come back with.
async function attempt(more) {
  const verifier = oauth.generateRandomCodeVerifier()
  const state = oauth.generateRandomState()
  const nonce = oauth.generateRandomNonce()
  const start = new URL(as.authorization_endpoint)
  const { request_uri } = await push({
    redirect_uri: redirect, response_type: 'code', scope: 'openid profile email offline_access',
    state, nonce, max_age: maxAge, code_challenge: await oauth.calculatePKCECodeChallenge(verifier),
    code_challenge_method: 'S256', ...more,
  })
  start.search = new URLSearchParams({ client_id: job.client, request_uri })
  const params = oauth.validateAuthResponse(as, client, await go(start, redirect), state)
  const response = await oauth.authorizationCodeGrantRequest(as, client, basic, params, redirect, verifier, loopback)
  const tokens = await oauth.processAuthorizationCodeResponse(as, client, response, {
    expectedNonce: nonce, maxAge, requireIdToken: true,
  })
  await oauth.validateApplicationLevelSignature(as, response, loopback)
  return { tokens, claims: oauth.getValidatedIdTokenClaims(tokens) }
}

async function refresh(token) {
  const response = await oauth.refreshTokenGrantRequest(as, client, basic, token, loopback)
  const tokens = await oauth.processRefreshTokenResponse(as, client, response)
  await oauth.validateApplicationLevelSignature(as, response, loopback)
  return { tokens, claims: oauth.getValidatedIdTokenClaims(tokens) }
}

const userinfo = async (token, sub) =>
  oauth.processUserInfoResponse(as, client, sub, await oauth.userInfoRequest(as, client, token, loopback))

const first = await attempt()
const info = await userinfo(first.tokens.access_token, first.claims.sub)
assert.equal(info.email, job.email)
assert.equal(info.email_verified, true)

const fresh = await refresh(first.tokens.refresh_token)
assert.notEqual(fresh.tokens.refresh_token, first.tokens.refresh_token)
for (const claim of ['iss', 'sub', 'aud', 'auth_time', 'sid']) { // OpenID Connect Core section 12.2
  assert.deepEqual(fresh.claims[claim], first.claims[claim], claim)
}
// The old token is refused in the words of RFC 6750 section 3, where the library reads them.
await assert.rejects(userinfo(first.tokens.access_token, first.claims.sub), (error) => {
  assert.equal(error.code, oauth.WWW_AUTHENTICATE_CHALLENGE)
  assert.deepEqual(error.cause.map((c) => [c.scheme, c.parameters.error]), [['bearer', 'invalid_token']])
  return true
})
await oauth.processRevocationResponse(
  await oauth.revocationRequest(as, client, basic, fresh.tokens.refresh_token, loopback))
await assert.rejects(refresh(fresh.tokens.refresh_token), { error: 'invalid_grant' })

const again = await attempt({ prompt: 'none' }) // revoking ends the app's tokens, not the session
const state = oauth.generateRandomState()
const end = new URL(as.end_session_endpoint)
end.search = new URLSearchParams({ id_token_hint: again.tokens.id_token, post_logout_redirect_uri: bye, state })
assert.equal((await go(end, bye)).href, `${bye}?state=${state}`)
await assert.rejects(attempt({ prompt: 'none' }), { error: 'login_required' })
await assert.rejects(refresh(again.tokens.refresh_token), { error: 'invalid_grant' })
console.log('signed in, refreshed, revoked and signed out')
