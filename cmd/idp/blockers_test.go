package main

import (
	"bufio"
	"bytes"
	"context"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/fetch"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// Promise 6.2: an ad blocker and no third-party cookies break no page, since
// nothing of ours is what they stop.
func TestBlockersStopNothing(t *testing.T) {
	rules := filterList(t)
	for _, bait := range []string{"https://x.example/ads/a.js", "https://x.example/js/analytics.js", "https://x.example/p/pixel?id=1",
		"https://x.example/collect", "https://x.example/track/me", "https://x.example/?utm_source=mail"} {
		if !rules.stop(bait) {
			t.Errorf("the list does not stop %s", bait)
		}
	}
	for _, tt := range []struct {
		name string
		walk func(*testing.T, *demo, *chromium)
	}{
		{"sign in, lock and reset", walk},
		{"set up", walkSetUp},
		{"settings", walkSettingsSecondFactor},
	} {
		t.Run(tt.name, func(t *testing.T) {
			d, c := startDemo(t), openChromium(t, 360, true)
			blocked := c.block(rules, d)
			tt.walk(t, d, c)
			stopped, foreign := blocked()
			if len(stopped)+len(foreign) > 0 {
				t.Errorf("stopped: %q; of other sites: %q", stopped, foreign)
			}
		})
	}
}

// filters are the rules of testdata/block.list.
type filters []*regexp.Regexp

func filterList(t *testing.T) (rules filters) {
	t.Helper()
	lines := bufio.NewScanner(bytes.NewReader(mustRead(t, filepath.Join("testdata", "block.list"))))
	for lines.Scan() {
		if rule := lines.Text(); rule != "" && !strings.HasPrefix(rule, "!") {
			rules = append(rules, regexp.MustCompile("(?i)"+strings.ReplaceAll(regexp.QuoteMeta(rule), `\^`, `([^\w.%-]|$)`)))
		}
	}
	return rules
}

func (f filters) stop(url string) bool {
	for _, rule := range f {
		if rule.MatchString(url) {
			return true
		}
	}
	return false
}

// block has the browser stop what the rules match, and keep no cookie of a
// third party. The function tells what was stopped, and what was asked of any
// site beside the demo's and its apps'.
func (c *chromium) block(rules filters, d *demo) func() (stopped, foreign []string) {
	c.t.Helper()
	ours := []string{d.Issuer, d.App, d.Mail}
	var mu sync.Mutex
	var stopped, foreign []string
	chromedp.ListenTarget(c.ctx, func(event any) {
		e, ok := event.(*fetch.EventRequestPaused)
		if !ok {
			return
		}
		url := e.Request.URL
		mu.Lock()
		defer mu.Unlock()
		if !startsWith(url, ours) {
			foreign = append(foreign, url)
		}
		stop := rules.stop(url)
		if stop {
			stopped = append(stopped, url)
		}
		go answerPaused(c.ctx, e.RequestID, stop) // not from here: the listener must not wait for the browser
	})
	c.run(fetch.Enable(), network.Enable(), network.SetCookieControls(true))
	return func() (a, b []string) {
		mu.Lock()
		defer mu.Unlock()
		return stopped, foreign
	}
}

func answerPaused(ctx context.Context, id fetch.RequestID, stop bool) {
	ctx = cdp.WithExecutor(ctx, chromedp.FromContext(ctx).Target)
	if stop {
		_ = fetch.FailRequest(id, network.ErrorReasonBlockedByClient).Do(ctx)
		return
	}
	_ = fetch.ContinueRequest(id).Do(ctx) // an error means that the page is gone
}

func startsWith(url string, any []string) bool {
	for _, s := range any {
		if strings.HasPrefix(url, s) {
			return true
		}
	}
	return false
}
