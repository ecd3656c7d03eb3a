package main

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/emersion/go-message/mail"
	"github.com/emersion/go-smtp"
)

// mailbox is a mail server that delivers nothing onward: what the product mails
// is kept in a folder, shown on a page, and given to scripts at /messages.
type mailbox struct {
	dir  string
	url  string
	smtp net.Listener
	http net.Listener

	server *smtp.Server
	pages  *http.Server
	mux    *http.ServeMux
}

// message is one mail that arrived.
type message struct {
	From    string    `json:"from"`
	To      string    `json:"to"`
	Subject string    `json:"subject"`
	Text    string    `json:"text"`
	HTML    string    `json:"html"`
	At      time.Time `json:"at"`
}

func openMailbox(dir, addr string) (*mailbox, error) {
	m := &mailbox{dir: dir}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	var err error
	if m.smtp, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return nil, err
	}
	if m.http, err = net.Listen("tcp", addr); err != nil {
		return nil, errors.Join(err, m.smtp.Close())
	}
	m.url = "http://" + m.http.Addr().String()
	m.server = smtp.NewServer(m)
	m.server.Domain = "localhost"
	m.server.MaxMessageBytes = 1 << 20
	m.server.ReadTimeout, m.server.WriteTimeout = 10*time.Second, 10*time.Second
	m.server.ErrorLog = discard{}
	m.mux = http.NewServeMux()
	m.mux.HandleFunc("GET /{$}", m.page)
	m.mux.HandleFunc("GET /messages", m.messages)
	m.pages = &http.Server{Handler: m.mux, ReadHeaderTimeout: 10 * time.Second}
	return m, nil
}

func (m *mailbox) serve() {
	go func() { _ = m.server.Serve(m.smtp) }()
	_ = m.pages.Serve(m.http)
}

func (m *mailbox) close() {
	_ = m.server.Close()
	_ = m.pages.Close()
	_, _ = m.smtp.Close(), m.http.Close()
}

// discard is for what clients of the mail server do wrong.
type discard struct{}

func (discard) Printf(string, ...any) {}
func (discard) Println(...any)        {}

// NewSession takes anybody: only this machine can reach it.
func (m *mailbox) NewSession(*smtp.Conn) (smtp.Session, error) { return &delivery{box: m}, nil }

// delivery is one mail on its way in.
type delivery struct {
	box *mailbox
	to  string
}

func (d *delivery) Mail(string, *smtp.MailOptions) error      { return nil }
func (d *delivery) Rcpt(to string, _ *smtp.RcptOptions) error { d.to = to; return nil }
func (d *delivery) Reset()                                    { d.to = "" }
func (d *delivery) Logout() error                             { return nil }

// Data reads and keeps the mail.
func (d *delivery) Data(r io.Reader) error {
	in, err := mail.CreateReader(r)
	if err != nil {
		return err
	}
	msg := message{To: d.to, From: in.Header.Get("From"), At: time.Now()}
	if msg.Subject, err = in.Header.Subject(); err != nil {
		return err
	}
	for {
		part, err := in.NextPart()
		if errors.Is(err, io.EOF) {
			return d.box.keep(msg)
		}
		if err != nil {
			return err
		}
		body, err := io.ReadAll(part.Body)
		if err != nil {
			return err
		}
		text := strings.ReplaceAll(string(body), "\r\n", "\n")
		if strings.HasPrefix(part.Header.Get("Content-Type"), "text/html") {
			msg.HTML = text
			continue
		}
		msg.Text = text
	}
}

// keep writes the mail to a file that sorts by time. It appears whole, so that
// several demos may share a folder.
func (m *mailbox) keep(msg message) error {
	b, err := json.Marshal(msg)
	if err != nil {
		return err
	}
	name := filepath.Join(m.dir, fmt.Sprintf("%020d-%s", msg.At.UnixNano(), rand.Text()[:8]))
	if err := os.WriteFile(name+".tmp", b, 0o600); err != nil {
		return err
	}
	return os.Rename(name+".tmp", name+".json")
}

// all returns the mails, oldest first.
func (m *mailbox) all() ([]message, error) {
	names, err := filepath.Glob(filepath.Join(m.dir, "*.json"))
	if err != nil {
		return nil, err
	}
	slices.Sort(names)
	out := make([]message, len(names))
	for i, name := range names {
		b, err := os.ReadFile(name)
		if err == nil {
			err = json.Unmarshal(b, &out[i])
		}
		if err != nil {
			return nil, err
		}
	}
	return out, nil
}

func (m *mailbox) messages(w http.ResponseWriter, _ *http.Request) {
	all, err := m.all()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(all)
}

func (m *mailbox) page(w http.ResponseWriter, _ *http.Request) {
	all, err := m.all()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	slices.Reverse(all)
	showDemo(w, mailboxPage, all)
}
