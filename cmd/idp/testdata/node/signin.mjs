// A relying party on npm's openid-client v6, and a person without JavaScript:
// discovery, code flow with PKCE, id_token, userinfo, refresh, revocation.
import assert from 'node:assert/strict'
import * as oidc from 'openid-client'

const job = JSON.parse(process.argv[2])
const redirect = 'http://127.0.0.1:9/callback'

const config = await oidc.discovery(new URL(job.issuer), job.client, job.secret, undefined, {
  execute: [oidc.allowInsecureRequests], // the demo's issuer is http on loopback
})
const verifier = oidc.randomPKCECodeVerifier()
const state = oidc.randomState()
const nonce = oidc.randomNonce()
const start = oidc.buildAuthorizationUrl(config, {
  redirect_uri: redirect, scope: 'openid profile email offline_access', state, nonce,
  code_challenge: await oidc.calculatePKCECodeChallenge(verifier), code_challenge_method: 'S256',
})

const callback = await signIn(start)
const tokens = await oidc.authorizationCodeGrant(config, callback, {
  pkceCodeVerifier: verifier, expectedState: state, expectedNonce: nonce, idTokenExpected: true,
})
const { sub } = tokens.claims()
const info = await oidc.fetchUserInfo(config, tokens.access_token, sub)
assert.equal(info.email, job.email)
assert.equal(info.email_verified, true)

const fresh = await oidc.refreshTokenGrant(config, tokens.refresh_token)
assert.notEqual(fresh.refresh_token, tokens.refresh_token)
assert.equal(fresh.claims().sub, sub)
await oidc.tokenRevocation(config, fresh.refresh_token)
await assert.rejects(oidc.refreshTokenGrant(config, fresh.refresh_token), { error: 'invalid_grant' })
console.log('signed in, refreshed and revoked')

// signIn walks the pages as a browser without scripts does.
async function signIn(url) {
  const jar = new Map()
  let request = { url: new URL(url), method: 'GET' }
  for (let hop = 0; hop < 12; hop++) {
    if (request.url.href.startsWith(redirect)) return request.url
    const response = await fetch(request.url, {
      method: request.method, body: request.body, redirect: 'manual',
      headers: { cookie: [...jar].map(([k, v]) => `${k}=${v}`).join('; '), ...(request.body && { origin: request.url.origin }) },
    })
    for (const line of response.headers.getSetCookie()) {
      const [pair] = line.split(';')
      jar.set(pair.slice(0, pair.indexOf('=')), pair.slice(pair.indexOf('=') + 1))
    }
    const location = response.headers.get('location')
    if (location) {
      request = { url: new URL(location, request.url), method: 'GET' }
      continue
    }
    request = answer(await response.text(), request.url)
  }
  throw new Error('no way back to the app')
}

// answer fills in the sign-in form of a page.
function answer(page, from) {
  const form = page.match(/<form[^>]*action="([^"]*\/login\/[^"]*)"[\s\S]*?<\/form>/)
  if (!form) throw new Error(`no sign-in form on ${from}: ${page.slice(0, 400)}`)
  const flow = form[0].match(/name="flow"\s+value="([^"]*)"/)[1]
  return {
    url: new URL(form[1], from), method: 'POST',
    body: new URLSearchParams({ flow, identifier: job.identifier, password: job.password }),
  }
}
