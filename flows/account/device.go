package account

import (
	"crypto/sha256"
	"encoding/base64"
	"strconv"
)

// Device is a browser that completed a sign-in to an account, where such ones
// have tries of their own (lockout.known_device). It proves nothing: whoever has
// it has MaxFailures tries that strangers cannot use up, within the account's
// totals. The zero Device is none.
type Device struct {
	Guard string // the subject of its guard row
	Epoch int64  // of the account's proofs, when it was made known
}

// NewDevice returns the device that a browser's secret makes to an account. With
// the epoch it is void: a reset, a new password or an operator's stop leaves no
// cookie behind that buys tries. "!" keeps its row apart from those of accounts
// and of identifiers that nobody has.
func NewDevice(id ID, secret string, epoch int64) Device {
	sum := sha256.Sum256([]byte("device:" + secret + ":" + strconv.FormatInt(epoch, 10) + ":" + string(id)))
	return Device{Guard: "!" + base64.RawURLEncoding.EncodeToString(sum[:]), Epoch: epoch}
}

// Known reports whether there is one.
func (d Device) Known() bool { return d.Guard != "" }
