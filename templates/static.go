package templates

import (
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"path"
	"strings"
)

// Static returns the static files by their plain names.
func Static() fs.FS {
	sub, err := fs.Sub(files, "static")
	if err != nil {
		panic(err) // only for an invalid path
	}
	return sub
}

// Asset returns the path of a static file under the issuer's, with a hash of
// its content in its name: it may be kept for ever, and a new version has
// another name. A file that is not there has an empty path.
func (s *Set) Asset(name string) string { return s.assets[name] }

func hashAssets(static fs.FS) (map[string]string, error) {
	assets := map[string]string{}
	err := fs.WalkDir(static, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := fs.ReadFile(static, name)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(b)
		ext := path.Ext(name)
		assets[name] = "/static/" + strings.TrimSuffix(name, ext) + "." + hex.EncodeToString(sum[:8]) + ext
		return nil
	})
	return assets, err
}
