package templates

import (
	"io/fs"
	"strings"
	"testing"
)

func TestStaticIsSmallAndOurs(t *testing.T) {
	s := load(t)
	for name, most := range map[string]int{"style.css": 12 << 10, "app.js": 10 << 10, "favicon.svg": 1 << 10} {
		b, err := fs.ReadFile(Static(), name)
		if err != nil {
			t.Fatal(err)
		}
		if len(b) == 0 || len(b) > most {
			t.Errorf("%s has %d bytes, want at most %d", name, len(b), most)
		}
		for _, foreign := range []string{"url(", "@import", "//cdn", "fetch(", "eval(", "innerHTML", "localStorage"} {
			if strings.Contains(string(b), foreign) {
				t.Errorf("%s has %s", name, foreign)
			}
		}
		at := s.Asset(name)
		if !strings.HasPrefix(at, "/static/"+strings.Split(name, ".")[0]+".") || at == "/static/"+name {
			t.Errorf("Asset(%q) = %q: no hash", name, at)
		}
	}
	if got := s.Asset("no-such.css"); got != "" {
		t.Errorf("Asset of nothing = %q", got)
	}
}

// The style sheet answers what the reader's system asks for.
func TestStyleFollowsTheReader(t *testing.T) {
	b, err := fs.ReadFile(Static(), "style.css")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"prefers-color-scheme: dark", "forced-colors",
		"Apple SD Gothic Neo", "Malgun Gothic", "Noto Sans KR", ":focus-visible", "inline-size"} {
		if !strings.Contains(string(b), want) {
			t.Errorf("style.css lacks %s", want)
		}
	}
	for _, motion := range []string{"transition", "animation"} { // nothing moves, so nothing need be reduced
		if strings.Contains(string(b), motion) {
			t.Errorf("style.css has a %s", motion)
		}
	}
}
