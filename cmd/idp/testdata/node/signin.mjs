// A relying party on npm's openid-client v6, and a person without JavaScript:
// discovery, code flow with PKCE, id_token, userinfo, refresh, revocation, signing
// out, and once more with the request pushed (RFC 9126).
import assert from 'node:assert/strict'
import * as oidc from 'openid-client'
import { person } from './walk.mjs'

const job = JSON.parse(process.argv[2])
const redirect = 'http://127.0.0.1:9/callback'
const bye = 'http://127.0.0.1:9/'
const go = person(job)

const config = await oidc.discovery(new URL(job.issuer), job.client, job.secret, undefined, {
  execute: [oidc.allowInsecureRequests], // the demo's issuer is http on loopback
})

// attempt sends the person to sign in, and redeems what they come back with.
async function attempt(more, build = oidc.buildAuthorizationUrl) {
  const pkceCodeVerifier = oidc.randomPKCECodeVerifier()
  const expectedState = oidc.randomState()
  const expectedNonce = oidc.randomNonce()
  const start = await build(config, {
    redirect_uri: redirect, scope: 'openid profile email offline_access', state: expectedState, nonce: expectedNonce,
    code_challenge: await oidc.calculatePKCECodeChallenge(pkceCodeVerifier), code_challenge_method: 'S256', ...more,
  })
  return oidc.authorizationCodeGrant(config, await go(start, redirect), {
    pkceCodeVerifier, expectedState, expectedNonce, idTokenExpected: true,
  })
}

const tokens = await attempt()
const { sub } = tokens.claims()
const info = await oidc.fetchUserInfo(config, tokens.access_token, sub)
assert.equal(info.email, job.email)
assert.equal(info.email_verified, true)

const fresh = await oidc.refreshTokenGrant(config, tokens.refresh_token)
assert.notEqual(fresh.refresh_token, tokens.refresh_token)
assert.equal(fresh.claims().sub, sub)
await oidc.tokenRevocation(config, fresh.refresh_token)
await assert.rejects(oidc.refreshTokenGrant(config, fresh.refresh_token), { error: 'invalid_grant' })

const again = await attempt({ prompt: 'none' }) // revoking ends the app's tokens, not the session
const state = oidc.randomState()
const end = oidc.buildEndSessionUrl(config, { id_token_hint: again.id_token, post_logout_redirect_uri: bye, state })
assert.equal((await go(end, bye)).href, `${bye}?state=${state}`)
await assert.rejects(attempt({ prompt: 'none' }), { error: 'login_required' })
await assert.rejects(oidc.refreshTokenGrant(config, again.refresh_token), { error: 'invalid_grant' })

let pushed
await attempt({}, async (...request) => (pushed = await oidc.buildAuthorizationUrlWithPAR(...request)))
assert.deepEqual([...pushed.searchParams.keys()].sort(), ['client_id', 'request_uri'])
await assert.rejects(go(pushed, redirect), /no sign-in form/) // it was for one sign-in
console.log('signed in, refreshed, revoked and signed out')
