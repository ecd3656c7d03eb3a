//go:build campaign

package main

import (
	"bytes"
	"crypto/sha256"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// T37: the same commit gives the same binary, byte for byte, wherever and
// whenever it is built. Two checkouts in two folders, each compiled from nothing.
//
//	go test -tags campaign ./cmd/idp -run T37 -v -timeout 30m
func TestT37BuildsAreReproducible(t *testing.T) {
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	build := func() (sum [32]byte, size int) {
		dir := filepath.Join(t.TempDir(), "checkout")
		command(t, root, nil, "git", "clone", "-q", root, dir)
		out := filepath.Join(dir, "idp")
		command(t, dir, []string{"GOCACHE=" + t.TempDir(), "GOFLAGS=-mod=readonly", "CGO_ENABLED=0"},
			"go", "build", "-trimpath", "-ldflags=-s -w -buildid=", "-o", out, "./cmd/idp")
		b, err := os.ReadFile(out)
		if err != nil {
			t.Fatal(err)
		}
		return sha256.Sum256(b), len(b)
	}
	first, size := build()
	second, _ := build()
	t.Logf("%d bytes, SHA-256 %x", size, first)
	if first != second {
		t.Errorf("another binary: %x", second)
	}
	command(t, root, nil, "go", "mod", "verify")
}

func command(t *testing.T, dir string, env []string, name string, args ...string) {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir, cmd.Env = dir, append(os.Environ(), env...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s", cmd, err, out.String())
	}
}
