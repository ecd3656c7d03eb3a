package main

import (
	"encoding/base32"
	"net/http"
	"time"

	"github.com/medximity/idp/flows/account"
)

var phonePage = demoPage("phone", `{{define "title"}}Phone{{end}}
<h1>A phone of the demo</h1>
<p>What the authenticator app of each person shows now. <a href="/phone">Look again</a></p>
{{range .}}<article><h2>Medximity: {{.Username}}</h2>
<p><strong id="{{.Username}}">{{.Code}}</strong>, for {{.Left}} seconds</p></article>
{{end}}`)

// phone shows the codes of people who have an authenticator from the start. It
// tells the time by the demo's clock, as a phone tells it by the network's.
func (m *mailbox) phone(now func() time.Time, people []seededPerson) {
	m.mux.HandleFunc("GET /phone", func(w http.ResponseWriter, _ *http.Request) {
		type app struct {
			Username, Code string
			Left           int
		}
		var all []app
		at := now()
		for _, p := range people {
			key, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(p.TOTP)
			if p.TOTP != "" && err == nil {
				all = append(all, app{p.Username, account.ShowCode(key, at), 30 - at.Second()%30})
			}
		}
		showDemo(w, phonePage, all)
	})
}
