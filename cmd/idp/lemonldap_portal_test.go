package main

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"maps"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
)

const (
	lemonldapFolder = "/usr/share/lemonldap-ng/portal"

	// lemonldapPackages are it and what it loads, though Debian only recommends
	// that. The web server that it depends on is not used: plackup is one.
	lemonldapPackages = "liblemonldap-ng-portal-perl libplack-perl libstring-random-perl libio-string-perl " +
		"libgd-securityimage-perl libimage-magick-perl"
)

// configuration is what its Manager writes: us as its OpenID Connect provider, as
// the recipe says, and the app "ward" as its relying party.
func (l *lemonldap) configuration(options map[string]any) map[string]any {
	l.t.Helper()
	private, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		l.t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(private.Public())
	if err != nil {
		l.t.Fatal(err)
	}
	armour := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	of := func(key string, v any) map[string]any { return map[string]any{key: v} }
	recipe := map[string]any{
		"oidcOPMetaDataOptionsClientID": l.id, "oidcOPMetaDataOptionsClientSecret": l.secret,
		"oidcOPMetaDataOptionsTokenEndpointAuthMethod": "client_secret_post",
		"oidcOPMetaDataOptionsScope":                   "openid profile email",
		"oidcOPMetaDataOptionsCheckJWTSignature":       1, "oidcOPMetaDataOptionsUseNonce": 1,
		"oidcOPMetaDataOptionsJWKSTimeout": 3600, "oidcOPMetaDataOptionsStoreIDToken": 1,
	}
	maps.Copy(recipe, options)
	ours := l.ask(l.get(l.Issuer + "/.well-known/openid-configuration"))
	return map[string]any{
		"cfgNum": 1, "cfgDate": 1, "cfgVersion": "2.16.1", "key": rand.Text(),
		"portal": l.portal, "domain": "localhost", "locationRules": of("localhost", of("default", "accept")),
		"authentication": "OpenIDConnect", "userDB": "Same", "passwordDB": "Null", "registerDB": "Null",
		"whatToTrace": "_user", "exportedVars": of("UA", "HTTP_USER_AGENT"),

		// No keys: it is to fetch them from our jwks_uri.
		"oidcOPMetaDataJSON":    of("medximity", string(ours.body)),
		"oidcOPMetaDataJWKS":    of("medximity", `{"keys":[]}`),
		"oidcOPMetaDataOptions": of("medximity", recipe),
		"oidcOPMetaDataExportedVars": of("medximity", map[string]any{"cn": "name", "mail": "email",
			"uid": "preferred_username"}),

		"issuerDBOpenIDConnectActivation": 1,
		"oidcServicePrivateKeySig":        armour("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(private)),
		"oidcServicePublicKeySig":         armour("PUBLIC KEY", public),
		"oidcServiceKeyIdSig":             "of-the-portal",
		"oidcRPMetaDataOptions": of("ward", map[string]any{
			"oidcRPMetaDataOptionsClientID": l.app.ClientID, "oidcRPMetaDataOptionsClientSecret": l.app.ClientSecret,
			"oidcRPMetaDataOptionsRedirectUris":       l.app.RedirectURL,
			"oidcRPMetaDataOptionsIDTokenSignAlg":     "RS256",
			"oidcRPMetaDataOptionsIDTokenForceClaims": 1, "oidcRPMetaDataOptionsBypassConsent": 1,
			"oidcRPMetaDataOptionsLogoutBypassConfirm": 1,
		}),
		"oidcRPMetaDataExportedVars": of("ward", map[string]any{"name": "cn", "email": "mail",
			"preferred_username": "uid"}),
	}
}

// start runs the portal until the test ends.
func (l *lemonldap) start(address string, configuration map[string]any) {
	l.t.Helper()
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		l.t.Fatal(err)
	}
	missing := func(what any) {
		l.t.Helper()
		l.t.Fatalf("LemonLDAP does not start: %v; apt-get install --no-install-recommends %s (.ci/test does)",
			what, lemonldapPackages)
	}
	log := &logBuffer{}
	cmd := exec.Command("plackup", "--host", host, "--port", port, "--env", "deployment",
		filepath.Join(lemonldapFolder, "htdocs", "index.psgi"))
	cmd.Env = append(environ(), "LLNG_DEFAULTCONFFILE="+lemonldapFiles(l.t, configuration))
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := cmd.Start(); err != nil {
		missing(err)
	}
	ended := make(chan struct{})
	go func() { _ = cmd.Wait(); close(ended) }()
	l.t.Cleanup(func() {
		_ = cmd.Process.Kill()
		<-ended
		if l.t.Failed() {
			l.t.Logf("log of LemonLDAP:\n%s", tail(log.String(), 8000))
		}
	})
	eventually(l.t, "LemonLDAP", func() bool {
		select {
		case <-ended:
			missing(cmd.ProcessState)
		default:
		}
		resp, err := http.Get(l.portal + ".well-known/openid-configuration")
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		if resp.StatusCode != http.StatusOK {
			missing(resp.Status)
		}
		return true
	})
}

// lemonldapFiles are what a portal reads and where it keeps its sessions; the
// path is that of its lemonldap-ng.ini.
func lemonldapFiles(t *testing.T, configuration map[string]any) string {
	t.Helper()
	data := t.TempDir()
	for _, kind := range []string{"global", "persistent"} {
		sessions := filepath.Join(data, kind)
		lock := filepath.Join(sessions, "lock")
		if err := os.MkdirAll(lock, 0o700); err != nil {
			t.Fatal(err)
		}
		configuration[kind+"Storage"] = "Apache::Session::File"
		configuration[kind+"StorageOptions"] = map[string]any{"Directory": sessions, "LockDirectory": lock}
	}
	b, err := json.Marshal(configuration)
	if err != nil {
		t.Fatal(err)
	}
	ini := filepath.Join(data, "lemonldap-ng.ini")
	for path, content := range map[string]string{
		filepath.Join(data, "lmConf-1.json"): string(b),
		ini: "[all]\nlogLevel = debug\n" +
			"[configuration]\ntype = File\ndirName = " + data + "\n" +
			"[portal]\nstaticPrefix = /static\nlanguages = en\n" +
			"templateDir = " + filepath.Join(lemonldapFolder, "templates") + "\n",
	} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return ini
}
