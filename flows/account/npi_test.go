package account

import "testing"

func TestValidNPI(t *testing.T) {
	for _, tt := range []struct {
		name, npi string
		want      bool
	}{
		{"CMS's example", "1234567893", true},
		{"another good one", "1245319599", true},
		{"wrong check digit", "1234567890", false},
		{"starts with 3", "3234567893", false},
		{"nine digits", "123456789", false},
		{"a letter", "12345678a3", false},
		{"empty", "", false},
	} {
		if got := ValidNPI(tt.npi); got != tt.want {
			t.Errorf("%s: ValidNPI(%q) = %v", tt.name, tt.npi, got)
		}
	}
	if got := NormalNPI("1234 567-893"); got != "1234567893" {
		t.Errorf("NormalNPI: %q", got)
	}
}
