package main

import (
	"bytes"
	"image/png"
	"net/url"
	"strings"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/qrcode"
)

// What a camera reads from the screen is the key that stands beside it, in
// light and in dark mode, on a phone and on a desk.
func TestQRCodeOnTheScreen(t *testing.T) {
	for _, tt := range []struct {
		scheme string
		width  int
	}{
		{"light", 1280}, {"dark", 1280}, {"light", 320}, {"dark", 320},
	} {
		t.Run(tt.scheme+map[bool]string{true: ", wide", false: ", narrow"}[tt.width > 500], func(t *testing.T) {
			d := startDemo(t)
			c := openChromium(t, tt.width, true)
			c.scheme(tt.scheme)
			who := d.person("camille")
			c.open(d.App + "/records/signin")
			c.signIn(who)
			c.sees("Set up your authenticator app")
			var key string
			var shot []byte
			c.run(chromedp.Text("#key", &key, chromedp.ByQuery), chromedp.FullScreenshot(&shot, 100))
			u := scan(t, shot)
			q := u.Query()
			if q.Get("secret") != strings.Join(strings.Fields(key), "") {
				t.Error("the key of the QR code is not the one shown")
			}
			if u.Scheme != "otpauth" || u.Host != "totp" || u.Path != "/Medximity:"+who.Username ||
				q.Get("issuer") != "Medximity" {
				t.Errorf("the QR code is for %s, %s%s, issuer %q", u.Scheme, u.Host, u.Path, q.Get("issuer"))
			}
			phone := d.authenticator(q.Get("secret"))
			c.enter("otp", phone.next())
			c.sees("Save these backup codes")
		})
	}
}

// scan finds a QR code in a picture, as a camera does.
func scan(t *testing.T, shot []byte) *url.URL {
	t.Helper()
	img, err := png.Decode(bytes.NewReader(shot))
	if err != nil {
		t.Fatal(err)
	}
	bits, err := gozxing.NewBinaryBitmapFromImage(img)
	if err != nil {
		t.Fatal(err)
	}
	hints := map[gozxing.DecodeHintType]any{gozxing.DecodeHintType_TRY_HARDER: true}
	read, err := qrcode.NewQRCodeReader().Decode(bits, hints)
	if err != nil {
		t.Fatalf("no QR code was found: %v", err)
	}
	u, err := url.Parse(read.GetText())
	if err != nil {
		t.Fatal(err)
	}
	return u
}
