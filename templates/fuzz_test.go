package templates

import (
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/qrcode"
	"golang.org/x/net/html"
)

func fuzzSet(f *testing.F) *Set {
	f.Helper()
	s, err := Load()
	if err != nil {
		f.Fatal(err)
	}
	return s
}

// Whatever a browser or an app asks for, the answer is in a language of ours,
// and asking for that one gives it.
func FuzzMatch(f *testing.F) {
	s := fuzzSet(f)
	for _, l := range []string{"", "en", "ko-KR,ko;q=0.9", "fr fr-CA", "*", "de;q=1,es;q=0.1", "x-klingon", "zh-Hant-TW", ";q=,", "a\x00b",
		"en-x-" + strings.Repeat("a-", 200), "art-lojban", "i-default", "ko\u2028fr", "../../etc", "mul", "und", "fr;q=2", "es-419"} {
		f.Add(l, "", "ko")
		f.Add("", l, "")
	}
	f.Fuzz(func(t *testing.T, app, kept, accepts string) {
		lang := s.Match(app, kept, accepts)
		if !slices.Contains(Languages(), lang) {
			t.Fatalf("Match(%q, %q, %q) = %q", app, kept, accepts, lang)
		}
		if s.Match(lang, app, kept, accepts) != lang {
			t.Errorf("%s is not what %s gets", lang, lang)
		}
		for _, list := range []string{app, kept, accepts} {
			said, ok := s.Speaks(list)
			if ok && (!slices.Contains(Languages(), said) || len(list) > 500 || list == "") {
				t.Errorf("Speaks(%q) = %q", list, said)
			}
			if ok && s.Match(list) != said || !ok && s.Match(list) != "en" {
				t.Errorf("Match(%q) = %q, Speaks %q %v", list, s.Match(list), said, ok)
			}
			if ok { // the first that is spoken decides
				if said != lang {
					t.Errorf("%q, %q, %q: %q, and not %q", app, kept, accepts, lang, said)
				}
				break
			}
		}
	})
}

// A QR code says what was put in, byte for byte; its label is never markup.
func FuzzQR(f *testing.F) {
	for _, s := range []string{"otpauth://totp/Medximity:grace?secret=GEZDGNBVGY3TQOJQ&issuer=Medximity", "", "0123456789", "ABC $%*+-./:", "é가\x00\xff", strings.Repeat("x", 3000)} {
		f.Add(s, `"><script>alert(1)</script>`)
	}
	f.Fuzz(func(t *testing.T, uri, label string) {
		svg, err := qrCode(uri, label)
		if err != nil {
			if len(uri) < 2000 && err.Error() != errQR.Error() {
				t.Fatalf("%q: %v", uri, err)
			}
			return
		}
		only := map[string]bool{"svg": true, "rect": true, "path": true}
		for z := html.NewTokenizer(strings.NewReader(string(svg))); ; {
			kind := z.Next()
			if kind == html.ErrorToken {
				break
			}
			if name, _ := z.TagName(); kind != html.TextToken && !only[string(name)] || kind == html.CommentToken {
				t.Fatalf("%q drew %q", label, z.Raw())
			}
		}
		if strings.HasPrefix(uri, "otpauth://") && len(uri) < 400 && !strings.ContainsFunc(uri, func(r rune) bool { return r > 126 || r < 32 }) {
			if got := readQR(t, uri); got != uri {
				t.Errorf("%q is read as %q", uri, got)
			}
		}
	})
}

// readQR draws a code as the page does and reads it as a camera does.
func readQR(t *testing.T, uri string) string {
	t.Helper()
	svg, err := qrCode(uri, "")
	if err != nil {
		t.Fatal(err)
	}
	bits, err := gozxing.NewBinaryBitmapFromImage(drawn(t, string(svg)))
	if err != nil {
		t.Fatal(err)
	}
	found, err := qrcode.NewQRCodeReader().Decode(bits, map[gozxing.DecodeHintType]any{gozxing.DecodeHintType_PURE_BARCODE: true})
	if err != nil {
		t.Fatalf("%q cannot be read: %v", uri, err)
	}
	return found.GetText()
}

// Only a link to an authenticator passes, and it stays itself.
func FuzzAuthenticatorLink(f *testing.F) {
	for _, s := range []string{"otpauth://totp/x", "javascript:alert(1)", "OTPAUTH://x", " otpauth://x", "otpauth:x", "otpauth://\"><script>"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		got, err := authenticatorLink(s)
		if (err == nil) != strings.HasPrefix(s, "otpauth://") || err == nil && string(got) != s {
			t.Errorf("%q: %q, %v", s, got, err)
		}
		if u, bad := url.Parse(s); err == nil && bad == nil && u.Scheme != "otpauth" {
			t.Errorf("%q has the scheme %q", s, u.Scheme)
		}
		if strings.ReplaceAll(grouped(s), " ", "") != strings.ReplaceAll(strings.ToValidUTF8(s, "\ufffd"), " ", "") && !strings.Contains(s, "\ufffd") && !hasInvalid(s) {
			t.Errorf("%q in groups is %q", s, grouped(s))
		}
	})
}

func hasInvalid(s string) bool { return strings.ToValidUTF8(s, "") != s }
