// What the Express apps of this folder share.
import express from 'express'

export const job = JSON.parse(process.argv[2])
export const baseURL = `http://${job.at}`
const metadata = () => fetch(`${job.issuer}/.well-known/openid-configuration`).then((r) => r.json())

// serve runs an app until it is told to stop, and says so in one line.
export function serve(app) {
  app.use((error, req, res, next) => res.status(500).type('text').send(`${error.error ?? error.code ?? ''} ${error.message}`))
  const [host, port] = job.at.split(':')
  app.listen(Number(port), host, () => console.log('listening'))
  process.on('SIGTERM', () => process.exit(0))
}

// userinfo is the status that an access token gives.
export async function userinfo(token) {
  const { userinfo_endpoint } = await metadata()
  const response = await fetch(userinfo_endpoint, { headers: { authorization: `Bearer ${token}` } })
  return response.status
}

// grant redeems a refresh token without a library (RFC 6749 section 6).
export async function grant(refresh_token) {
  const { token_endpoint } = await metadata()
  const response = await fetch(token_endpoint, {
    method: 'POST', body: new URLSearchParams({
      grant_type: 'refresh_token', refresh_token, client_id: job.client, client_secret: job.secret,
    }),
  })
  return response.json()
}

// refreshed says what became of the old access token and of the new one.
export async function refreshed(before, after) {
  return `refreshed: userinfo is ${await userinfo(before)} with the old token, ${await userinfo(after)} with the new one`
}

// stale adds the page that tries a refresh token once more.
export function stale(app, held) {
  app.get('/stale', async (req, res) => res.type('text').send(JSON.stringify(await grant(held()))))
}
