package templates

import (
	"io"
	"testing"

	"github.com/medximity/idp/flows"
)

func BenchmarkPage(b *testing.B) {
	s, err := Load()
	if err != nil {
		b.Fatal(err)
	}
	p := Page{Name: "login", Lang: "ko", Step: "identify", Flow: "flow", App: "Chart", Path: "/login", Data: flows.SignInPage{}}
	b.ReportAllocs()
	for b.Loop() {
		if err := s.Page(io.Discard, p); err != nil {
			b.Fatal(err)
		}
	}
}
