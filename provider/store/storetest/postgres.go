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

	"github.com/medximity/idp/provider/store"
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

	once   sync.Once // of migrate
	broken error     // what came of it
}

// shared is the test binary's one cluster, started by the first test that
// needs it and stopped by Main.
var shared = sync.OnceValues(func() (*cluster, error) {
	c, err := prepare()
	if err != nil {
		return nil, err
	}
	started.Store(c)
	return c, c.start()
})

// started is closed over by Main so that it stops only what was started.
var started atomic.Pointer[cluster]

// Main runs the tests and stops the PostgreSQL that they started, if any.
func Main(m *testing.M) int {
	code := m.Run()
	if c := started.Load(); c != nil {
		c.remove()
	}
	return code
}

// Postgres returns the URL of a new, empty database. Without PostgreSQL 15 on
// the machine the test fails: half of what it promises would be unproven.
func Postgres(t testing.TB) string {
	t.Helper()
	return postgres(t, "template1")
}

// postgres returns the URL of a new copy of a database.
func postgres(t testing.TB, of string) string {
	t.Helper()
	c, err := shared()
	if err != nil {
		t.Fatalf("storetest: PostgreSQL did not start: %v", err)
	}
	if of == migrated {
		if err := c.migrate(); err != nil {
			t.Fatalf("storetest: %v", err)
		}
	}
	return c.create(t, of)
}

// migrated is the database that has the schema, and nobody's rows.
const migrated = "migrated"

// migrate makes it, once.
func (c *cluster) migrate() error {
	c.once.Do(func() {
		if _, c.broken = c.admin.Exec("CREATE DATABASE " + migrated); c.broken == nil {
			c.broken = store.Migrate(context.Background(), store.Config{URL: c.url(migrated), Logger: quiet})
		}
	})
	return c.broken
}

// create makes a copy of a database that goes with the test.
func (c *cluster) create(t testing.TB, of string) string {
	t.Helper()
	name := fmt.Sprintf("t%d", c.next.Add(1))
	if _, err := c.admin.Exec("CREATE DATABASE " + name + " TEMPLATE " + of); err != nil {
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

// prepare makes a cluster that does not run yet.
func prepare() (*cluster, error) {
	if _, err := os.Stat(filepath.Join(bin, "initdb")); err != nil {
		return nil, errors.New("install PostgreSQL 15 (apt-get install postgresql-15)")
	}
	dir, err := os.MkdirTemp("", "idp-pg-")
	if err != nil {
		return nil, err
	}
	c := &cluster{dir: dir}
	if err := c.init(); err != nil {
		c.remove()
		return nil, err
	}
	return c, nil
}

func (c *cluster) init() (err error) {
	if c.who, err = servant(c.dir); err != nil {
		return err
	}
	if out, err := c.command("initdb", "-D", c.data(), "-U", "postgres", "-A", "trust", "-E", "UTF8",
		"--locale=C", "--no-sync").CombinedOutput(); err != nil {
		return fmt.Errorf("initdb: %w\n%s", err, out)
	}
	if c.port, err = freePort(); err != nil {
		return err
	}
	c.admin, err = sql.Open("pgx", c.url("postgres"))
	return err
}

func (c *cluster) data() string { return filepath.Join(c.dir, "data") }

// start runs the cluster until it answers. It keeps nothing over a loss of
// power (no fsync), but all over a stop of its own.
func (c *cluster) start() error {
	c.proc = c.command("postgres", "-D", c.data(), "-h", "127.0.0.1", "-p", strconv.Itoa(c.port), "-k", c.dir,
		"-c", "fsync=off", "-c", "full_page_writes=off", "-c", "max_connections=300",
		"-c", "shared_buffers=64MB", "-c", "log_min_messages=fatal")
	if err := c.proc.Start(); err != nil {
		return err
	}
	return c.wait()
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
func (c *cluster) wait() error {
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

// stop ends the cluster at once, as `pg_ctl stop -m immediate` does: every
// connection breaks, and the next start recovers.
func (c *cluster) stop() {
	if c.proc != nil && c.proc.ProcessState == nil {
		_ = c.proc.Process.Signal(syscall.SIGQUIT)
		_ = c.proc.Wait()
	}
}

// remove stops the cluster and deletes it.
func (c *cluster) remove() {
	if c.admin != nil {
		_ = c.admin.Close()
	}
	c.stop()
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
