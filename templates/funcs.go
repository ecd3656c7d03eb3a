package templates

import (
	"fmt"
	"html/template"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// funcs is what templates may call, in one language:
//
//	t KEY [NAME VALUE]…  the words for it; the name n chooses the plural
//	moment TIME          a date and time, in words, UTC
//	stamp TIME           the same for <time datetime>
//	device STRING        a browser and its system, in words
//	role STRING          what somebody is in a practice, in words
//	line STRING          what somebody typed, as one line of plain characters
//	languages            for the language switch
//	button HREF WORDS    for the mails' template "button"
//	row NAME VALUE       for a mail's table
//	asset NAME           the path of a static file, to follow .Base
//	qr URI LABEL         a QR code, as inline SVG that says what it is
//	authenticator URI    a link that an authenticator app opens
//	grouped KEY          a key in groups of four, for people who type it
func (s *Set) funcs(lang string) template.FuncMap {
	return template.FuncMap{
		"t": func(key string, args ...any) (string, error) {
			named, err := namedArgs(args)
			if err != nil {
				return "", fmt.Errorf("t %s: %w", key, err)
			}
			return s.words.say(lang, key, named)
		},
		"moment":    func(t time.Time) (string, error) { return s.moment(lang, t) },
		"device":    func(d string) (string, error) { return s.device(lang, d) },
		"role":      func(r string) (string, error) { return s.role(lang, r) },
		"stamp":     stamp,
		"line":      Line,
		"languages": Languages,
		"button":    func(href any, words string) button { return button{fmt.Sprint(href), words} },
		"row":       func(name string, value any) row { return row{name, fmt.Sprint(value)} },
		"asset":     s.Asset,

		"qr":            qrCode,
		"authenticator": authenticatorLink,
		"grouped":       grouped,
	}
}

// button is a link that looks like one.
type button struct{ Href, Words string }

// row is one line of a table.
type row struct{ Name, Value string }

func namedArgs(pairs []any) (map[string]any, error) {
	if len(pairs)%2 != 0 {
		return nil, fmt.Errorf("a name without a value")
	}
	named := make(map[string]any, len(pairs)/2)
	for i := 0; i < len(pairs); i += 2 {
		name, ok := pairs[i].(string)
		if !ok {
			return nil, fmt.Errorf("%v is no name", pairs[i])
		}
		named[name] = pairs[i+1]
	}
	return named, nil
}

// moment writes a time out in UTC. A browser with JavaScript replaces it by
// the person's own clock. The day is a number of its own kind where a language
// says "1er".
func (s *Set) moment(lang string, t time.Time) (string, error) {
	t = t.UTC()
	month, err := s.words.say(lang, "time.month."+strconv.Itoa(int(t.Month())), nil)
	if err != nil {
		return "", err
	}
	return s.words.say(lang, "time.moment", map[string]any{
		"n": t.Day(), "day": t.Day(), "month": month, "year": t.Year(), "clock": t.Format("15:04"),
	})
}

// device says in a language what is kept in English: "Firefox on Windows".
func (s *Set) device(lang, kept string) (string, error) {
	browser, system, both := strings.Cut(kept, " on ")
	if !both {
		return kept, nil
	}
	return s.words.say(lang, "sessions.device", map[string]any{"browser": browser, "system": system})
}

// role says a role in words, and one that a directory made up as it calls it.
func (s *Set) role(lang, r string) (string, error) {
	switch r {
	case "owner", "admin", "front_desk", "billing", "support":
		return s.words.say(lang, "role."+r, nil)
	case "":
		return s.words.say(lang, "role.none", nil)
	}
	return Line(r), nil
}

// Line makes one line of what somebody typed, without the invisible characters
// that reorder text or break out of their line in a mail.
func Line(v any) string {
	s := strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Cf, r) || unicode.IsControl(r) && !unicode.IsSpace(r) {
			return -1
		}
		return r
	}, fmt.Sprint(v))
	return strings.Join(strings.Fields(s), " ")
}

// stamp is a time as <time datetime> has it, to the millisecond. It rounds up:
// what is over at that time must not be said to be over before.
func stamp(t time.Time) string {
	return t.Add(time.Millisecond - 1).Truncate(time.Millisecond).UTC().Format("2006-01-02T15:04:05.000Z")
}
