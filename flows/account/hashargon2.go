package account

import (
	"crypto/subtle"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"
)

// What one argon2 hash may cost: 256 MiB, and as much work as four passes over
// them.
const (
	maxArgonMemory = 256 << 10 // KiB
	maxArgonWork   = 1 << 20   // KiB by passes
	maxArgonLanes  = 16
)

type argonKey func(password, salt []byte, passes, memory uint32, lanes uint8, size uint32) []byte

func argon2id(password, salt []byte, passes, memory uint32, lanes uint8, size uint32) []byte {
	return argon2.IDKey(password, salt, passes, memory, lanes, size)
}

func argon2i(password, salt []byte, passes, memory uint32, lanes uint8, size uint32) []byte {
	return argon2.Key(password, salt, passes, memory, lanes, size)
}

// argon2With reads v=19$m=…,t=…,p=…$salt$result, as the reference
// implementation writes it.
func argon2With(key argonKey) func(string) (matcher, error) {
	return func(rest string) (matcher, error) {
		parts := strings.Split(rest, "$")
		if len(parts) != 4 || parts[0] != fmt.Sprintf("v=%d", argon2.Version) {
			return nil, errHashShape
		}
		params, err := parameters(parts[1], "m", "t", "p")
		if err != nil {
			return nil, err
		}
		memory, err := number(params["m"], "KiB of memory", maxArgonMemory)
		if err != nil {
			return nil, err
		}
		passes, err := number(params["t"], "passes over that memory", maxArgonWork/memory)
		if err != nil {
			return nil, err
		}
		lanes, err := number(params["p"], "lanes", maxArgonLanes)
		if err != nil {
			return nil, err
		}
		salt, result, err := saltAndResult(parts[2], parts[3])
		if err != nil {
			return nil, err
		}
		return func(password []byte) bool {
			got := key(password, salt, uint32(passes), uint32(memory), uint8(lanes), uint32(len(result)))
			return subtle.ConstantTimeCompare(got, result) == 1
		}, nil
	}
}
