package account

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"
)

// PasskeyFor is how long a challenge is good (WebAuthn Level 3 section 13.4.3).
const PasskeyFor = 5 * time.Minute

// Passkey is a credential that an authenticator holds for an account.
type Passkey struct {
	ID         string // ours
	Account    ID
	Name       string
	Credential []byte // its ID, as authenticators know it
	Record     []byte // what it is judged by: a document of webauthn's
	Count      uint32 // of its signatures, where its authenticator counts them
	Verified   bool   // it knew its person by a PIN or a finger when it was made
	Synced     bool   // it may be on all of its person's devices
	AddedAt    time.Time
	UsedAt     time.Time
}

// NewPasskey is one about to be added.
type NewPasskey struct {
	Name       string
	Credential []byte
	Record     []byte
	Count      uint32
	Verified   bool
	Synced     bool
}

// Holder is whose passkeys they are, as authenticators remember them.
type Holder struct {
	Handle   []byte // opaque, at most 64 bytes; it names nobody (WebAuthn Level 3 section 14.6.1)
	Username string
	Name     string
	Passkeys []Passkey
}

// Assertion is a proof by a passkey that was judged, and right.
type Assertion struct {
	Passkey Passkey // with its record, count and time as they are now
	Before  uint32  // its count until then
	// Verified says that the authenticator knew its person by a PIN or a finger:
	// then it stands for two factors.
	Verified bool
	// Cloned says that the count did not rise: there may be a copy. It is told,
	// and shuts nobody out, for authenticators err (section 6.1.1).
	Cloned bool
}

// Methods returns the names in RFC 8176 of a proof by the passkey: of a key in
// hardware, or of one that may leave it.
func (p NewPasskey) Methods() []string {
	if p.Synced {
		return []string{"swk", "user"}
	}
	return []string{"hwk", "user"}
}

// Methods is NewPasskey's.
func (p Passkey) Methods() []string { return NewPasskey{Synced: p.Synced}.Methods() }

// BadPasskey is why what an authenticator said is not believed.
type BadPasskey struct{ Cause Reason }

// Error is for programs.
func (b *BadPasskey) Error() string { return "account: passkey refused: " + string(b.Cause) }

// Causes of BadPasskey.
const (
	PasskeyMalformed Reason = "passkey_malformed"
	PasskeyType      Reason = "passkey_type" // made for the other ceremony
	PasskeyChallenge Reason = "passkey_challenge"
	PasskeyExpired   Reason = "passkey_expired"
	PasskeyOrigin    Reason = "passkey_origin"
	PasskeyCross     Reason = "passkey_cross_origin"
	PasskeyParty     Reason = "passkey_rp_id"
	PasskeyPresence  Reason = "passkey_presence" // nobody touched it
	PasskeySignature Reason = "passkey_signature"
	PasskeyUnknown   Reason = "passkey_unknown"   // nobody has it
	PasskeyForeign   Reason = "passkey_foreign"   // somebody else has it
	PasskeyFlags     Reason = "passkey_flags"     // what cannot be, or changed what cannot change
	PasskeyKnown     Reason = "passkey_known"     // to be added, and there already
	PasskeyAlgorithm Reason = "passkey_algorithm" // or an attestation of a kind that was not asked for
)

// PasskeyCauses are all.
var PasskeyCauses = []Reason{PasskeyMalformed, PasskeyType, PasskeyChallenge, PasskeyExpired, PasskeyOrigin, PasskeyCross,
	PasskeyParty, PasskeyPresence, PasskeySignature, PasskeyUnknown, PasskeyForeign, PasskeyFlags, PasskeyKnown,
	PasskeyAlgorithm}

// RelyingParty is what passkeys are made for, and what judges them. It is safe for
// concurrent use.
type RelyingParty struct{ w *webauthn.WebAuthn }

// NewRelyingParty returns the one of a domain; origins are those of its pages.
func NewRelyingParty(domain, name string, origins []string) (*RelyingParty, error) {
	w, err := webauthn.New(&webauthn.Config{RPID: domain, RPDisplayName: name, RPOrigins: origins,
		AttestationPreference: protocol.PreferNoAttestation})
	if err != nil {
		return nil, err
	}
	return &RelyingParty{w}, nil
}

