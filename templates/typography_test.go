package templates

import (
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// What a careful editor of each language would strike out, as far as it can be
// seen without understanding a word.
func TestTypography(t *testing.T) {
	for _, lang := range Languages() {
		for key, forms := range texts(t, lang) {
			for _, text := range forms {
				for _, r := range slices.Concat(everywhere, typography[lang]) {
					if r.wrong.MatchString(text) {
						t.Errorf("%s in %s: %s: %q", key, lang, r.why, text)
					}
				}
			}
		}
	}
}

// fault is what no text may have.
type fault struct {
	wrong *regexp.Regexp
	why   string
}

// word finds any of some whole words. (\b would take "êtes" for "tes".)
func word(any string) *regexp.Regexp {
	return regexp.MustCompile(`(?i)(^|[^\pL])(` + any + `)($|[^\pL])`)
}

var everywhere = []fault{
	{regexp.MustCompile(`^[ \n]|[ \n]$|  `), "a stray blank"},
	{regexp.MustCompile(`"|\.\.\.`), "a typewriter's mark"},
	{regexp.MustCompile(` [,.]`), "a blank before a mark"},
}

var typography = map[string][]fault{
	"en": {
		{word(`please|sorry|oops|invalid`), "not our tone (pages.md 27)"},
		{regexp.MustCompile(`(?i)(recogni|organi|authori)s|colour|centre`), "not American spelling"},
		{regexp.MustCompile(`(?i)second (sign-in )?factor|two-factor|\b2FA\b|one-time|recovery code`), "not our word: second step, code, backup code"},
		{regexp.MustCompile(` [:;?!]`), "a blank before a mark"},
	},
	"ko": {
		// Which particle follows depends on the word's last sound.
		{regexp.MustCompile(`\}\}(을|를|이|가|은|는|과|와|으로|로)([^(가-힣]|$)`), "a particle after a word we do not know"},
		{regexp.MustCompile(`습니다 |(하|내|누르|정|보)십시오|당신`), "not our register"},
		{regexp.MustCompile(`[’”»](을|를|이|가|은|는|과|와|으로|로|에)`), "a line that may begin with a particle"},
		{regexp.MustCompile(`요:$|다:$`), "a colon after a sentence"},
		{regexp.MustCompile(`2차 인증|이중 인증|패스워드|암호|복구 코드|아이디`), "not our word: 2단계 인증, 비밀번호, 백업 코드, 사용자 이름"},
		{regexp.MustCompile(` [:;?!]|[：？！，。]`), "not Korean punctuation"},
	},
	"fr": {
		{regexp.MustCompile(`[^\x{202f}][;?!»]|(^|[^\x{202f}]):|«[^\x{202f}]`), "no narrow no-break space"},
		{regexp.MustCompile(`'`), "a typewriter's apostrophe"},
		{regexp.MustCompile(`[Ee]-mail`), "an e-mail that breaks after its e: U+2011"},
		{word(`tu|toi|ton|tes`), "not vous"},
		{word(`support|login|courriel|récupération|2FA|second facteur`), "not our word: assistance, connexion, e‑mail, code de secours, deuxième étape"},
		{word(`(vous êtes|rester|vous garder) (dé)?connecté`), "says whether you are a man"},
	},
	"es": {
		{regexp.MustCompile(` [:;?!»]|« `), "a blank before a mark"},
		{regexp.MustCompile(`(^|[.:] )[^¿?.:]*\?|¿[^?]*$`), "a question with one mark"},
		{regexp.MustCompile(`(^|[.:] )[^¡!.:]*!|¡[^!]*$`), "a call with one mark"},
		{word(`tú|tus?|contigo|vosotros|os|haz|pulsa|escribe|introduce`), "not usted"},
		{word(`email|e-mail|password|ordenador|caduc\pL+|segundo factor|recuperación`), "not our word: correo, contraseña, computadora, vencer, segundo paso, código de respaldo"},
	},
}

// texts returns every form of every text of a language.
func texts(t *testing.T, lang string) map[string]map[string]string {
	t.Helper()
	raw, err := rawWords(files, lang)
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]map[string]string{}
	for key, r := range raw {
		var one string
		forms := map[string]string{}
		if json.Unmarshal(r, &one) == nil {
			forms[""] = one
		} else if err := json.Unmarshal(r, &forms); err != nil {
			t.Fatal(key, err)
		}
		all[key] = forms
	}
	return all
}

