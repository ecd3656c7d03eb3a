package registry

import "testing"

func TestNames(t *testing.T) {
	person := func(name string) Entry { return Entry{Person: true, Name: name, Active: true} }
	riverside := Entry{Organization: "RIVERSIDE FAMILY PRACTICE, LLC", Active: true}
	for _, c := range []struct {
		name  string
		e     Entry
		given string
		want  bool
	}{
		{"the same", person("GRACE OKAFOR"), "GRACE OKAFOR", true},
		{"in another case", person("GRACE OKAFOR"), "Grace Okafor", true},
		{"last name first", person("GRACE OKAFOR"), "Okafor, Grace", true},
		{"with a middle name", person("GRACE OKAFOR"), "Grace Ida Okafor", true},
		{"with titles", person("GRACE OKAFOR"), "Dr. Grace I. Okafor, MD", true},
		{"accents given", person("JOSE NUNEZ"), "José Núñez", true},
		{"accents registered", person("JOSÉ NÚÑEZ"), "Jose Nunez", true},
		{"accents as two characters", person("JOSE NUNEZ"), "Jose\u0301 Nu\u0301n\u0303ez", true},
		{"letters that are none of ASCII", person("SOREN STRAUSS LOS"), "Søren Strauß Łoś", true},
		{"a hyphen", person("MARY ANN O'BRIEN-HALE"), "Mary Ann O’Brien Hale", true},
		{"an apostrophe left out", person("MARY ANN O'BRIEN-HALE"), "Mary Ann OBrien-Hale", true},
		{"full width", person("GRACE OKAFOR"), "Ｇｒａｃｅ　ＯＫＡＦＯＲ", true},
		{"two forms of a letter", person("ΝΙΚΟΣ ΠΑΠΠΑΣ"), "Νίκος Παππάς", true},
		{"in Korean", person("김 민지"), "민지 김", true},
		{"one name twice", person("THOMAS THOMAS"), "Thomas R. Thomas", true},

		{"the last name alone", person("GRACE OKAFOR"), "Okafor", false},
		{"the first name alone", person("GRACE OKAFOR"), "Grace", false},
		{"another first name", person("GRACE OKAFOR"), "Gloria Okafor", false},
		{"an initial", person("GRACE OKAFOR"), "G. Okafor", false},
		{"part of a word", person("ANN LEE"), "Joanna Leeds", false},
		{"one name once", person("THOMAS THOMAS"), "Thomas", false},
		{"nothing", person("GRACE OKAFOR"), "", false},
		{"punctuation", person("GRACE OKAFOR"), " - , ' ", false},
		{"of nobody", person(""), "", false},
		{"of nobody, somebody's", person(""), "Grace Okafor", false},
		{"of punctuation", person("--"), "Grace Okafor", false},

		{"an organization's", riverside, "Riverside Family Practice LLC", true},
		{"and more", riverside, "The Riverside Family Practice LLC", false},
		{"and less", riverside, "Riverside Family Practice", false},
		{"in another order", riverside, "Family Practice Riverside LLC", false},
		{"a person for it", riverside, "Grace Okafor", false},
		{"a deactivated one's", Entry{}, "Grace Okafor", false},
		{"nothing of nothing", Entry{}, "", false},
	} {
		if got := c.e.Names(c.given); got != c.want {
			t.Errorf("%s: %q by %+v: %v", c.name, c.given, c.e, got)
		}
	}
}
