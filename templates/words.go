package templates

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"path"
	"strings"

	"github.com/nicksnyder/go-i18n/v2/i18n"
	"golang.org/x/text/language"
)

// Languages returns what we speak, as BCP 47 tags, English first. Words that
// another language lacks are said in English.
func Languages() []string { return []string{"en", "ko", "fr", "es"} }

// words is every text in every language.
type words struct {
	matcher language.Matcher
	by      map[string]*i18n.Localizer
	plain   map[string]map[string]string // texts without gaps, by language and key
}

func loadWords(files fs.FS) (*words, error) {
	w := &words{by: map[string]*i18n.Localizer{}, plain: map[string]map[string]string{}}
	bundle := i18n.NewBundle(language.English)
	bundle.RegisterUnmarshalFunc("json", json.Unmarshal)
	var tags []language.Tag
	for _, lang := range Languages() {
		if err := loadLanguage(bundle, files, lang); err != nil {
			return nil, err
		}
		w.by[lang] = i18n.NewLocalizer(bundle, lang)
		tags = append(tags, language.MustParse(lang))
	}
	w.matcher = language.NewMatcher(tags)
	return w, w.fillPlain(files)
}

func loadLanguage(bundle *i18n.Bundle, files fs.FS, lang string) error {
	names, err := fs.Glob(files, path.Join("locale", lang, "*.json"))
	if err != nil {
		return err
	}
	for _, name := range names {
		b, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}
		// The library reads the language out of a file's name; ours are named
		// after what they are about.
		if _, err := bundle.ParseMessageFileBytes(b, lang+".json"); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// fillPlain says every text without gaps once, for all requests to come.
func (w *words) fillPlain(files fs.FS) error {
	english, err := rawWords(files, "en")
	if err != nil {
		return err
	}
	for _, lang := range Languages() {
		w.plain[lang] = map[string]string{}
		for key, raw := range english {
			if strings.Contains(string(raw), "{{") {
				continue
			}
			if w.plain[lang][key], err = w.say(lang, key, nil); err != nil {
				return err
			}
		}
	}
	return nil
}

// rawWords returns a language's messages as they stand in its files.
func rawWords(files fs.FS, lang string) (map[string]json.RawMessage, error) {
	all := map[string]json.RawMessage{}
	names, err := fs.Glob(files, path.Join("locale", lang, "*.json"))
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		b, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, err
		}
		var some map[string]json.RawMessage
		if err := json.Unmarshal(b, &some); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		for key, raw := range some {
			if _, twice := all[key]; twice {
				return nil, fmt.Errorf("%s: %s is there already", name, key)
			}
			all[key] = raw
		}
	}
	return all, nil
}

// say returns a text in a language, or else in English. The argument n, if
// there is one, chooses the plural form (CLDR).
func (w *words) say(lang, key string, args map[string]any) (string, error) {
	if text, ok := w.plain[lang][key]; ok {
		return text, nil
	}
	localizer, ok := w.by[lang]
	if !ok {
		localizer, lang = w.by["en"], "en"
	}
	c := &i18n.LocalizeConfig{MessageID: key, TemplateData: args}
	if n, ok := args["n"]; ok {
		c.PluralCount = fmt.Sprint(n) // a count that came through JSON is a float64, which it refuses
	}
	// An error beside a text means that English, or the form "other", had to
	// serve: good enough for the reader, and the tests list it.
	text, err := localizer.Localize(c)
	if text == "" {
		return "", fmt.Errorf("templates: no words for %s in %s: %w", key, lang, err)
	}
	return text, nil
}

// Match returns the language of ours that fits best: the first of the
// preferences that names one. A preference is a list of BCP 47 tags, in the
// form of ui_locales (OIDC Core section 3.1.2.1) or of Accept-Language. It is
// English if none does.
func (s *Set) Match(preferences ...string) string {
	for _, p := range preferences {
		if lang, ok := s.Speaks(p); ok {
			return lang
		}
	}
	return "en"
}

// Speaks reports which of our languages a list of tags asks for, if any.
func (s *Set) Speaks(list string) (string, bool) {
	if list == "" || len(list) > 500 {
		return "", false
	}
	if !strings.ContainsAny(list, ",;") {
		list = strings.Join(strings.Fields(list), ",")
	}
	tags, _, err := language.ParseAcceptLanguage(list)
	if err != nil || len(tags) == 0 {
		return "", false
	}
	_, i, confidence := s.words.matcher.Match(tags...)
	return Languages()[i], confidence > language.No
}

// Text returns a text of locale/ in a language, with its gaps filled. A key
// that is not there is said as it is.
func (s *Set) Text(lang, key string, args map[string]any) string {
	text, err := s.words.say(lang, key, args)
	if err != nil {
		return key
	}
	return text
}
