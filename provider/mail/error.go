package mail

import (
	"errors"
	"fmt"
	"strings"

	"github.com/wneessen/go-mail"
)

// Error says why a mail was not delivered. It never carries the address or the
// server's words, which repeat it: errors are logged, addresses are not.
type Error struct {
	During string // what go-mail was doing
	Code   int    // SMTP reply, 0 if the server gave none
	Status string // enhanced status (RFC 3463), where given
	cause  error  // of faults before any address was said
	final  bool
}

func (e *Error) Error() string {
	text := "mail: " + e.During
	if e.Code != 0 {
		text += fmt.Sprintf(": %d %s", e.Code, e.Status)
	}
	if e.cause != nil {
		text += ": " + e.cause.Error()
	}
	return strings.TrimSpace(text)
}

// Unwrap returns the fault of the connection, if it was one.
func (e *Error) Unwrap() error { return e.cause }

// Permanent reports whether trying again is of no use: the server knows that
// nobody has the address.
func (e *Error) Permanent() bool { return e.final }

// fault turns what go-mail says into an Error.
func fault(err error) error {
	if err == nil {
		return nil
	}
	var sent *mail.SendError
	if !errors.As(err, &sent) {
		return &Error{During: "connecting", cause: err}
	}
	e := &Error{During: sent.Reason.String(), Code: sent.ErrorCode(), Status: sent.EnhancedStatusCode()}
	e.final = sent.Reason == mail.ErrSMTPRcptTo && nobody(e.Code, e.Status)
	return e
}

// nobody reports whether a refusal of the recipient is about the recipient.
// Others, such as 5.7.1 "relaying denied", are about us, and somebody may mend
// that while the mail waits (RFC 3463 section 3.2).
func nobody(code int, status string) bool {
	if status != "" {
		return strings.HasPrefix(status, "5.1.") || strings.HasPrefix(status, "5.2.")
	}
	return code == 550 || code == 551 || code == 553
}