// user is a holder, as webauthn wants one.
type user struct {
	Holder
	credentials []webauthn.Credential
}

func (u user) WebAuthnID() []byte                         { return u.Handle }
func (u user) WebAuthnName() string                       { return u.Username }
func (u user) WebAuthnCredentials() []webauthn.Credential { return u.credentials }
func (u user) WebAuthnDisplayName() string {
	if u.Name == "" {
		return u.Username
	}
	return u.Name
}

func userOf(h Holder) (u user, err error) {
	u.Holder = h
	for _, p := range h.Passkeys {
		var c webauthn.Credential
		if err := json.Unmarshal(p.Record, &c); err != nil {
			return u, err
		}
		c.Authenticator.SignCount = p.Count
		u.credentials = append(u.credentials, c)
	}
	return u, nil
}

// Offer returns what a page hands to the browser to make a passkey: a discoverable
// one if that can be, with a PIN or a finger if that can be, and not one on a
// device that holds one already.
func (rp *RelyingParty) Offer(h Holder, challenge []byte) (options []byte, err error) {
	u, err := userOf(h)
	if err != nil {
		return nil, err
	}
	made, _, err := rp.w.BeginRegistration(u,
		webauthn.WithResidentKeyRequirement(protocol.ResidentKeyRequirementPreferred),
		webauthn.WithExclusions(webauthn.Credentials(u.credentials).CredentialDescriptors()))
	if err != nil {
		return nil, err
	}
	made.Response.Challenge = challenge
	made.Response.Timeout = int(PasskeyFor.Milliseconds())
	return json.Marshal(made.Response)
}

// Made judges what a browser made of an offer.
func (rp *RelyingParty) Made(h Holder, challenge, answer []byte) (*NewPasskey, error) {
	parsed, err := protocol.ParseCredentialCreationResponseBytes(answer)
	if err != nil {
		return nil, &BadPasskey{PasskeyMalformed}
	}
	u, err := userOf(h)
	if err != nil {
		return nil, err
	}
	_, session, err := rp.w.BeginRegistration(u) // for its parameters
	if err != nil {
		return nil, err
	}
	session.Challenge, session.Expires = encoded(challenge), time.Time{}
	c, err := rp.w.CreateCredential(u, *session, parsed)
	if err != nil {
		data := parsed.Response
		return nil, rp.cause(data.CollectedClientData, protocol.CreateCeremony, challenge, &data.AttestationObject.AuthData, why(err, PasskeyAlgorithm))
	}
	if slices.ContainsFunc(h.Passkeys, func(p Passkey) bool { return bytes.Equal(p.Credential, c.ID) }) {
		return nil, &BadPasskey{PasskeyKnown}
	}
	c.Attestation = webauthn.CredentialAttestation{} // none was asked for, and none is kept
	record, err := json.Marshal(c)
	return &NewPasskey{Credential: c.ID, Record: record, Count: c.Authenticator.SignCount,
		Verified: c.Flags.UserVerified, Synced: c.Flags.BackupEligible}, err
}

// Ask returns what a page hands to the browser to have a passkey used: one of
// those, or where there are none any that the browser knows.
func (rp *RelyingParty) Ask(allowed []Passkey, challenge []byte) (options []byte, err error) {
	ask := protocol.PublicKeyCredentialRequestOptions{Challenge: challenge, Timeout: int(PasskeyFor.Milliseconds()),
		RelyingPartyID: rp.w.Config.RPID, UserVerification: protocol.VerificationPreferred}
	for _, p := range allowed {
		ask.AllowedCredentials = append(ask.AllowedCredentials, protocol.CredentialDescriptor{
			Type: protocol.PublicKeyCredentialType, CredentialID: p.Credential})
	}
	return json.Marshal(ask)
}

