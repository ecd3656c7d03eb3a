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
	"html/template"
	"io"
	"io/fs"
	"path"
	"strings"
	texttemplate "text/template"
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

	Problems []Problem // what was wrong with the answer, in the order of the page
	Warning  string    // what will happen if it goes on like this
	Notice   string    // what has just been done
	Outdated bool      // the browser is Internet Explorer

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
	shared, err := template.New("").Option("missingkey=error").Funcs(s.funcs("en")).
		ParseFS(files, "layout.html", "_*.html")
	if err != nil {
		return nil, err
	}
	for _, lang := range Languages() {
		if s.pages[lang], err = s.parse(shared, "page/*.html", lang); err != nil {
			return nil, err
		}
	}
	return s, s.loadMails()
}

// parse gives each file of the pattern a set of its own: the shared templates
// and the file, speaking one language.
func (s *Set) parse(shared *template.Template, pattern, lang string) (map[string]*template.Template, error) {
	names, err := fs.Glob(files, pattern)
	if err != nil {
		return nil, err
	}
	sets := map[string]*template.Template{}
	for _, file := range names {
		t, err := shared.Clone()
		if err != nil {
			return nil, err
		}
		if _, err := t.Funcs(s.funcs(lang)).ParseFS(files, file); err != nil {
			return nil, err
		}
		sets[nameOf(file)] = t
	}
	return sets, nil
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
