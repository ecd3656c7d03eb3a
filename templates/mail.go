package templates

import (
	"bytes"
	"fmt"
	"html/template"
	"io/fs"
	texttemplate "text/template"
)

// Mail is a mail as one person will read it, in both of its forms.
type Mail struct {
	Subject string
	Text    string
	HTML    string
}

// letter is what a mail's templates see.
type letter struct {
	Lang    string
	Subject string
	Data    map[string]any
}

func (s *Set) loadMails() error {
	s.html = map[string]map[string]*template.Template{}
	s.text = map[string]map[string]*texttemplate.Template{}
	for _, lang := range Languages() {
		var err error
		if s.html[lang], err = s.parse(lang, "mail/[a-z]*.html", "mail/_*.html"); err != nil {
			return err
		}
		if s.text[lang], err = s.parseText(lang); err != nil {
			return err
		}
	}
	return nil
}

func (s *Set) parseText(lang string) (map[string]*texttemplate.Template, error) {
	names, err := fs.Glob(files, "mail/[a-z]*.txt")
	if err != nil {
		return nil, err
	}
	sets := map[string]*texttemplate.Template{}
	for _, file := range names {
		t, err := texttemplate.New("").Option("missingkey=error").
			Funcs(texttemplate.FuncMap(s.funcs(lang))).ParseFS(files, "mail/_*.txt", file)
		if err != nil {
			return nil, err
		}
		sets[nameOf(file)] = t
	}
	return sets, nil
}

// Mail writes a mail. It fails if data lacks anything that the mail needs, so
// that no mail goes out with a hole in it.
func (s *Set) Mail(lang, name string, data map[string]any) (Mail, error) {
	html, ok := s.html[lang][name]
	text, both := s.text[lang][name]
	if !ok || !both {
		return Mail{}, fmt.Errorf("templates: no mail %q in language %q", name, lang)
	}
	subject, err := s.words.say(lang, "mail."+name+".subject", data)
	if err != nil {
		return Mail{}, err
	}
	subject = Line(subject) // it is the title of the HTML, too, and holds names
	l := letter{Lang: lang, Subject: subject, Data: data}
	var plain, rich bytes.Buffer
	if err := text.ExecuteTemplate(&plain, "_layout.txt", l); err != nil {
		return Mail{}, err
	}
	if err := html.ExecuteTemplate(&rich, "_layout.html", l); err != nil {
		return Mail{}, err
	}
	return Mail{Subject: subject, Text: plain.String(), HTML: rich.String()}, nil
}
