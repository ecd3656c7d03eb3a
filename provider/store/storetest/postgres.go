package storetest

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver "pgx", to make databases with
)

// bin is where Debian and Ubuntu put PostgreSQL 15.
const bin = "/usr/lib/postgresql/15/bin"

// cluster is one running PostgreSQL.
type cluster struct {
	dir   string
	port  int
	who   *syscall.SysProcAttr
	proc  *exec.Cmd
	next  atomic.Int64
	admin *sql.DB
}

// shared is the test binary's one cluster, started by the first test that
// needs it and stopped by Main.
var shared = sync.OnceValues(start)

// started is closed over by Main so that it stops only what was started.
var started atomic.Pointer[cluster]

// Main runs the tests and stops the PostgreSQL that they started, if any.
func Main(m *testing.M) int {
	code := m.Run()
	if c := started.Load(); c != nil {
		c.stop()
	}
	return code
}

// Postgres returns the URL of a new, empty database. Without PostgreSQL 15 on
// the machine the test fails: half of what it promises would be unproven.
func Postgres(t testing.TB) string {
	t.Helper()
	c, err := shared()
	if err != nil {
		t.Fatalf("storetest: PostgreSQL did not start: %v", err)
	}
	name := fmt.Sprintf("t%d", c.next.Add(1))
	if _, err := c.admin.Exec("CREATE DATABASE " + name); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if _, err := c.admin.Exec("DROP DATABASE IF EXISTS " + name + " WITH (FORCE)"); err != nil {
			t.Error(err)
		}
	})
	return c.url(name)
}

func (c *cluster) url(name string) string {
	return fmt.Sprintf("postgres://postgres@127.0.0.1:%d/%s?sslmode=disable", c.port, name)
}

// start makes and runs a cluster. It keeps nothing: no fsync.
func start() (*cluster, error) {
	if _, err := os.Stat(filepath.Join(bin, "initdb")); err != nil {
		return nil, errors.New("install PostgreSQL 15 (apt-get install postgresql-15)")
	}
	dir, err := os.MkdirTemp("", "idp-pg-")
	if err != nil {
		return nil, err
	}
	c := &cluster{dir: dir}
	started.Store(c)
	if c.who, err = servant(dir); err != nil {
		return nil, err
	}
	data := filepath.Join(dir, "data")
	if out, err := c.command("initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8",
		"--locale=C", "--no-sync").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("initdb: %w\n%s", err, out)
	}
	if c.port, err = freePort(); err != nil {
		return nil, err
	}
	c.proc = c.command("postgres", "-D", data, "-h", "127.0.0.1", "-p", strconv.Itoa(c.port), "-k", dir,
		"-c", "fsync=off", "-c", "full_page_writes=off", "-c", "max_connections=300",
		"-c", "shared_buffers=64MB", "-c", "log_min_messages=fatal")
	if err := c.proc.Start(); err != nil {
		return nil, err
	}
	return c, c.wait()
}

// servant is whom PostgreSQL runs as: it refuses root, so then it is the
// system's user postgres, who gets the folder.
func servant(dir string) (*syscall.SysProcAttr, error) {
	who := &syscall.SysProcAttr{Pdeathsig: syscall.SIGQUIT} // dies with the tests
	if os.Geteuid() != 0 {
		return who, nil
	}
	u, err := user.Lookup("postgres")
	if err != nil {
		return nil, err
	}
	uid, err := strconv.ParseUint(u.Uid, 10, 32)
	if err != nil {
		return nil, err
	}
	gid, err := strconv.ParseUint(u.Gid, 10, 32)
	if err != nil {
		return nil, err
	}
	who.Credential = &syscall.Credential{Uid: uint32(uid), Gid: uint32(gid)}
	return who, os.Chown(dir, int(uid), int(gid))
}

func (c *cluster) command(name string, args ...string) *exec.Cmd {
	cmd := exec.Command(filepath.Join(bin, name), args...)
	cmd.Dir, cmd.SysProcAttr = c.dir, c.who
	cmd.Env = append(os.Environ(), "LC_ALL=C", "HOME="+c.dir)
	return cmd
}

// wait waits until the cluster answers.
func (c *cluster) wait() (err error) {
	if c.admin, err = sql.Open("pgx", c.url("postgres")); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	for {
		if err := c.admin.PingContext(ctx); err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("it does not answer on port %d", c.port)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func (c *cluster) stop() {
	if c.admin != nil {
		_ = c.admin.Close()
	}
	if c.proc != nil && c.proc.Process != nil {
		_ = c.proc.Process.Signal(syscall.SIGQUIT)
		_ = c.proc.Wait()
	}
	if strings.HasPrefix(filepath.Base(c.dir), "idp-pg-") {
		_ = os.RemoveAll(c.dir)
	}
}

func freePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}
