package account

import "strings"

// NormalNPI returns an NPI as typed without the spaces and hyphens that people
// put into it.
func NormalNPI(typed string) string {
	return strings.NewReplacer(" ", "", "-", "", "\u00a0", "").Replace(typed)
}

// ValidNPI reports whether s is a National Provider Identifier: ten digits, of
// which the first is 1 or 2, with the Luhn check digit over the number behind
// the prefix 80840 (45 CFR 162.406, CMS "NPI Check Digit").
func ValidNPI(s string) bool {
	if len(s) != 10 || s[0] != '1' && s[0] != '2' {
		return false
	}
	sum := 24 // what the prefix 80840 contributes
	for i := range 10 {
		d := int(s[i]) - '0'
		if d < 0 || d > 9 {
			return false
		}
		if i%2 == 0 { // every second digit from the right, the check digit not among them
			if d *= 2; d > 9 {
				d -= 9
			}
		}
		sum += d
	}
	return sum%10 == 0
}
