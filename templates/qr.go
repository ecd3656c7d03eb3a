package templates

import (
	"errors"
	"fmt"
	"html/template"
	"image"
	"strings"

	"github.com/boombuler/barcode/qr"
)

const (
	quiet  = 4   // modules of white around the code (ISO/IEC 18004 section 9.1)
	qrSize = 240 // CSS pixels, quiet zone and all
)

var errQR = errors.New("qr: this is more than a QR code holds")

// qrCode draws a URI as a QR code: black on white in dark mode, too, because
// not every camera reads it inverted. It has no style of its own, so that the
// page's Content-Security-Policy lets it be.
func qrCode(uri, label string) (template.HTML, error) {
	code, err := qr.Encode(uri, qr.M, qr.Auto)
	if err != nil {
		return "", errQR // the library's error quotes the URI, and that has the key in it
	}
	side := code.Bounds().Dx() + 2*quiet
	return template.HTML(fmt.Sprintf(`<svg class="qr" role="img" aria-label="%s"`+
		` viewBox="0 0 %d %d" width="%d" height="%d" shape-rendering="crispEdges">`+
		`<rect width="%d" height="%d" fill="#fff"/><path fill="#000" d="%s"/></svg>`,
		template.HTMLEscapeString(label), side, side, qrSize, qrSize, side, side, qrPath(code))), nil
}

// qrPath is the black modules, one rectangle for each run in a row.
func qrPath(code image.Image) string {
	var path strings.Builder
	side := code.Bounds().Dx()
	for y := range side {
		for x := 0; x < side; {
			run := 0
			for x+run < side && black(code, x+run, y) {
				run++
			}
			if run > 0 {
				fmt.Fprintf(&path, "M%d %dh%dv1h-%dz", x+quiet, y+quiet, run, run)
			}
			x += run + 1 // the module after a run is white
		}
	}
	return path.String()
}

func black(code image.Image, x, y int) bool {
	r, _, _, _ := code.At(x, y).RGBA()
	return r == 0
}

// authenticatorLink lets a link to an authenticator app through, which
// html/template would take out for its scheme, and no other.
func authenticatorLink(uri string) (template.URL, error) {
	if !strings.HasPrefix(uri, "otpauth://") {
		return "", errors.New("authenticator: not an otpauth URI")
	}
	return template.URL(uri), nil
}

// grouped writes a key in groups of four, as people read it best.
func grouped(key string) string {
	var b strings.Builder
	for i, r := range key {
		if i > 0 && i%4 == 0 {
			b.WriteByte(' ')
		}
		b.WriteRune(r)
	}
	return b.String()
}
