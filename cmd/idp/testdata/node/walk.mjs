// A person whose browser runs no JavaScript: cookies, redirects and the sign-in
// form, and nothing else. The apps of this folder that have no pages of their own
// send them to the provider, and get back the address that they came to.

// person signs in as the job says. Each has cookies of their own.
export function person(job) {
  const jar = new Map()
  // go opens an address and follows where it leads, until that begins with home.
  return async function go(address, home) {
    let request = { url: new URL(address), method: 'GET' }
    for (let hop = 0; hop < 12; hop++) {
      if (request.url.href.startsWith(home)) return request.url
      const response = await fetch(request.url, {
        method: request.method, body: request.body, redirect: 'manual',
        headers: { cookie: [...jar].map(([k, v]) => `${k}=${v}`).join('; '), ...(request.body && { origin: request.url.origin }) },
      })
      for (const line of response.headers.getSetCookie()) keep(jar, line)
      const location = response.headers.get('location')
      request = location ? { url: new URL(location, request.url), method: 'GET' } : answer(job, await response.text(), request.url)
    }
    throw new Error('no way back to the app')
  }
}

// keep does with a cookie what its header says; one that is over goes.
function keep(jar, line) {
  const [pair, ...rest] = line.split(';').map((s) => s.trim())
  const at = pair.indexOf('=')
  const age = rest.find((s) => /^max-age=/i.test(s))
  if (age && Number(age.split('=')[1]) <= 0) jar.delete(pair.slice(0, at))
  else jar.set(pair.slice(0, at), pair.slice(at + 1))
}

// answer fills in the sign-in form of a page.
function answer(job, page, from) {
  const form = page.match(/<form[^>]*action="([^"]*\/login\/[^"]*)"[\s\S]*?<\/form>/)
  if (!form) throw new Error(`no sign-in form on ${from}: ${page.slice(0, 400)}`)
  const flow = form[0].match(/name="flow"\s+value="([^"]*)"/)[1]
  return {
    url: new URL(form[1], from), method: 'POST',
    body: new URLSearchParams({ flow, identifier: job.identifier, password: job.password }),
  }
}
