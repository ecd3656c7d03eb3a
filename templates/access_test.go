package templates

import (
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// nodeModules is where `npm ci` puts what the tests of cmd/idp and of this
// package are made with.
const nodeModules = "../cmd/idp/testdata/node/node_modules"

// axe-core finds no violation of WCAG 2.2 A or AA on any page, in any state and
// language, and none is wider than a 320 px window or cuts words off (see
// layout). English is looked at in light and in dark; the colours of the other
// languages are the same, so that theirs are judged with IDP_FULL=1 only. Without
// it each page is looked at in English and in one other language, by turns.
//
// With IDP_SHOTS each page is also kept as a picture, 360 px wide.
func TestAccessibilityOfEveryPage(t *testing.T) {
	axe, err := os.ReadFile(filepath.Join(nodeModules, "axe-core", "axe.min.js"))
	if err != nil {
		t.Fatal("cd cmd/idp/testdata/node && npm ci: ", err)
	}
	site := serveSamples(t)
	tab := &tab{ctx: openBrowser(t), axe: string(axe)}
	n := 0
	for i, s := range samples() {
		for j, lang := range Languages() {
			if j > 0 && i%3 != j-1 && os.Getenv("IDP_FULL") == "" {
				continue
			}
			n++
			l := look{site: site, sample: i, name: strings.TrimSpace(s.page.Name + " " + s.name), lang: lang,
				colours: lang == "en" || os.Getenv("IDP_FULL") != ""}
			if err := tab.look(l); err != nil {
				t.Errorf("%s %s: %v", l.name, lang, err)
			}
		}
	}
	t.Logf("%d pages", n)
}

// serveSamples serves every sample under /id/{language}/{number}, with the
// static files.
func serveSamples(t *testing.T) (url string) {
	t.Helper()
	s := load(t)
	mux := http.NewServeMux()
	for name := range s.assets {
		b, err := fs.ReadFile(Static(), name)
		if err != nil {
			t.Fatal(err)
		}
		mux.HandleFunc("GET /id"+s.Asset(name), func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "max-age=3600")
			http.ServeContent(w, r, name, time.Time{}, strings.NewReader(string(b)))
		})
	}
	all := samples()
	mux.HandleFunc("GET /id/{lang}/{sample}", func(w http.ResponseWriter, r *http.Request) {
		i, err := strconv.Atoi(r.PathValue("sample"))
		if err != nil || i < 0 || i >= len(all) {
			http.NotFound(w, r)
			return
		}
		p := all[i].page
		p.Lang, p.Base, p.Path = r.PathValue("lang"), "/id", "/login?flow=f1"
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		// form_post is sent by its script; here it must stay.
		w.Header().Set("Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; form-action 'none'")
		if err := s.Page(w, p); err != nil {
			t.Error(err)
		}
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL
}

// openBrowser starts Chromium, once for all pages.
func openBrowser(t *testing.T) context.Context {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatal("Chromium is needed: apt-get install chromium")
	}
	profile, err := os.MkdirTemp("", "idp-chromium-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(profile) }) // its last processes may write yet
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox,
		chromedp.Flag("disable-component-update", true), chromedp.UserDataDir(profile),
		chromedp.WSURLReadTimeout(time.Minute))
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	ctx, cancel = context.WithTimeout(ctx, 10*time.Minute)
	t.Cleanup(cancel)
	if err := chromedp.Run(ctx); err != nil {
		t.Fatal(err)
	}
	return ctx
}

// look is one page to be looked at.
type look struct {
	site    string
	sample  int
	name    string
	lang    string
	colours bool // in light and dark, too
}

// tab is a window of the browser.
type tab struct {
	ctx context.Context
	axe string
}

// look opens a page and judges it.
func (b *tab) look(l look) error {
	ctx, cancel := context.WithTimeout(b.ctx, 30*time.Second)
	defer cancel()
	b = &tab{ctx: ctx, axe: b.axe}
	if err := chromedp.Run(b.ctx, scheme("light"), emulation.SetDeviceMetricsOverride(320, 800, 1, true),
		chromedp.Navigate(fmt.Sprintf("%s/id/%s/%d", l.site, l.lang, l.sample)),
		chromedp.Evaluate(ended, nil, awaitPromise),
		chromedp.Evaluate(b.axe+`;0`, nil)); err != nil {
		return err
	}
	wrong, err := b.violations(l.colours, "")
	if err != nil {
		return err
	}
	more, err := b.layout(l)
	if err != nil {
		return err
	}
	wrong = append(wrong, more...)
	if l.colours {
		if err := chromedp.Run(b.ctx, scheme("dark")); err != nil {
			return err
		}
		dark, err := b.violations(true, `runOnly: ["color-contrast"],`)
		if err != nil {
			return err
		}
		wrong = append(wrong, dark...)
	}
	if err := b.shoot(l); err != nil {
		return err
	}
	if len(wrong) > 0 {
		return fmt.Errorf("%d violations:\n%s", len(wrong), strings.Join(wrong, "\n"))
	}
	return nil
}

func scheme(name string) chromedp.Action { return media("prefers-color-scheme", name) }

func media(feature, value string) chromedp.Action {
	return emulation.SetEmulatedMedia().WithFeatures([]*emulation.MediaFeature{{Name: feature, Value: value}})
}

