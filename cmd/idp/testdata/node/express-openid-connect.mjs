// An app on npm's express-openid-connect that pushes its requests (RFC 9126), with
// sessions in a cookie and a store for what the provider tells it of logouts.
import express from 'express'
import oidc from 'express-openid-connect'
import session from 'express-session'
import { baseURL, job, refreshed, serve, stale } from './app.mjs'

const app = express()
let last // the refresh token that was held last
let told = 0 // logout tokens that were taken

app.post('/backchannel-logout', (req, res, next) => {
  res.on('finish', () => { told += res.statusCode === 204 })
  next()
})
app.get('/told', (req, res) => res.type('text').send(`told ${told}`))

app.use(oidc.auth({
  issuerBaseURL: job.issuer, baseURL, clientID: job.client, clientSecret: job.secret,
  secret: 'the key of the cookies, of this test',
  authorizationParams: { response_type: 'code', scope: 'openid profile email offline_access' },
  authRequired: false, idpLogout: true, pushedAuthorizationRequests: true,
  backchannelLogout: { store: new session.MemoryStore() },
  enableTelemetry: false,
}))
app.get('/', async (req, res) => {
  res.type('text').send(req.oidc.isAuthenticated() ? `signed in as ${(await req.oidc.fetchUserInfo()).email}` : 'signed out')
})
app.get('/refresh', async (req, res) => {
  const before = req.oidc.accessToken.access_token
  const { access_token } = await req.oidc.accessToken.refresh()
  last = req.oidc.refreshToken
  res.type('text').send(await refreshed(before, access_token))
})
app.get('/quiet', (req, res) => res.oidc.login({ authorizationParams: { prompt: 'none' } }))
stale(app, () => last)
serve(app)
