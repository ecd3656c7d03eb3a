package main

import (
	"bufio"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/medximity/idp/provider/store"
)

func auditCommand() *cobra.Command {
	cmd := configurable(&cobra.Command{Use: "audit", Short: "Look after the audit trail"}, "store")
	cmd.PersistentFlags().Bool("json", false, "print JSON")
	verify := &cobra.Command{
		Use: "verify", Short: "Read the whole audit trail and name the first row that is not as it was written",
		Long: `Read the whole audit trail and name the first row that is not as it was written.

Rows changed, deleted, added to the past or moved are found by the trail alone.
That its end was cut off, or that somebody who has the key ring wrote it anew,
is found by what the log says of it: give the log with --checkpoints, or single
checkpoints with --checkpoint. Rows of the last second or so are not chained yet.`,
		Args: cobra.NoArgs, RunE: auditVerify,
	}
	verify.Flags().StringArray("checkpoint", nil, "`SEQ:HASH[:MAC]` that the trail must agree with")
	verify.Flags().String("checkpoints", "",
		"`FILE` of log lines, - for standard input; all but \"audit checkpoint\" is passed over")
	cmd.AddCommand(verify, auditExport())
	return cmd
}

func auditVerify(cmd *cobra.Command, _ []string) error {
	checkpoints, err := checkpointsOf(cmd)
	if err != nil {
		return err
	}
	return withRing(cmd, func(ctx context.Context, st *store.Store, _ *Config) error {
		r, err := st.Verify(ctx, checkpoints)
		if err != nil {
			return err
		}
		if wantsJSON(cmd) {
			err = printJSON(cmd, r)
		} else if r.Fault == nil {
			_, err = fmt.Fprintln(cmd.OutOrStdout(), sound(r))
		}
		if err != nil || r.Fault == nil {
			return err
		}
		return unsound(r)
	})
}

// sound says what is well.
func sound(r store.Report) string {
	s := fmt.Sprintf("%d rows, ", r.Rows)
	if r.Rows > 0 {
		s += fmt.Sprintf("last %d of %s, ", r.Last, r.LastAt.Format(time.RFC3339))
	}
	s += fmt.Sprintf("%d not chained yet", r.Unchained)
	if r.Checkpoints > 0 {
		s += fmt.Sprintf(", %d checkpoints agree", r.Checkpoints)
	}
	return s
}

// unsound names the first bad row.
func unsound(r store.Report) error {
	what := "the row"
	if r.Fault.Sequence > 0 {
		what = fmt.Sprintf("row %d", r.Fault.Sequence)
	}
	if r.Fault.ID != "" {
		what += fmt.Sprintf(" (%q)", r.Fault.ID)
	}
	return fmt.Errorf("audit trail: %s is %s: %s; %d found in all", what, r.Fault.Damage, r.Fault.Detail, r.Bad)
}

// checkpointsOf collects the checkpoints of both flags.
func checkpointsOf(cmd *cobra.Command) (all []store.Checkpoint, err error) {
	single, _ := cmd.Flags().GetStringArray("checkpoint")
	for _, s := range single {
		c, err := checkpointOf(s)
		if err != nil {
			return nil, err
		}
		all = append(all, c)
	}
	name, _ := cmd.Flags().GetString("checkpoints")
	if name == "" {
		return all, nil
	}
	in := cmd.InOrStdin()
	if name != "-" {
		f, err := os.Open(name)
		if err != nil {
			return nil, err
		}
		defer func() { _ = f.Close() }()
		in = f
	}
	logged, err := readCheckpoints(in)
	if err == nil && len(logged) == 0 {
		err = fmt.Errorf("%s has no \"audit checkpoint\" in it", name)
	}
	return append(all, logged...), err
}

func checkpointOf(s string) (c store.Checkpoint, err error) {
	seq, rest, _ := strings.Cut(s, ":")
	c.Hash, c.MAC, _ = strings.Cut(rest, ":")
	c.Sequence, err = strconv.ParseInt(seq, 10, 64)
	if err != nil || c.Hash == "" {
		return c, fmt.Errorf("--checkpoint %s: not SEQ:HASH[:MAC]", s)
	}
	return c, nil
}

// readCheckpoints reads a log. Whatever carries it may have put something
// before the JSON of a line.
func readCheckpoints(in io.Reader) (all []store.Checkpoint, err error) {
	r := bufio.NewReader(in)
	for {
		line, err := r.ReadString('\n')
		if c, ok := loggedCheckpoint(line); ok {
			all = append(all, c)
		}
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

func loggedCheckpoint(line string) (store.Checkpoint, bool) {
	i := strings.IndexByte(line, '{')
	if i < 0 || !strings.Contains(line, `"audit checkpoint"`) {
		return store.Checkpoint{}, false
	}
	var l struct {
		Message  string `json:"msg"`
		Sequence int64  `json:"sequence"`
		Hash     string `json:"hash"`
		MAC      string `json:"mac"`
	}
	err := json.Unmarshal([]byte(line[i:]), &l)
	// In a log none comes without a MAC, unless somebody took it away.
	return store.Checkpoint{Sequence: l.Sequence, Hash: l.Hash, MAC: cmp.Or(l.MAC, "none")},
		err == nil && l.Message == "audit checkpoint" && l.Hash != ""
}
