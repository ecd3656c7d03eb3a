// An app on npm's passport-openidconnect, with sessions in memory. The strategy
// knows neither PKCE nor refresh nor logout: its users do the last two by hand.
import express from 'express'
import session from 'express-session'
import passport from 'passport'
import OpenIDConnectStrategy from 'passport-openidconnect'
import { baseURL, grant, job, refreshed, serve, stale } from './app.mjs'

const metadata = await fetch(`${job.issuer}/.well-known/openid-configuration`).then((r) => r.json())
const app = express()
let last // the refresh token that was held last

passport.use(new OpenIDConnectStrategy({
  issuer: metadata.issuer, authorizationURL: metadata.authorization_endpoint,
  tokenURL: metadata.token_endpoint, userInfoURL: metadata.userinfo_endpoint,
  clientID: job.client, clientSecret: job.secret, callbackURL: `${baseURL}/callback`,
  scope: ['profile', 'email', 'offline_access'], nonce: true, skipUserProfile: false,
}, (issuer, profile, context, idToken, accessToken, refreshToken, done) =>
  done(null, { email: profile.emails[0].value, idToken, accessToken, refreshToken })))
passport.serializeUser((user, done) => done(null, user))
passport.deserializeUser((user, done) => done(null, user))

app.use(session({ secret: 'the key of the cookies, of this test', resave: false, saveUninitialized: false }))
app.use(passport.session())
app.get('/', (req, res) => res.type('text').send(req.user ? `signed in as ${req.user.email}` : 'signed out'))
app.get('/login', passport.authenticate('openidconnect'))
app.get('/quiet', passport.authenticate('openidconnect', { prompt: 'none' }))
app.get('/callback', passport.authenticate('openidconnect', { successRedirect: '/', failWithError: true }))
app.get('/refresh', async (req, res) => {
  const { access_token, refresh_token } = await grant(req.user.refreshToken)
  last = refresh_token
  res.type('text').send(await refreshed(req.user.accessToken, access_token))
})
app.get('/logout', (req, res, next) => {
  const end = new URL(metadata.end_session_endpoint)
  end.search = new URLSearchParams({ id_token_hint: req.user.idToken, post_logout_redirect_uri: baseURL })
  req.logout((error) => (error ? next(error) : res.redirect(end)))
})
stale(app, () => last)
serve(app)
