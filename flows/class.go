package flows

// The authentication context classes we name (OIDC Core section 2, acr).
const (
	ACR1FA = "urn:medximity:acr:1fa"
	ACR2FA = "urn:medximity:acr:2fa"
	// ACRPhr is of a passkey that knew its person: no page can phish it (OpenID
	// Connect Extended Authentication Profile ACR Values 1.0).
	ACRPhr = "phr"
)

// TwoFactors reports whether a class stands for two factors, or more.
func TwoFactors(acr string) bool { return acr == ACR2FA || acr == ACRPhr }

// ACR returns the class that what was proven reaches.
func (f *Flow) ACR() string {
	if f.Has(VerifiedUser) {
		return ACRPhr
	}
	if f.twoFactors() {
		return ACR2FA
	}
	return ACR1FA
}
