package templates

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// html-validate finds nothing wrong with any page, in any state and language,
// nor with the HTML of any mail: unclosed and misplaced elements, duplicate and
// unknown attributes, wrong values, labels and roles that do not fit.
func TestHTMLIsValid(t *testing.T) {
	validator, err := filepath.Abs(filepath.Join(nodeModules, "html-validate", "bin", "html-validate.mjs"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(validator); err != nil {
		t.Fatal("cd cmd/idp/testdata/node && npm ci: ", err)
	}
	dir := t.TempDir()
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Mkdir(filepath.Join(dir, "mail"), 0o755); err != nil {
		t.Fatal(err)
	}
	write(".htmlvalidate.json", `{"root": true, "extends": ["html-validate:standard"]}`)
	// Outlook knows tables and their attributes, not much more.
	write("mail/.htmlvalidate.json", `{"rules": {"no-deprecated-attr": "off"}}`)
	s := load(t)
	for _, lang := range Languages() {
		for i, sample := range samples() {
			write(fmt.Sprintf("%s-%02d-%s.html", lang, i, sample.page.Name), render(t, s, sample.page, lang))
		}
		for name, data := range letters() {
			m, err := s.Mail(lang, name, data)
			if err != nil {
				t.Fatal(err)
			}
			write(filepath.Join("mail", lang+"-"+name+".html"), m.HTML)
		}
	}
	cmd := exec.Command("node", validator, "--formatter", "text", ".")
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
