package main

import (
	"html/template"
	"net/http"
	"regexp"
	"strings"
)

// The pages of the demo's mailbox and apps. They are not the product's: its own
// are in templates.

const demoHead = `<!doctype html><html lang="en"><head><meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1"><title>{{template "title" .}}</title>
<style>
body { font: 16px/1.5 system-ui, sans-serif; margin: 0 auto; max-width: 44rem; padding: 1.5rem; color: #1b2a31; background: #f4f7f8 }
article, main { background: #fff; border: 1px solid #d5dee2; border-radius: .75rem; padding: 1rem 1.25rem; margin: 1rem 0 }
h1 { font-size: 1.4rem } h2 { font-size: 1.05rem; margin: 0 } a { color: #0b6a70 }
pre { white-space: pre-wrap; overflow-wrap: anywhere; font: inherit } .meta { color: #51616b; margin: 0 }
dt { font-weight: 600 } dd { margin: 0 0 .5rem; overflow-wrap: anywhere }
.button { display: inline-block; background: #0b6a70; color: #fff; padding: .6rem 1.2rem; border-radius: .5rem; text-decoration: none }
</style></head><body>`

func demoPage(name, body string) *template.Template {
	return template.Must(template.New(name).Funcs(template.FuncMap{"pieces": pieces}).Parse(demoHead + body + `</body></html>`))
}

var mailboxPage = demoPage("mailbox", `{{define "title"}}Mailbox{{end}}
<h1>Mailbox of the demo</h1>
<p>All that the demo mailed, the newest first. <a href="/">Look again</a></p>
{{range .}}<article><h2>{{.Subject}}</h2>
<p class="meta">To {{.To}}, {{.At.Format "15:04:05"}}</p>
<pre>{{range pieces .Text}}{{if .Link}}<a href="{{.Text}}">{{.Text}}</a>{{else}}{{.Text}}{{end}}{{end}}</pre></article>
{{else}}<p>Nothing yet.</p>{{end}}`)

var appPage = demoPage("app", `{{define "title"}}{{.Name}}{{end}}
<h1>{{.Name}}</h1>
<main>{{if .Problem}}<p role="alert">{{.Problem}}</p>{{end}}
{{if .Claims}}<p>Signed in. This is what the app was told:</p>
<dl>{{range .Claims}}<dt>{{.Name}}</dt><dd>{{.Value}}</dd>{{end}}</dl>
<p><a href="{{.Base}}/signout">Sign out of {{.Name}}</a></p>
<p><a href="{{.Issuer}}/logout">Sign out of Medximity ID</a></p>
{{else}}<p>An app of the demo. It knows nobody, and asks Medximity ID.</p>
<p><a class="button" href="{{.Base}}/signin">Sign in</a></p>{{end}}
{{range .Others}}<p><a href="{{.Value}}">{{.Name}}, another app</a></p>{{end}}</main>`)

// piece is a part of a mail's text: a link or not.
type piece struct {
	Text string
	Link bool
}

var links = regexp.MustCompile(`https?://\S+`)

// pieces finds the links in a text.
func pieces(text string) []piece {
	var out []piece
	for {
		at := links.FindStringIndex(text)
		if at == nil {
			return append(out, piece{Text: text})
		}
		link := strings.TrimRight(text[at[0]:at[1]], ".,)")
		out = append(out, piece{Text: text[:at[0]]}, piece{Text: link, Link: true})
		text = text[at[0]+len(link):]
	}
}

func showDemo(w http.ResponseWriter, page *template.Template, data any) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	// Mails of the demo hold live links; none of them may leak by Referer.
	w.Header().Set("Referrer-Policy", "no-referrer")
	_ = page.Execute(w, data)
}