// A text that counts has the plural forms that CLDR wants for the counts that
// occur: from a million on Spanish and French have a third, "many".
func TestPluralForms(t *testing.T) {
	english := texts(t, "en")
	for _, lang := range Languages() {
		want := []string{"one", "other"}
		if lang == "ko" {
			want = []string{"other"}
		}
		for key, forms := range texts(t, lang) {
			var got []string
			for form := range forms {
				got = append(got, form)
			}
			slices.Sort(got)
			if _, plain := english[key][""]; plain {
				want := []string{""}
				if !slices.Equal(got, want) {
					t.Errorf("%s in %s has the forms %q, and English has one", key, lang, got)
				}
			} else if !slices.Equal(got, want) {
				t.Errorf("%s in %s has the forms %q, want %q", key, lang, got, want)
			}
		}
	}
}

func TestMoments(t *testing.T) {
	s := load(t)
	for _, tt := range []struct {
		lang string
		at   time.Time
		want string
	}{
		{"en", noon, "November 25, 2026, 12:00 UTC"},
		{"ko", noon, "2026년 11월 25일 12:00 UTC"},
		{"fr", noon, "25 novembre 2026 à 12:00 UTC"},
		{"fr", noon.AddDate(0, 0, 6), "1er décembre 2026 à 12:00 UTC"},
		{"es", noon, "25 de noviembre de 2026, 12:00 UTC"},
		{"es", noon.AddDate(0, 0, 6), "1 de diciembre de 2026, 12:00 UTC"},
	} {
		got, err := s.moment(tt.lang, tt.at)
		if err != nil || got != tt.want {
			t.Errorf("%s: %q, want %q: %v", tt.lang, got, tt.want, err)
		}
	}
}

// Our English asks for no more than eight years of school: the grade of Flesch
// and Kincaid over all that locale/en says.
func TestEnglishIsPlain(t *testing.T) {
	var all []string
	for key, forms := range texts(t, "en") {
		if !strings.HasPrefix(key, "language.") && !strings.HasPrefix(key, "time.") {
			all = append(all, forms["other"]+forms[""])
		}
	}
	if grade := gradeOf(all); grade > 8 {
		t.Errorf("grade %.1f", grade)
	}
	for _, text := range all {
		if n := len(strings.Fields(text)); n > 20 {
			for _, s := range sentences(text) {
				if n := len(strings.Fields(s)); n > 28 {
					t.Errorf("a sentence of %d words: %q", n, s)
				}
			}
		}
	}
}

var (
	sentenceEnd = regexp.MustCompile(`[.?!:] |[.?!:]$`)
	vowels      = regexp.MustCompile(`[aeiouy]+`)
)

func sentences(text string) []string { return sentenceEnd.Split(text, -1) }

// gradeOf is the Flesch–Kincaid grade, syllables counted by their vowels.
func gradeOf(texts []string) float64 {
	var words, ends, syllables float64
	for _, text := range texts {
		text = gap.ReplaceAllString(text, "it")
		for _, s := range sentences(text) {
			if strings.TrimSpace(s) != "" {
				ends++
			}
			for _, w := range strings.Fields(strings.ToLower(s)) {
				words++
				syllables += float64(max(1, len(vowels.FindAllString(strings.TrimSuffix(w, "e"), -1))))
			}
		}
	}
	return 0.39*words/ends + 11.8*syllables/words - 15.59
}
