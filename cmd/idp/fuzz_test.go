package main

import (
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// A file is a configuration or is refused with its keys; a secret in it is not
// told by what is said about it.
func FuzzConfigFile(f *testing.F) {
	for _, s := range []string{"", "issuer: https://id.example\n", "issuer: [1]\n", "{}", "a: &a [*a]\n", "store:\n  url: sqlite:x\n", "keys:\n  ring: s3cr3tval\n", "keys:\n  ring: [s3cr3tval]\n", "mail:\n  password: {a: s3cr3tval}\n",
		"clients:\n- id: a\n  secret: s3cr3tval\n  redirect_uris: [https://a.example/cb]\n", "clients: {a: 1}\n", "clients:\n- 1\n", "sessions:\n  idle: 1h\n  absolute: 100000000000h\n", "proxies: 10.0.0.0/8,::1\n", "isuer: x\n", "\t", "a: b: c", "? [a]\n: b\n", "store.url: x\n", "<<: {issuer: x}\n", "passwords:\n  min: 15.5\n", "!!binary x"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		if strings.Contains(string(b), "_file") {
			return // reads no files of the machine
		}
		file := filepath.Join(t.TempDir(), "idp.yaml")
		if err := os.WriteFile(file, b, 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := load(sources{file: file})
		if err == nil {
			err = c.check()
		}
		if err == nil {
			err = c.checkServe()
		}
		if err != nil && strings.Contains(err.Error(), "s3cr3tval") && (strings.Contains(string(b), "ring: s3cr3tval") || strings.Contains(string(b), "secret: s3cr3tval")) {
			t.Errorf("%q: %v", b, err)
		}
		if c != nil && (c.Listen == "" || c.PasswordMin == 0 || c.SessionIdle == 0) {
			t.Errorf("%q leaves holes: %+v", b, c)
		}
	})
}

// A variable is a setting, letter by letter, or refused with its neighbour; what
// it sets is what it said.
func FuzzEnvironment(f *testing.F) {
	for _, s := range []string{"IDP_ISSUER", "IDP_issuer", "IDP_STORE__URL", "IDP_STORE_URL", "IDP_", "IDP_CLIENTS", "IDP_CONFIG", "PATH", "IDP_MAIL__PORT", "IDP_SESSIONS__IDLE", "IDP_PROXIES", "IDP_SECOND_FACTOR__EVERYONE"} {
		f.Add(s, "https://id.example")
		f.Add(s, "1h")
		f.Add(s, "a,b,,")
		f.Add(s, "")
	}
	f.Fuzz(func(t *testing.T, name, value string) {
		if strings.Contains(strings.ToLower(name), "_file") || strings.ContainsAny(name, "=\x00") {
			return
		}
		c, err := load(sources{environ: []string{name + "=" + value}})
		known := slices.Contains(allKeys(), strings.ToLower(strings.ReplaceAll(strings.TrimPrefix(name, prefix), "__", ".")))
		if strings.HasPrefix(name, prefix) && name != "IDP_CONFIG" && !known && err == nil {
			t.Errorf("%s is a setting", name)
		}
		if err == nil && name == "IDP_ISSUER" && value != "" && c.Issuer != value {
			t.Errorf("%q became %q", value, c.Issuer)
		}
		if err == nil && !strings.HasPrefix(name, prefix) && c.Issuer != "" {
			t.Errorf("%s=%s set the issuer", name, value)
		}
	})
}

// An issuer is one that apps may compare letter for letter, and no two URLs.
func FuzzIssuer(f *testing.F) {
	for _, s := range []string{"", "https://id.example", "https://id.example/id", "http://[::1]:8080", "https://id.example/", "https://u@id.example", "https://id.example//a", "https://id.example/a/../b", "https://ID.example", "https://id.example?", "https://id.example#", "https://id.example:", "https://id.example:99999", "https:///x", "https://id.example/%61", "https://[::1%25eth0]"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		u, err := parseIssuer(s)
		if err != nil {
			return
		}
		if u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.User != nil || strings.ContainsAny(s, "?# \\") || strings.HasSuffix(s, "/") {
			t.Errorf("%q is an issuer", s)
		}
		at, err := url.Parse(s + "/login?flow=x")
		if err != nil || at.Host != u.Host || at.Path != u.Path+"/login" {
			t.Errorf("%q leads to %v, %v", s, at, err)
		}
		_ = onLoopback(u.Host)
	})
}

