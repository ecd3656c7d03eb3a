//go:build campaign

package main

import (
	"math/rand/v2"
	"net/http"
	"os"
	"slices"
	"syscall"
	"testing"
	"time"
)

// T20: the database's disk is full, again and again, under people who sign in,
// reset and refresh. PostgreSQL ends itself when its log has no room, and a
// supervisor starts it again; what was acknowledged is there. (SQLite's disk is
// TestFaultAFullDiskLosesNothingAndLetsNobodyIn.)
func TestT20AFullDiskLosesNothingAcknowledged(t *testing.T) {
	disk, err := os.MkdirTemp("", "idp-disk-")
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Mount("tmpfs", disk, "tmpfs", 0, "size=192m,mode=755"); err != nil {
		t.Fatalf("a small disk needs root: %v", err)
	}
	t.Cleanup(func() { _, _ = syscall.Unmount(disk, syscall.MNT_DETACH), os.Remove(disk) })
	t.TempDir() // ours stays where it is; PostgreSQL's goes to the small disk
	t.Setenv("TMPDIR", disk)
	s := newSite(t, siteOptions{nodes: 2})
	town := populate(t, s)
	town.live(10)
	into := rand.New(rand.NewPCG(s.seed, 20))
	fills := setting("IDP_FILLS", 10)
	var ready []time.Duration
	felt := 0
	for range fills {
		time.Sleep(time.Second + time.Duration(into.Int64N(int64(2*time.Second))))
		before := s.answered(http.StatusServiceUnavailable)
		free := fill(t, disk)
		time.Sleep(2*time.Second + time.Duration(into.Int64N(int64(3*time.Second))))
		if s.answered(http.StatusServiceUnavailable) > before { // the database felt it
			felt++
		}
		free()
		back := time.Now()
		s.pg.Stop() // what is left of it
		s.pg.Start()
		for _, n := range s.nodes {
			s.waitReady(n)
		}
		ready = append(ready, time.Since(back))
	}
	town.stop()
	if felt < fills/2 {
		t.Errorf("the database felt only %d of %d full disks", felt, fills)
	}
	twice := town.reckon(0)
	slices.Sort(ready)
	if worst := ready[len(ready)-1]; worst > 30*time.Second {
		t.Errorf("once they were ready only %s after there was space", worst)
	}
	out, err := idp(t, "audit", "verify", "--config", s.config)
	if err != nil {
		t.Errorf("the audit trail: %v\n%s", err, out)
	}
	t.Logf("T20 seed %d: %d times full, felt %d times, %s; ready p50 %s, max %s; mails sent twice %d; %s", s.seed, fills, felt,
		town.figures(), middle(ready), ready[len(ready)-1].Round(time.Millisecond), twice, out)
}

// answered counts the answers of one status so far.
func (s *site) answered(status int) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.answers[status]
}
