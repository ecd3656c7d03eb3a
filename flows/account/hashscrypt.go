package account

import (
	"crypto/subtle"
	"fmt"
	"math/bits"
	"strings"

	"golang.org/x/crypto/scrypt"
)

// What one scrypt hash may cost: as much as going over 256 MiB once, in one lane
// or in more.
const (
	maxScryptWork  = 256 << 20 // 128 N r p
	maxScryptBlock = 64
)

// scryptCost is what makes it dear (RFC 7914 section 2).
type scryptCost struct{ n, r, p int }

func (c scryptCost) check() error {
	switch {
	case bits.OnesCount(uint(c.n)) != 1 || c.n < 2:
		return errHashShape
	case 128*int64(c.n)*int64(c.r)*int64(c.p) > maxScryptWork:
		return fmt.Errorf("over %d MiB of memory by lanes", maxScryptWork>>20)
	}
	return nil
}

// readCost reads block size and lanes beside n.
func readCost(n int, r, p string) (c scryptCost, err error) {
	c.n = n
	if c.r, err = number(r, "a block size", maxScryptBlock); err != nil {
		return c, err
	}
	if c.p, err = number(p, "lanes", maxScryptWork/128); err != nil {
		return c, err
	}
	return c, c.check()
}

func (c scryptCost) matcher(salt, result []byte) (matcher, error) {
	if err := longEnough(salt, result); err != nil {
		return nil, err
	}
	return func(password []byte) bool {
		got, err := scrypt.Key(password, salt, c.n, c.r, c.p, len(result))
		return err == nil && subtle.ConstantTimeCompare(got, result) == 1
	}, nil
}

// phcScrypt reads ln=17,r=8,p=1$salt$result, where ln is the logarithm of N.
func phcScrypt(rest string) (matcher, error) {
	parts := strings.Split(rest, "$")
	if len(parts) != 3 {
		return nil, errHashShape
	}
	params, err := parameters(parts[0], "ln", "r", "p")
	if err != nil {
		return nil, err
	}
	log, err := number(params["ln"], "a logarithm of N", 20)
	if err != nil {
		return nil, err
	}
	cost, err := readCost(1<<log, params["r"], params["p"])
	if err != nil {
		return nil, err
	}
	salt, result, err := saltAndResult(parts[1], parts[2])
	if err != nil {
		return nil, err
	}
	return cost.matcher(salt, result)
}

// djangoScrypt reads 16384$salt$8$5$result, where the salt is the text itself.
func djangoScrypt(rest string) (matcher, error) {
	parts := strings.Split(rest, "$")
	if len(parts) != 5 {
		return nil, errHashShape
	}
	n, err := number(parts[0], "N", 1<<20)
	if err != nil {
		return nil, err
	}
	cost, err := readCost(n, parts[2], parts[3])
	if err != nil {
		return nil, err
	}
	result, err := unbase64(parts[4])
	if err != nil {
		return nil, err
	}
	return cost.matcher([]byte(parts[1]), result)
}
