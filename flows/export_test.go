package flows

import "strings"

// Due names what the policy would ask, best first.
func Due(p Policy, v View) string {
	var names []string
	for _, s := range p.due(v) {
		names = append(names, string(s.Name()))
	}
	return strings.Join(names, " ")
}
