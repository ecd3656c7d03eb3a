package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/input"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
)

// chromium is somebody at Debian's Chromium.
type chromium struct {
	t     *testing.T
	ctx   context.Context
	shots string // where screenshots go; "" for nowhere
	n     int
}

// profile is a folder for one browser, whose last processes may still write to
// it when it is gone: unlike t.TempDir's its end is tried for a while.
func profile(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "chromium-")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		for n := 0; os.RemoveAll(dir) != nil; n++ {
			if n == 100 {
				t.Error("the browser goes on writing to its profile")
				return
			}
			time.Sleep(100 * time.Millisecond)
		}
	})
	return dir
}

// openChromium starts a browser with an empty profile. Screenshots go to
// $IDP_SHOTS/<test name>, if that is set.
func openChromium(t *testing.T, width int, scripts bool) *chromium {
	t.Helper()
	path, err := exec.LookPath("chromium")
	if err != nil {
		t.Fatal("Chromium is needed: apt-get install chromium")
	}
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox,
		chromedp.Flag("disable-component-update", true), chromedp.Flag("disable-quic", true),
		chromedp.Flag("lang", "en"), chromedp.UserDataDir(profile(t)), chromedp.WSURLReadTimeout(time.Minute))
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	ctx, cancel = context.WithTimeout(ctx, 3*time.Minute)
	t.Cleanup(cancel)
	c := &chromium{t: t, ctx: ctx}
	if dir := os.Getenv("IDP_SHOTS"); dir != "" {
		c.shots = filepath.Join(dir, strings.NewReplacer("/", "_", " ", "_").Replace(t.Name()))
		if err := os.MkdirAll(c.shots, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	c.run(emulation.SetDeviceMetricsOverride(int64(width), 900, 1, width < 500),
		emulation.SetScriptExecutionDisabled(!scripts))
	return c
}

func (c *chromium) run(actions ...chromedp.Action) {
	c.t.Helper()
	if err := chromedp.Run(c.ctx, actions...); err != nil {
		c.t.Fatalf("%v; the page is %s:\n%s", err, c.url(), c.words())
	}
}

// open goes to an address in the same tab.
func (c *chromium) open(address string) { c.t.Helper(); c.run(chromedp.Navigate(address)) }

// fill types into the control with this id, in place of what is in it.
func (c *chromium) fill(id, value string) {
	c.t.Helper()
	c.run(chromedp.Focus("#"+id, chromedp.ByQuery),
		input.DispatchKeyEvent(input.KeyDown).WithCommands([]string{"selectAll"}),
		input.InsertText(value))
}

// click presses the control or link that the selector finds, and waits for the
// page that comes of it.
func (c *chromium) click(selector string) {
	c.t.Helper()
	if _, err := chromedp.RunResponse(c.ctx, chromedp.Click(selector, chromedp.ByQuery)); err != nil {
		c.t.Fatalf("click %s: %v; the page is %s:\n%s", selector, err, c.url(), c.words())
	}
}

// sees wants the words on the page, and the page no wider than the window.
func (c *chromium) sees(words ...string) {
	c.t.Helper()
	all := c.words()
	for _, w := range words {
		if !strings.Contains(all, w) {
			c.t.Errorf("%s does not say %q:\n%s", c.url(), w, all)
		}
	}
	c.shoot()
}

func (c *chromium) words() string {
	var s string
	for range 3 { // a page that has just replaced another may take its nodes away once more
		if chromedp.Run(c.ctx, chromedp.Text("body", &s, chromedp.ByQuery)) == nil {
			break
		}
	}
	return squeeze(s)
}

func (c *chromium) url() string {
	var s string
	_ = chromedp.Run(c.ctx, chromedp.Location(&s))
	return s
}

func (c *chromium) shoot() {
	if c.shots == "" {
		return
	}
	var png []byte
	c.run(chromedp.FullScreenshot(&png, 100))
	c.n++
	name := filepath.Join(c.shots, fmt.Sprintf("%02d.png", c.n))
	if err := os.WriteFile(name, png, 0o644); err != nil {
		c.t.Fatal(err)
	}
}

func awaitPromise(p *runtime.EvaluateParams) *runtime.EvaluateParams { return p.WithAwaitPromise(true) }
