package account

import (
	"slices"
	"testing"
)

func TestRolesInATeam(t *testing.T) {
	for _, tc := range []struct {
		role         Role
		manages, may []Role
	}{
		{Owner, []Role{Owner, Admin, FrontDesk, Billing, "therapist", ""}, []Role{Billing, FrontDesk, Admin}},
		{Admin, []Role{FrontDesk, Billing, "therapist", ""}, []Role{Billing, FrontDesk}},
		{FrontDesk, nil, nil},
		{Billing, nil, nil},
		{"therapist", nil, nil},
		{Support, nil, nil},
		{"", nil, nil},
	} {
		for _, other := range []Role{Owner, Admin, FrontDesk, Billing, "therapist", ""} {
			if got := tc.role.MayManage(other); got != slices.Contains(tc.manages, other) {
				t.Errorf("%q manages %q: %v", tc.role, other, got)
			}
			if got := tc.role.MayGive(other); got != slices.Contains(tc.may, other) {
				t.Errorf("%q gives %q: %v", tc.role, other, got)
			}
		}
	}
}
