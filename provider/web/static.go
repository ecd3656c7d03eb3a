package web

import (
	"bytes"
	"io/fs"
	"net/http"
	"strings"
	"time"
)

// asset is one static file in memory.
type asset struct {
	name    string
	content []byte
	etag    string
	hashed  bool // it was asked for by the name of its content
}

// Static serves the style sheet, the script and the icon. By the names that
// pages use they never change, and are kept for a year; by their plain names
// they are asked about each time.
func (s *Site) Static(files fs.FS) http.Handler {
	assets := map[string]asset{}
	err := fs.WalkDir(files, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := fs.ReadFile(files, name)
		if err != nil {
			return err
		}
		path := s.Templates.Asset(name)
		a := asset{name: name, content: b, etag: `"` + strings.TrimPrefix(path, "/static/") + `"`}
		assets["/static/"+name] = a
		a.hashed = true
		assets[path] = a
		return nil
	})
	if err != nil {
		panic(err) // the files are inside the program
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		a, ok := assets[r.URL.Path]
		if !ok {
			http.NotFound(w, r)
			return
		}
		h := w.Header()
		h.Set("ETag", a.etag)
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-cache")
		if a.hashed {
			h.Set("Cache-Control", "public, max-age=31536000, immutable")
		}
		http.ServeContent(w, r, a.name, time.Time{}, bytes.NewReader(a.content))
	})
}
