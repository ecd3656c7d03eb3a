package main

import (
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-smtp"

	"github.com/medximity/idp/provider/store/storetest"
)

// postOffice is a mail server that does what the test says.
type postOffice struct {
	port int
	box  mailbox

	mu    sync.Mutex
	fault error         // of each recipient
	hang  chan struct{} // says nothing until it is closed
	mute  chan struct{} // says nothing to a mail, either, but has it
	tries int
}

func openPostOffice(t *testing.T) *postOffice {
	t.Helper()
	o := &postOffice{box: mailbox{dir: t.TempDir()}}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	o.port = l.Addr().(*net.TCPAddr).Port
	s := smtp.NewServer(o)
	s.Domain = "mail.example"
	s.ErrorLog = discard{}
	go func() { _ = s.Serve(l) }()
	t.Cleanup(func() { o.does(nil, false); _ = s.Close() })
	return o
}

// does says what happens from now on; whoever hangs goes on.
func (o *postOffice) does(fault error, hang bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, waits := range []*chan struct{}{&o.hang, &o.mute} {
		if *waits != nil {
			close(*waits)
			*waits = nil
		}
	}
	o.fault = fault
	if hang {
		o.hang = make(chan struct{})
	}
}

// keepsSilent has it take mails without saying so.
func (o *postOffice) keepsSilent() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.mute = make(chan struct{})
}

// NewSession is asked once a connection.
func (o *postOffice) NewSession(c *smtp.Conn) (smtp.Session, error) {
	o.mu.Lock()
	o.tries++
	fault, hang, mute := o.fault, o.hang, o.mute
	o.mu.Unlock()
	if hang != nil {
		<-hang
		_ = c.Conn().Close()
		return nil, errors.New("it hung")
	}
	return &letter{delivery{box: &o.box}, fault, mute}, nil
}

// letter is a mail on its way into the post office.
type letter struct {
	delivery
	fault error
	mute  chan struct{}
}

func (l *letter) Rcpt(to string, _ *smtp.RcptOptions) error { l.to = to; return l.fault }

func (l *letter) Data(r io.Reader) error {
	err := l.delivery.Data(r)
	if l.mute != nil {
		<-l.mute
	}
	return err
}

func (o *postOffice) tried() int {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.tries
}

// links are the mails with a link that arrived, oldest first.
func (o *postOffice) links(t *testing.T) (out []received) {
	t.Helper()
	all, err := o.box.all()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range all {
		if strings.Contains(m.Text, "/reset-password?token=") {
			out = append(out, received{m.To, m.Subject, m.Text, m.HTML})
		}
	}
	return out
}

// served is a server with one person, who has no password yet, and its post
// office.
func served(t *testing.T) (*demo, *postOffice, string) {
	t.Helper()
	o := openPostOffice(t)
	config := configFile(t, storetest.Empty(t, "sqlite").URL, o.port)
	must(t, "migrate", "--config", config)
	must(t, "account", "add", "--config", config, "--email", "grace@riverside.example", "--username", "grace")
	return startServe(t, config), o, config
}

// forgets goes through "Forgot Password?", which must not wait for a mail.
func forgets(t *testing.T, d *demo) {
	t.Helper()
	p := newPerson(t)
	p.visit(d.Issuer + "/forgot-password")
	start := time.Now()
	p.press("Send Reset Link", map[string]string{"email": "grace@riverside.example"})
	p.sees("Check your email")
	if took := time.Since(start); took > answersWithin {
		t.Errorf("the page waited %s for the mail", took)
	}
}

// settled waits until no mail waits any more.
func settled(d *demo) {
	d.t.Helper()
	eventually(d.t, "no mail waits", func() bool { return d.metric(`medximity_idp_mail_queue_jobs{state="queued"}`) == 0 })
}

const deadMails = `medximity_idp_mail_queue_jobs{state="dead"}`

// Two links are asked for while the mail server is ill. What arrives is the
// newest, once: the older one opens nothing, and would only mislead.
func TestFaultAMailServerRecovers(t *testing.T) {
	for _, tt := range []struct {
		name  string
		fault error
		hang  bool
	}{
		{"after it hung", nil, true},
		{"after it was busy", &smtp.SMTPError{Code: 451, EnhancedCode: smtp.EnhancedCode{4, 3, 0}, Message: "later"}, false},
		{"after it knew us not", &smtp.SMTPError{Code: 554, EnhancedCode: smtp.EnhancedCode{5, 7, 1}, Message: "relaying denied"}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d, o, _ := served(t)
			o.does(tt.fault, tt.hang)
			forgets(t, d)
			eventually(t, "one tried", func() bool { return o.tried() >= 1 })
			forgets(t, d)
			eventually(t, "another tried", func() bool { return o.tried() >= 2 })
			if n := d.metric(deadMails); n != 0 || len(o.links(t)) != 0 {
				t.Errorf("%v mails given up, %d arrived", n, len(o.links(t)))
			}

			o.does(nil, false)
			settled(d)
			mails := o.links(t)
			if len(mails) != 1 {
				t.Fatalf("%d mails arrived", len(mails))
			}
			link := strings.TrimPrefix(linkIn(t, mails[0], "/reset-password?token="), "http://127.0.0.1")
			p := newPerson(t)
			p.visit(d.Issuer + link)
			savePassword(p, newPassword)
			p.signIn("grace", newPassword)
			p.sees("grace")
		})
	}
}

func TestFaultAnAddressThatNobodyHasIsADeadLetter(t *testing.T) {
	d, o, config := served(t)
	o.does(&smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such user grace@riverside.example"}, false)
	forgets(t, d)
	eventually(t, "a dead letter", func() bool { return d.metric(deadMails) == 1 })
	if n := o.tried(); n != 1 {
		t.Errorf("it was tried %d times", n)
	}
	out, err := idp(t, "doctor", "--config", config)
	if err == nil || !strings.Contains(out, "ILL  mails") || !strings.Contains(out, "1 could not be delivered") {
		t.Errorf("doctor: %v\n%s", err, out)
	}
	if strings.Contains(d.process.log.String(), "riverside") {
		t.Error("the log names the address")
	}
	if status := get(t, d.operator()+"/readyz"); status != http.StatusOK {
		t.Errorf("/readyz says %d: people can sign in without mail", status)
	}
}