// Given judges what a browser says to an Ask. find returns the holder of a
// credential, or nil if nobody has it.
func (rp *RelyingParty) Given(challenge, answer []byte, find func(credential []byte) (*Holder, error)) (*Assertion, error) {
	parsed, err := protocol.ParseCredentialRequestResponseBytes(answer)
	if err != nil {
		return nil, &BadPasskey{PasskeyMalformed}
	}
	h, err := find(parsed.RawID)
	if err != nil {
		return nil, err
	}
	if h == nil {
		return nil, &BadPasskey{PasskeyUnknown}
	}
	if handle := parsed.Response.UserHandle; len(handle) > 0 && !bytes.Equal(handle, h.Handle) {
		return nil, &BadPasskey{PasskeyForeign}
	}
	u, err := userOf(*h)
	if err != nil {
		return nil, err
	}
	session := webauthn.SessionData{Challenge: encoded(challenge), RelyingPartyID: rp.w.Config.RPID, UserID: h.Handle,
		UserVerification: protocol.VerificationPreferred}
	c, err := rp.w.ValidateLogin(u, session, parsed)
	if err != nil {
		data := parsed.Response
		return nil, rp.cause(data.CollectedClientData, protocol.AssertCeremony, challenge, &data.AuthenticatorData, why(err, PasskeySignature))
	}
	return assertionOf(*h, c, parsed.Response.AuthenticatorData)
}

func assertionOf(h Holder, c *webauthn.Credential, data protocol.AuthenticatorData) (*Assertion, error) {
	for _, p := range h.Passkeys {
		if !bytes.Equal(p.Credential, c.ID) {
			continue
		}
		a := &Assertion{Passkey: p, Before: p.Count, Verified: data.Flags.UserVerified(), Cloned: c.Authenticator.CloneWarning}
		// A stored warning would refuse all that comes after; it is told once.
		c.Authenticator.CloneWarning = false
		a.Passkey.Count = max(p.Count, data.Counter)
		record, err := json.Marshal(c)
		a.Passkey.Record = record
		return a, err
	}
	return nil, &BadPasskey{PasskeyUnknown}
}

func encoded(challenge []byte) string { return base64.RawURLEncoding.EncodeToString(challenge) }

// cause explains a refusal, in the order of WebAuthn Level 3 section 7.2. It
// judges nothing: that was done.
func (rp *RelyingParty) cause(c protocol.CollectedClientData, ceremony protocol.CeremonyType, challenge []byte,
	data *protocol.AuthenticatorData, last Reason) error {
	hash := sha256.Sum256([]byte(rp.w.Config.RPID))
	for _, check := range []struct {
		ok    bool
		cause Reason
	}{
		{c.Type == ceremony, PasskeyType},
		{c.Challenge == encoded(challenge), PasskeyChallenge},
		{protocol.IsOriginInHaystack(c.Origin, rp.w.Config.RPOrigins), PasskeyOrigin},
		{!c.CrossOrigin && c.TopOrigin == "", PasskeyCross},
		{bytes.Equal(data.RPIDHash, hash[:]), PasskeyParty},
		{data.Flags.UserPresent(), PasskeyPresence},
	} {
		if !check.ok {
			return &BadPasskey{check.cause}
		}
	}
	return &BadPasskey{last}
}

// why is the cause that webauthn's kind of error stands for, once those that cause
// knows are ruled out, and else the last that is left.
func why(err error, last Reason) Reason {
	e, ok := errors.AsType[*protocol.Error](err)
	switch {
	case !ok:
		return last
	case e.Type == protocol.ErrBadRequest.Type:
		return PasskeyFlags
	case e.Type == protocol.ErrVerification.Type, e.Type == protocol.ErrParsingData.Type:
		return PasskeyMalformed
	}
	return last
}

// ChallengeIn returns the challenge that an authenticator's answer says it is to.
func ChallengeIn(answer []byte) ([]byte, error) {
	var said struct {
		Response struct {
			ClientData string `json:"clientDataJSON"`
		} `json:"response"`
	}
	var data struct {
		Challenge string `json:"challenge"`
	}
	malformed := &BadPasskey{PasskeyMalformed}
	if json.Unmarshal(answer, &said) != nil {
		return nil, malformed
	}
	text, err := base64.RawURLEncoding.DecodeString(said.Response.ClientData)
	if err != nil || json.Unmarshal(text, &data) != nil {
		return nil, malformed
	}
	challenge, err := base64.RawURLEncoding.DecodeString(data.Challenge)
	if err != nil {
		return nil, malformed
	}
	return challenge, nil
}
