package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/medximity/idp/flows/account"
	"github.com/medximity/idp/provider/store"
)

// auditExport writes the trail out, for whoever has to answer for it.
func auditExport() *cobra.Command {
	cmd := &cobra.Command{
		Use: "export", Short: "Write the audit trail as lines of JSON (NDJSON), the oldest first",
		Long: `Write the audit trail as lines of JSON (NDJSON), the oldest first. It names
people by their IDs alone: idp account find says whose one is. Times are RFC 3339,
such as 2026-11-25T00:00:00Z, or a day, which begins at midnight UTC.`,
		Args: cobra.NoArgs,
	}
	var q store.AuditQuery
	f := cmd.Flags()
	practice := f.String("practice", "", "`ID` of the practice")
	person := f.String("person", "", "`NAME` (username, address or ID) of whom it happened to, or who acted")
	since := f.String("since", "", "from this `TIME` on")
	until := f.String("until", "", "before this `TIME`")
	cmd.RunE = func(cmd *cobra.Command, _ []string) (err error) {
		q.Practice = account.PracticeID(*practice)
		if q.Since, err = timeFlag("since", *since); err != nil {
			return err
		}
		if q.Until, err = timeFlag("until", *until); err != nil {
			return err
		}
		return withStore(cmd, func(ctx context.Context, st *store.Store) error {
			if *person != "" {
				e, err := findPerson(ctx, st, *person)
				if err != nil {
					return fmt.Errorf("--person: %w", err)
				}
				q.Person = e.ID
			}
			out := bufio.NewWriter(cmd.OutOrStdout())
			lines := json.NewEncoder(out)
			if err := st.ExportAudit(ctx, q, func(r store.AuditRow) error { return lines.Encode(r) }); err != nil {
				return err
			}
			return out.Flush()
		})
	}
	return cmd
}

func timeFlag(name, value string) (t time.Time, err error) {
	if value == "" {
		return t, nil
	}
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err = time.Parse(layout, value); err == nil {
			return t, nil
		}
	}
	return t, fmt.Errorf("--%s %s: neither a time such as 2026-11-25T00:00:00Z nor a day", name, value)
}
