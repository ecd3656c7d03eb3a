package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestZeroConfigWorks(t *testing.T) {
	c, err := load(sources{})
	if err != nil {
		t.Fatal(err)
	}
	if err := c.check(); err != nil {
		t.Error(err)
	}
	if c.Listen != "127.0.0.1:8080" || c.SessionAbsolute != 12*time.Hour || c.PasswordMin != 15 {
		t.Errorf("defaults are %+v", c)
	}
}

func TestLaterLayersWin(t *testing.T) {
	c, err := load(sources{
		environ: []string{"IDP_ISSUER=https://variable.example", "IDP_LISTEN=127.0.0.1:1", "IDP_PROXIES=10.0.0.0/8,::1",
			"IDP_SESSIONS__IDLE=30m", "IDP_OPERATOR__ALLOW_REMOTE=true", "HOME=/nowhere", "XIDP_ISSUER=x"},
		flags: map[string]string{"listen": "127.0.0.1:2"},
	})
	if err != nil {
		t.Fatal(err)
	}
	got := []any{c.Issuer, c.Listen, c.Proxies, c.SessionIdle, c.OperatorRemote}
	want := []any{"https://variable.example", "127.0.0.1:2", []string{"10.0.0.0/8", "::1"}, 30 * time.Minute, true}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestEveryFieldHasAKey(t *testing.T) {
	seen := map[string]bool{}
	for _, key := range allKeys() {
		if key == "" || key != strings.ToLower(key) || seen[key] || variableOf(key) == variableOf("config") {
			t.Errorf("key %q is empty, not lower case, or there twice", key)
		}
		seen[key] = true
	}
}

func TestSecretsAreNotPrinted(t *testing.T) {
	const word = "hunter2"
	c := Config{StoreURL: word, KeyRing: word, MailPassword: word, Clients: []ClientConfig{{Secret: word}}}
	var log bytes.Buffer
	l := c.logger(&log)
	l.Error("x", "config", c, "secret", c.KeyRing, slog.Group("g", "password", word), "reset_token", word, "email", word)
	doc, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	for _, text := range []string{fmt.Sprint(c), fmt.Sprintf("%+v %#v %q", c, c, c.KeyRing), log.String(), string(doc)} {
		if strings.Contains(text, word) || !strings.Contains(text, redacted) {
			t.Errorf("a secret is printed: %s", text)
		}
	}
}

func TestDistance(t *testing.T) {
	for _, tt := range []struct {
		a, b string
		want int
	}{{"", "", 0}, {"abc", "", 3}, {"", "abc", 3}, {"issuer", "isuer", 1}, {"kitten", "sitting", 3}, {"ab", "ba", 2}} {
		if got := distance(tt.a, tt.b); got != tt.want {
			t.Errorf("distance(%q, %q) = %d, want %d", tt.a, tt.b, got, tt.want)
		}
	}
}

func TestOnLoopback(t *testing.T) {
	for addr, want := range map[string]bool{
		"127.0.0.1:8080": true, "[::1]:8080": true, "localhost:8080": true, "127.9.9.9": true, "[::1]": true,
		"0.0.0.0:8080": false, ":8080": false, "10.0.0.1:80": false, "id.example": false, "localhost.example:80": false, "": false,
	} {
		if got := onLoopback(addr); got != want {
			t.Errorf("onLoopback(%q) = %v", addr, got)
		}
	}
}

// A path that the router would read otherwise than apps do stops the start, with
// words and not with a panic.
func TestIssuer(t *testing.T) {
	for issuer, want := range map[string]bool{
		"https://id.example": true, "https://id.example/id": true, "https://id.example:8443/a-1/b_2.c~d": true, "http://[::1]:8080": true,
		"": false, "id.example": false, "https://": false, "ftp://id.example": false, "https://id.example/": false, "https://u@id.example": false,
		"https://id.example/?": false, "https://id.example#": false, "https://id.example/a//b": false, "https://id.example/a/../b": false,
		"https://id.example/a/.": false, "https://id.example/{id}": false, "https://id.example/a%20b": false, "https://id.example/a%2Fb": false,
		"https://id.example/é": false, "https://id.example/a;b": false,
	} {
		if _, err := parseIssuer(issuer); want != (err == nil) {
			t.Errorf("%s: %v", issuer, err)
		}
	}
}

func FuzzLoad(f *testing.F) {
	f.Add("IDP_ISSUER", "https://id.example")
	f.Add("IDP_CLIENTS", "x,y")
	f.Add("IDP_KEYS__RING_FILE", "/dev/null")
	f.Fuzz(func(t *testing.T, name, value string) {
		if strings.HasSuffix(name, "FILE") && strings.HasPrefix(value, "/") && value != "/dev/null" {
			return // reads no files of the machine
		}
		if c, err := load(sources{environ: []string{name + "=" + value}}); err == nil {
			_ = c.check()
		}
	})
}