// Networks are read as they are, or not at all.
func FuzzNetworks(f *testing.F) {
	for _, s := range []string{"", "10.0.0.0/8", "10.1.2.3/8", "::1", "fe80::1%eth0", "1.2.3.4", "1.2.3.4/33", "::/0", "::ffff:1.2.3.4", "010.0.0.1", "1.2.3", "a"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := prefixes([]string{s})
		if err != nil {
			return
		}
		if len(got) != 1 || !got[0].IsValid() || got[0] != got[0].Masked() {
			t.Fatalf("%q is %v", s, got)
		}
		if a, err := netip.ParseAddr(s); err == nil && a.Zone() == "" && (got[0].Bits() != a.BitLen() || got[0].Addr() != a) {
			t.Errorf("%q is %v", s, got[0])
		}
		again, err := prefixes([]string{got[0].String()})
		if err != nil || again[0] != got[0] {
			t.Errorf("%q is %v, and that is %v, %v", s, got, again, err)
		}
	})
}

// An app is registered under a name and with URIs that are safe, or refused by
// field.
func FuzzClient(f *testing.F) {
	for _, s := range []string{"", "app", "-a", "a b", "a/b", "é", strings.Repeat("a", 101), "a\nb", "https://a.example/cb", "http://localhost/cb", "javascript:alert(1)", "https://a.example/cb#x", "https://*.example", "https://u@a.example"} {
		f.Add(s, "https://a.example/cb", "RS256")
		f.Add("app", s, "none")
	}
	f.Fuzz(func(t *testing.T, id, uri, alg string) {
		r := ClientConfig{ID: id, RedirectURIs: []string{uri}, Algorithm: alg}.client()
		if len(r.problems()) > 0 {
			return
		}
		if strings.ContainsAny(id, " \n\r\t/:%&?#\"'<>\\") || id == "" || len(id) > 100 {
			t.Errorf("%q is an app", id)
		}
		u, err := url.Parse(uri)
		if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || u.Fragment != "" || u.User != nil {
			t.Errorf("%q is a redirect URI", uri)
		}
		if r.Algorithm == "none" || r.Algorithm == "HS256" {
			t.Errorf("%q signs", r.Algorithm)
		}
	})
}

// The nearest name is one that there is, and a name is its own neighbour.
func FuzzNearest(f *testing.F) {
	for _, s := range []string{"", "issuer", "isuer", "store.ulr", "\xff", strings.Repeat("x", 200)} {
		f.Add(s)
	}
	known := allKeys()
	f.Fuzz(func(t *testing.T, s string) {
		if len(s) > 1000 {
			return
		}
		got := nearest(s, known)
		if !slices.Contains(known, got) || slices.Contains(known, s) && got != s {
			t.Errorf("the nearest of %q is %q", s, got)
		}
		if d := distance(s, got); d < 0 || d > max(len(s), len(got)) || d != distance(got, s) || (d == 0) != (s == got) {
			t.Errorf("from %q to %q it is %d", s, got, d)
		}
	})
}

// A duration, a number and a switch of the environment are what they say.
func FuzzDuration(f *testing.F) {
	for _, s := range []string{"1h", "90", "-1h", "1e3s", "1h1h", "h", "9999999999h", "1.5h", " 1h", "１h"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		c, err := load(sources{environ: []string{"IDP_SESSIONS__IDLE=" + s}})
		if err != nil || s == "" {
			return
		}
		if d, bad := time.ParseDuration(s); bad == nil && d != 0 && c.SessionIdle != d {
			t.Errorf("%q is %s", s, c.SessionIdle)
		} else if bad != nil && c.check() == nil {
			t.Errorf("%q is taken for %s", s, c.SessionIdle)
		}
	})
}