// violations runs axe on the page. Where colours are not judged, all else is.
func (b *tab) violations(colours bool, only string) (found []string, err error) {
	if only == "" {
		only = `runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],`
	}
	var raw string
	err = chromedp.Run(b.ctx, chromedp.Evaluate(fmt.Sprintf(`axe.run({%s preload: false, iframes: false, rules: {"color-contrast": {enabled: %v}}, resultTypes: ["violations"]})
		.then(r => JSON.stringify(r.violations.map(v => v.id + ": " + v.help + "\n" + v.nodes.map(n => n.html + " " + n.failureSummary).join("\n"))))`,
		only, colours), &raw, awaitPromise))
	if err != nil {
		return nil, err
	}
	return found, json.Unmarshal([]byte(raw), &found)
}

// layout looks whether words are cut off: as the page is, with text twice as
// large (SC 1.4.4), and with more room between its letters and lines (1.4.12);
// and whether controls have edges where the reader chose the colours.
func (b *tab) layout(l look) (wrong []string, err error) {
	var narrow, large []string
	if err := chromedp.Run(b.ctx, chromedp.Evaluate(cutOff+spaced, &narrow),
		emulation.SetDeviceMetricsOverride(640, 800, 1, true), chromedp.Evaluate(cutOff+enlarged, &large)); err != nil {
		return nil, err
	}
	if wrong = append(narrow, large...); l.lang != "en" {
		return wrong, nil
	}
	var edgeless []string
	err = chromedp.Run(b.ctx, media("forced-colors", "active"), chromedp.Evaluate(withoutEdges, &edgeless))
	return append(wrong, edgeless...), err
}

const (
	spaced = `; {
		const found = cutOff("at 320 px"), sheet = document.styleSheets[0];
		sheet.insertRule("p { margin-block-end: 2em !important }");
		sheet.insertRule("* { line-height: 1.5 !important; letter-spacing: .12em !important; word-spacing: .16em !important }");
		found.push(...cutOff("spaced"));
		sheet.deleteRule(0);
		sheet.deleteRule(0);
		found;
	}`
	enlarged = `; {
		document.documentElement.style.fontSize = "200%";
		const found = cutOff("text of 200 %");
		document.documentElement.style.fontSize = "";
		found;
	}`
)

// withoutEdges lists what only a background shows, which forced colours take
// away, and so do icons that keep a colour of ours.
const withoutEdges = `(() => {
	const found = [];
	if (!matchMedia("(forced-colors: active)").matches) found.push("the colours are not forced");
	const canvas = getComputedStyle(document.body).backgroundColor;
	for (const e of document.querySelectorAll("button, .button, input:not([type=hidden], [type=checkbox]), select, .note, .badge, .icon")) {
		if (e.closest("[hidden], .visually-hidden") || e.matches(".languages button")) continue; // those are underlined text
		const style = getComputedStyle(e);
		const seen = e.matches(".icon") ? style.stroke !== canvas : style.borderTopStyle !== "none" && parseFloat(style.borderTopWidth) >= 1 && style.borderTopColor !== canvas;
		if (!seen) found.push("no edge in forced colours: " + e.outerHTML.slice(0, 120));
	}
	return found;
})()`

// ended waits until the script has said that the page ends soon, if it does.
const ended = `new Promise(done => {
	const form = document.querySelector(".ending form");
	const beat = setInterval(() => { if (!form?.hidden) { clearInterval(beat); done(0); } }, 50);
})`

func awaitPromise(p *runtime.EvaluateParams) *runtime.EvaluateParams { return p.WithAwaitPromise(true) }

// cutOff lists what is wider than the window, or than what it stands in.
const cutOff = `var cutOff = (how) => {
	const wide = document.documentElement.scrollWidth;
	const found = wide > innerWidth ? [how + ": the page is " + wide + " px wide"] : [];
	for (const e of document.body.querySelectorAll("*")) {
		if (e.closest(".visually-hidden, .skip, svg, [hidden]") || e.matches("input, select")) continue;
		if (e.closest(".wide[tabindex='0']")) continue; // a data table scrolls by itself (WCAG 2.2 SC 1.4.10)
		const style = getComputedStyle(e), box = e.getBoundingClientRect();
		if (style.overflow !== "visible" && e.scrollWidth > e.clientWidth + 1 || box.right > innerWidth + 1 || box.left < -1)
			found.push(how + ": cut off: " + e.outerHTML.slice(0, 120));
	}
	return found;
}`

// shoot keeps pictures of the page.
func (b *tab) shoot(l look) error {
	dir := os.Getenv("IDP_SHOTS")
	if dir == "" {
		return nil
	}
	schemes := []string{"light"}
	if l.lang == "en" {
		schemes = append(schemes, "dark")
	}
	for _, name := range schemes {
		var png []byte
		if err := chromedp.Run(b.ctx, scheme(name), emulation.SetDeviceMetricsOverride(360, 640, 1, true),
			chromedp.FullScreenshot(&png, 100)); err != nil {
			return err
		}
		file := filepath.Join(dir, fmt.Sprintf("%s-%s-%02d-%s.png", l.lang, name, l.sample, strings.ReplaceAll(l.name, " ", "_")))
		if err := os.WriteFile(file, png, 0o644); err != nil {
			return err
		}
	}
	return nil
}
