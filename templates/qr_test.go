package templates

import (
	"image"
	"image/color"
	"image/draw"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/qrcode"
)

// What the page draws is read back, as a phone would, by another library.
func TestQRCodeReads(t *testing.T) {
	for _, uri := range []string{
		sampleURI,
		"otpauth://totp/Medximity%20ID:" + strings.Repeat("a", 100) + "?secret=" + strings.Repeat("A7", 26) + "&issuer=Medximity%20ID",
	} {
		svg, err := qrCode(uri, "a label")
		if err != nil {
			t.Fatal(err)
		}
		img := drawn(t, string(svg))
		bits, err := gozxing.NewBinaryBitmapFromImage(img)
		if err != nil {
			t.Fatal(err)
		}
		got, err := qrcode.NewQRCodeReader().Decode(bits, nil)
		if err != nil {
			t.Fatalf("%s: %v", uri, err)
		}
		if got.GetText() != uri {
			t.Errorf("it reads %q, want %q", got.GetText(), uri)
		}
	}
}

var (
	viewBox = regexp.MustCompile(`viewBox="0 0 (\d+) (\d+)"`)
	bar     = regexp.MustCompile(`M(\d+) (\d+)h(\d+)v1h-(\d+)z`)
)

// drawn paints the path of an SVG, four pixels a module.
func drawn(t *testing.T, svg string) image.Image {
	t.Helper()
	const scale = 4
	number := func(s string) int {
		n, err := strconv.Atoi(s)
		if err != nil {
			t.Fatal(err)
		}
		return n * scale
	}
	box := viewBox.FindStringSubmatch(svg)
	if box == nil || box[1] != box[2] {
		t.Fatalf("no square viewBox: %.200s", svg)
	}
	side := number(box[1])
	img := image.NewGray(image.Rect(0, 0, side, side))
	draw.Draw(img, img.Bounds(), image.White, image.Point{}, draw.Src)
	free := image.Rect(0, 0, side, side).Inset(quiet * scale)
	for _, m := range bar.FindAllStringSubmatch(svg, -1) {
		if m[3] != m[4] {
			t.Fatalf("a bar that does not close: %s", m[0])
		}
		x, y := number(m[1]), number(m[2])
		r := image.Rect(x, y, x+number(m[3]), y+scale)
		if !r.In(free) {
			t.Errorf("%v is in the quiet zone", r)
		}
		draw.Draw(img, r, image.NewUniform(color.Black), image.Point{}, draw.Src)
	}
	return img
}

// It is white in dark mode, too, says what it is, and needs no style.
func TestQRCodeIsSelfContained(t *testing.T) {
	svg, err := qrCode(sampleURI, `"><script>alert(1)</script>`)
	if err != nil {
		t.Fatal(err)
	}
	out := string(svg)
	for _, want := range []string{`role="img"`, `aria-label="&#34;&gt;&lt;script`, `width="240" height="240"`, `fill="#fff"`, `fill="#000"`} {
		if !strings.Contains(out, want) {
			t.Errorf("it lacks %s: %.300s", want, out)
		}
	}
	if strings.Count(out, "<path") != 1 || strings.Contains(out, "style=") || strings.Contains(out, "secret=") {
		t.Errorf("more than one path, a style, or the key in it: %.300s", out)
	}
	if _, err := qrCode("otpauth://"+strings.Repeat("A", 5000), "x"); err == nil || strings.Contains(err.Error(), "AAAA") {
		t.Errorf("far too long: %v", err)
	}
}

func TestAuthenticatorLink(t *testing.T) {
	if got, err := authenticatorLink(sampleURI); err != nil || string(got) != sampleURI {
		t.Errorf("authenticatorLink = %q, %v", got, err)
	}
	for _, uri := range []string{"", "javascript:alert(1)", "https://evil.example", " otpauth://totp/x", "OTPAUTH:x"} {
		if got, err := authenticatorLink(uri); err == nil {
			t.Errorf("%q came through as %q", uri, got)
		}
	}
}

func TestGrouped(t *testing.T) {
	for _, tt := range []struct{ key, want string }{
		{"", ""}, {"ABC", "ABC"}, {"ABCD", "ABCD"}, {"ABCDE", "ABCD E"}, {"JBSWY3DPEHPK3PXP", "JBSW Y3DP EHPK 3PXP"},
	} {
		if got := grouped(tt.key); got != tt.want {
			t.Errorf("grouped(%q) = %q, want %q", tt.key, got, tt.want)
		}
	}
}
