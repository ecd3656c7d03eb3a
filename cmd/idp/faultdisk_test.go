package main

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// smallDisk runs the demo with its data on a disk of 16 MiB: a tmpfs in a mount
// namespace of the process's own, which ends with it. Who is not root gets a
// user namespace in which they are. outside is where we see the disk.
func smallDisk(t *testing.T) (d *demo, outside string) {
	t.Helper()
	dir := t.TempDir()
	cmd := exec.Command("sh", "-c", `mount -t tmpfs -o size=16m tmpfs "$0" && exec "$@"`, dir,
		idpBinary(t), "demo", "--json", "--addr", "127.0.0.1:0", "--data", dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS}
	if os.Geteuid() != 0 {
		cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	d = announced(t, launch(t, cmd))
	return d, filepath.Join(fmt.Sprintf("/proc/%d/root", d.process.cmd.Process.Pid), dir)
}

// fill writes until nothing more fits, and returns what gives the space back.
func fill(t *testing.T, disk string) (free func()) {
	t.Helper()
	path := filepath.Join(disk, "filler")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for block := make([]byte, 4096); err == nil; {
		_, err = f.Write(block)
	}
	if !errors.Is(err, syscall.ENOSPC) {
		t.Fatalf("the disk is not full: %v", err)
	}
	return func() {
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
	}
}

func TestFaultAFullDiskLosesNothingAndLetsNobodyIn(t *testing.T) {
	d, disk := smallDisk(t)
	failing := newPerson(t)
	failing.visit(d.Issuer + "/login")
	for range 3 {
		failing.signIn(d.grace().Username, "not the right one")
	}
	failing.sees("2 attempts left")
	within := newPerson(t)
	within.visit(d.Issuer + "/login")
	form := within.form("password")
	form.Set("identifier", d.grace().Username)
	form.Set("password", d.grace().Password)

	promised := newPerson(t) // whoever is shown a form may use it
	promised.visit(d.Issuer + "/login")
	free := fill(t, disk)
	for p := newPerson(t); p.visit(d.Issuer+"/login").status == http.StatusOK; p = newPerson(t) {
		promised = p // the file of the WAL had some room yet
	}
	judged := d.metric(verified)
	away(t, newPerson(t), "/login", nil, d)
	away(t, within, "/login/identify", form, d)
	away(t, within, "/forgot-password", map[string][]string{"email": {d.grace().Email}}, d)
	if n := d.metric(verified); n != judged {
		t.Errorf("%v passwords were judged without a charge", n-judged)
	}
	if status := get(t, d.operator()+"/healthz"); status != http.StatusOK {
		t.Errorf("/healthz says %d: restarting us would mend nothing", status)
	}

	free()
	back := time.Now()
	eventually(t, "a page", func() bool { return get(t, d.Issuer+"/login") == http.StatusOK })
	if took := time.Since(back); took > 5*time.Second {
		t.Errorf("served only %s after there was space", took)
	}
	failing.visit(d.Issuer + "/login")
	failing.signIn(d.grace().Username, "not the right one")
	failing.sees("1 attempt left") // the three before are remembered
	promised.signIn(d.grace().Username, d.grace().Password)
	promised.sees(d.grace().Username)
}
