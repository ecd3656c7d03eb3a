// Package templates is everything Medximity ID says to people: its pages, its
// mails, and the words of both in every language. It knows no rules and no
// store; what a page shows is handed to it.
//
//	layout.html   what all pages have in common
//	_*.html       pieces that pages share
//	page/         one file a page: its "title" and its "main"
//	mail/         one file a mail and format, in a layout of their own
//	locale/       the words, one folder a language
//	static/       the style sheet, the script and the icon
//
// Everything is parsed once, by Load, into one set for each page and language,
// so that a mistake in any of them keeps the server from starting.
package templates

import (
	"embed"
	"fmt"
	"html"
	"html/template"
	"io"
	"io/fs"
	"path"
	"regexp"
	"strings"
	texttemplate "text/template"
	"time"
)

//go:embed layout.html _*.html page all:mail locale static
var files embed.FS

// Page is one page to be shown. Whoever shows it gives Name and what the page
// is about; package web fills in what it knows of the request.
type Page struct {
	Name string // of the file in page/
	Lang string // one of Languages
	Base string // the issuer's path, without trailing slash
	Path string // where a GET shows this page again; "" if nowhere

	Flow   string // the hidden field by which a form names its flow
	App    string // the name of the app that asked, if one did
	Step   string // the step that the form answers
	Action string // where the form goes, for pages of more than one route

	Ways []string // other ways to the same end: the names of their steps; the page links to each

	Left time.Duration // until its flow ends if nobody asks for more time; 0 if none can

	Problems []Problem // what was wrong with the answer, in the order of the page
	Warning  string    // what will happen if it goes on like this
	Notice   string    // what has just been done
	Outdated bool      // the browser is Internet Explorer
	Team     bool      // the person runs the team of their practice
	Case     bool      // Support is about to do something to the person's account

	Data any // the page's own struct, declared beside its handler or step
}

// Problem is something for the person to mend.
type Problem struct {
	Field string // the id of the control it belongs to; "" for the page as a whole
	Text  string
}

// Problem returns what is wrong with a control, or "".
func (p Page) Problem(field string) string {
	for _, x := range p.Problems {
		if x.Field == field {
			return x.Text
		}
	}
	return ""
}

// InTeam reports whether the page is one of Team Members.
func (p Page) InTeam() bool {
	switch p.Name {
	case "team", "member", "member_confirm", "locations", "access", "no_team", "transfer", "invite", "invites":
		return true
	}
	return false
}

// Set is all templates, parsed. It is safe for concurrent use.
type Set struct {
	words  *words
	assets map[string]string // name → hashed URL path
	pages  map[string]map[string]*template.Template
	html   map[string]map[string]*template.Template     // mails
	text   map[string]map[string]*texttemplate.Template // mails
}

// Load parses everything. It fails only if the program was built wrong.
func Load() (*Set, error) {
	w, err := loadWords(files)
	if err != nil {
		return nil, err
	}
	s := &Set{words: w, pages: map[string]map[string]*template.Template{}}
	if s.assets, err = hashAssets(Static()); err != nil {
		return nil, err
	}
	for _, lang := range Languages() {
		if s.pages[lang], err = s.parse(lang, "page/*.html", "layout.html", "_*.html"); err != nil {
			return nil, err
		}
	}
	return s, s.loadMails()
}

// parse gives each file of the pattern a set of its own: the shared templates
// and the file, speaking one language.
func (s *Set) parse(lang, pattern string, shared ...string) (map[string]*template.Template, error) {
	common := template.New("").Option("missingkey=error").Funcs(s.funcs(lang))
	for _, pattern := range shared {
		if err := s.add(common, lang, pattern); err != nil {
			return nil, err
		}
	}
	names, err := fs.Glob(files, pattern)
	if err != nil {
		return nil, err
	}
	sets := map[string]*template.Template{}
	for _, file := range names {
		t, err := common.Clone()
		if err != nil {
			return nil, err
		}
		if err := s.add(t, lang, file); err != nil {
			return nil, err
		}
		sets[nameOf(file)] = t
	}
	return sets, nil
}

// add parses the files of a pattern into a set.
func (s *Set) add(t *template.Template, lang, pattern string) error {
	names, err := fs.Glob(files, pattern)
	if err != nil {
		return err
	}
	for _, file := range names {
		b, err := fs.ReadFile(files, file)
		if err != nil {
			return err
		}
		if _, err := t.New(path.Base(file)).Parse(s.fixed(lang, string(b))); err != nil {
			return err
		}
	}
	return nil
}

var fixedWords = regexp.MustCompile(`\{\{(t|asset) "([^"]+)"\}\}`)

// fixed puts in what is the same for every request, so that it is looked up
// when the server starts and not each time a page is shown: words without gaps
// and the paths of assets. They are HTML from then on, so they are escaped.
func (s *Set) fixed(lang, source string) string {
	return fixedWords.ReplaceAllStringFunc(source, func(action string) string {
		m := fixedWords.FindStringSubmatch(action)
		text, ok := s.words.plain[lang][m[2]]
		if m[1] == "asset" {
			text, ok = s.assets[m[2]]
		}
		if !ok {
			return action // its words have gaps, or it fails when it is shown
		}
		return html.EscapeString(text)
	})
}

func nameOf(file string) string {
	return strings.TrimSuffix(path.Base(file), path.Ext(file))
}

// Page writes a page. An error may leave half of it written: write it to
// memory first.
func (s *Set) Page(w io.Writer, p Page) error {
	t, ok := s.pages[p.Lang][p.Name]
	if !ok {
		return fmt.Errorf("templates: no page %q in language %q", p.Name, p.Lang)
	}
	return t.ExecuteTemplate(w, "layout.html", p)
}
