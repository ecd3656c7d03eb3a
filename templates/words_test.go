package templates

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Every key that English has, every language has; none has one that English
// lacks. The failures are the translators' list.
func TestNoLanguageLacksWords(t *testing.T) {
	english := keys(t, "en")
	for _, lang := range Languages()[1:] {
		theirs := keys(t, lang)
		for _, key := range english {
			if !slices.Contains(theirs, key) {
				t.Errorf("locale/%s lacks %s", lang, key)
			}
		}
		for _, key := range theirs {
			if !slices.Contains(english, key) {
				t.Errorf("locale/%s has %s, which locale/en lacks", lang, key)
			}
		}
	}
}

func keys(t *testing.T, lang string) []string {
	t.Helper()
	raw, err := rawWords(files, lang)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for key := range raw {
		all = append(all, key)
	}
	slices.Sort(all)
	return all
}

// A translation has the gaps of the English text, and no others.
func TestTranslationsHaveTheSameGaps(t *testing.T) {
	english, err := rawWords(files, "en")
	if err != nil {
		t.Fatal(err)
	}
	for _, lang := range Languages()[1:] {
		raw, err := rawWords(files, lang)
		if err != nil {
			t.Fatal(err)
		}
		for key, text := range raw {
			if d := cmp.Diff(gaps(english[key]), gaps(text)); d != "" {
				t.Errorf("%s in %s: %s", key, lang, d)
			}
		}
	}
}

var gap = regexp.MustCompile(`\{\{\.\w+\}\}`)

func gaps(raw json.RawMessage) []string {
	found := gap.FindAllString(string(raw), -1)
	slices.Sort(found)
	return slices.Compact(found)
}

// Every key that a template or a Go file of ours names is there, and no word
// is kept that nobody says.
func TestKeysNamedAreKeysThere(t *testing.T) {
	named := map[string]bool{}
	for _, root := range []string{".", "../flows", "../provider"} {
		collectKeys(t, root, named)
	}
	there := keys(t, "en")
	for key := range named {
		if !slices.Contains(there, key) {
			t.Errorf("locale/en lacks %s", key)
		}
	}
	for _, key := range there {
		if !named[key] && !made.MatchString(key) {
			t.Errorf("nobody says %s", key)
		}
	}
}

var (
	inTemplate = regexp.MustCompile(`\bt "([a-z_.]+)"`)
	inGo       = regexp.MustCompile(`"((?:err|warn|notice)\.[a-z_]+|codes\.file)"`)
	// made are the keys that are put together where they are said.
	made = regexp.MustCompile(`^(time\.|sessions\.device$|passkey\.unnamed$|language\.|scope\.|role\.|status\.|act\.|mail\.team\.did\.|transfer\.state\.|case\.state\.|case\.reply\.|desk\.(state|fact|fits|by|lack|log)\.|check\.|remedy\.|err\.case\.|way\.|activity\.|notice\.|pw\.(show|hide)\.|mail\.\w+\.subject$)`)
)

func collectKeys(t *testing.T, root string, into map[string]bool) {
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || strings.HasSuffix(path, "_test.go") {
			return err
		}
		by := map[string]*regexp.Regexp{".html": inTemplate, ".txt": inTemplate, ".go": inGo}[filepath.Ext(path)]
		if by == nil {
			return nil
		}
		b, err := os.ReadFile(path)
		for _, m := range by.FindAllStringSubmatch(string(b), -1) {
			into[m[1]] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}

func TestMatch(t *testing.T) {
	s := load(t)
	for _, tt := range []struct {
		name        string
		preferences []string
		want        string
	}{
		{"nothing", nil, "en"},
		{"Accept-Language, as Chrome sends it", []string{"ko-KR,ko;q=0.9,en-US;q=0.8,en;q=0.7"}, "ko"},
		{"a region", []string{"fr-CA"}, "fr"},
		{"Latin America", []string{"es-419,es;q=0.8"}, "es"},
		{"ui_locales, blank-separated", []string{"fr-CA fr en"}, "fr"},
		{"the first that we speak", []string{"de", "ko", "fr"}, "ko"},
		{"none that we speak", []string{"de", "ja,zh;q=0.5"}, "en"},
		{"weights rule", []string{"en;q=0.1, es;q=0.9"}, "es"},
		{"garbage, then good", []string{"\x00;;q=", "fr"}, "fr"},
		{"far too long", []string{strings.Repeat("ko,", 1000), "fr"}, "fr"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := s.Match(tt.preferences...); got != tt.want {
				t.Errorf("Match(%q) = %q, want %q", tt.preferences, got, tt.want)
			}
		})
	}
}

func TestText(t *testing.T) {
	s := load(t)
	for _, tt := range []struct {
		name, lang, key string
		args            map[string]any
		want            string
	}{
		{"one", "en", "minutes", map[string]any{"n": 1}, "1 minute"},
		{"other", "en", "minutes", map[string]any{"n": 30}, "30 minutes"},
		{"a count that came through JSON", "en", "minutes", map[string]any{"n": float64(1)}, "1 minute"},
		{"a language without plurals", "ko", "minutes", map[string]any{"n": 1}, "1분"},
		{"French, where 0 is singular", "fr", "minutes", map[string]any{"n": 0}, "0 minute"},
		{"a language that we do not speak", "de", "minutes", map[string]any{"n": 2}, "2 minutes"},
		{"no such key", "en", "no.such.key", nil, "no.such.key"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if got := s.Text(tt.lang, tt.key, tt.args); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
