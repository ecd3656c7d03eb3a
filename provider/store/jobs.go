package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/riverqueue/river"
	"github.com/riverqueue/river/rivertype"
)

// Workers do what the store has queued, and what time demands. Any number of
// replicas may work; each job is done by one of them.
type Workers struct {
	// SendMail sends one mail. ErrDrop means that nobody is to get it; an
	// error with Permanent() true, that trying again is of no use. Any other
	// error is tried again for an hour. Errors are logged: they must not name
	// the recipient. Nil: mails wait, and none is lost.
	SendMail func(context.Context, Mail) error
	// TellApp tells one app that a session is over. An error is tried again a few
	// times, unless it has Permanent() true; it must not tell whose session it
	// is. Nil: it waits.
	TellApp func(context.Context, Logout) error
	// RotateKeys is called about each hour, to rotate signing keys if due.
	RotateKeys func(context.Context) error
	// AuditFor is how long audit rows are kept; 0 is 6 years (45 CFR
	// 164.316(b)(2)(i)).
	AuditFor time.Duration
}

// Queues of jobs: mails wait for a mail server, logouts for apps, and nothing
// else for them.
const (
	mailQueue   = "mail"
	logoutQueue = "logout"
	upkeepQueue = "upkeep"
)

const (
	pollEvery   = 250 * time.Millisecond
	clearEvery  = 15 * time.Second // what time alone ends: locks, and waits of transfers and cases
	sweepEvery  = 10 * time.Minute
	rotateEvery = time.Hour
	jobFor      = time.Minute     // a job's longest run
	rescueAfter = 2 * time.Minute // of a crash; longer than jobFor, so that none runs twice at once
)

// newQueue returns the client that only inserts jobs.
func (s *Store) newQueue() (err error) {
	s.queue, err = river.NewClient(s.engine.river(s.write), &river.Config{Logger: quiet(s.Logger)})
	return err
}

// queueJob has a job done after the transaction commits, and never if it does
// not.
func (s *Store) queueJob(ctx context.Context, t *tx, job river.JobArgs) error {
	if _, err := s.queue.InsertTx(ctx, t.sql, job, nil); err != nil {
		return fmt.Errorf("store: job: %w", err)
	}
	return nil
}

// Work starts the workers. stop lets running jobs finish; when its context
// ends first, they are cancelled and will be tried again.
func (s *Store) Work(ctx context.Context, w Workers) (stop func(context.Context) error, err error) {
	chain := &chainer{Store: s}
	c, err := river.NewClient(s.engine.river(s.write), &river.Config{
		Logger:                      quiet(s.Logger),
		ErrorHandler:                faults{s.Logger},
		Workers:                     s.workers(w, chain),
		Queues:                      w.queues(),
		PeriodicJobs:                w.periodic(chain),
		PollOnly:                    true, // LISTEN would not pass through PgBouncer
		FetchPollInterval:           pollEvery,
		JobTimeout:                  jobFor,
		RescueStuckJobsAfter:        rescueAfter,
		CompletedJobRetentionPeriod: time.Hour,
	})
	if err != nil {
		return nil, fmt.Errorf("store: workers: %w", err)
	}
	// Only stop ends the work: ctx may be the one that signals cancel.
	if err := c.Start(context.WithoutCancel(ctx)); err != nil {
		return nil, fmt.Errorf("store: workers: %w", err)
	}
	return func(ctx context.Context) error {
		if err := c.Stop(ctx); err == nil {
			return nil
		}
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		return c.StopAndCancel(ctx)
	}, nil
}

// workers knows every kind of job, even those that this replica leaves to
// others: a leader gives up what it does not know.
func (s *Store) workers(w Workers, chain *chainer) *river.Workers {
	all := river.NewWorkers()
	river.AddWorker(all, &mailWorker{store: s, send: w.SendMail})
	river.AddWorker(all, &logoutWorker{log: s.Logger, tell: w.TellApp})
	river.AddWorker(all, upkeep[clearJob](func(ctx context.Context) error {
		return errors.Join(s.clearExpiredLocks(ctx, batch), s.lapseDevices(ctx, batch), s.transferDue(ctx), s.casesDue(ctx))
	}))
	river.AddWorker(all, upkeep[sweepJob](func(ctx context.Context) error {
		return s.sweep(ctx, w.AuditFor)
	}))
	river.AddWorker(all, &chainWorker{store: s})
	river.AddWorker(all, upkeep[checkpointJob](chain.checkpoint))
	river.AddWorker(all, upkeep[rotateJob](func(ctx context.Context) error {
		if w.RotateKeys == nil {
			return nil
		}
		return w.RotateKeys(ctx)
	}))
	return all
}

func (w Workers) queues() map[string]river.QueueConfig {
	q := map[string]river.QueueConfig{upkeepQueue: {MaxWorkers: 2}} // a long sweep does not stop the chain
	if w.SendMail != nil {
		q[mailQueue] = river.QueueConfig{MaxWorkers: 4}
	}
	if w.TellApp != nil {
		q[logoutQueue] = river.QueueConfig{MaxWorkers: 8} // some apps are slow
	}
	return q
}

func (w Workers) periodic(chain *chainer) []*river.PeriodicJob {
	each := func(every time.Duration, job river.JobArgs) *river.PeriodicJob {
		return river.NewPeriodicJob(river.PeriodicInterval(every),
			func() (river.JobArgs, *river.InsertOpts) { return job, nil }, nil)
	}
	jobs := []*river.PeriodicJob{each(clearEvery, clearJob{}), each(sweepEvery, sweepJob{}),
		each(checkpointEvery, checkpointJob{}),
		river.NewPeriodicJob(river.PeriodicInterval(chainEvery), chain.due, nil)}
	if w.RotateKeys != nil {
		jobs = append(jobs, each(rotateEvery, rotateJob{}))
	}
	return jobs
}

type (
	clearJob      struct{}
	sweepJob      struct{}
	rotateJob     struct{}
	checkpointJob struct{}
	chainJob      struct {
		Far bool `json:"far"`
	}
)

func (j chainJob) look() time.Duration {
	if j.Far {
		return lookFar
	}
	return lookNear
}

// Kind names the job in the queue: stable.
func (clearJob) Kind() string      { return "clear_locks" }
func (sweepJob) Kind() string      { return "sweep" }
func (rotateJob) Kind() string     { return "rotate_keys" }
func (checkpointJob) Kind() string { return "audit_checkpoint" }
func (chainJob) Kind() string      { return "audit_chain" }

// InsertOpts says that one of its kind may wait, and that the next is soon
// enough to mend what it could not.
func (clearJob) InsertOpts() river.InsertOpts      { return once() }
func (sweepJob) InsertOpts() river.InsertOpts      { return once() }
func (rotateJob) InsertOpts() river.InsertOpts     { return once() }
func (checkpointJob) InsertOpts() river.InsertOpts { return once() }
func (chainJob) InsertOpts() river.InsertOpts {
	o := once()
	o.UniqueOpts.ByPeriod = chainStall // one that crashed bars the next no longer
	return o
}

func once() river.InsertOpts {
	return river.InsertOpts{Queue: upkeepQueue, MaxAttempts: 1, UniqueOpts: river.UniqueOpts{
		ByState: []rivertype.JobState{rivertype.JobStateAvailable, rivertype.JobStatePending,
			rivertype.JobStateRunning, rivertype.JobStateRetryable, rivertype.JobStateScheduled}}}
}

// upkeepWorker does a job that has nothing to say.
type upkeepWorker[T river.JobArgs] struct {
	river.WorkerDefaults[T]
	do func(context.Context) error
}

func upkeep[T river.JobArgs](do func(context.Context) error) *upkeepWorker[T] {
	return &upkeepWorker[T]{do: do}
}

// Work does it.
func (w *upkeepWorker[T]) Work(ctx context.Context, _ *river.Job[T]) error { return w.do(ctx) }

// chainWorker links rows of the audit trail.
type chainWorker struct {
	river.WorkerDefaults[chainJob]
	store *Store
}

// Work does it.
func (w *chainWorker) Work(ctx context.Context, j *river.Job[chainJob]) error {
	return w.store.chain(ctx, j.Args.look())
}

// faults logs what a job could not do. River itself says it too softly.
type faults struct{ log *slog.Logger }

// HandleError logs an error, unless it is the end of a shutdown's patience.
func (f faults) HandleError(ctx context.Context, job *rivertype.JobRow,
	err error) *river.ErrorHandlerResult {
	if !errors.Is(err, context.Canceled) {
		f.log.WarnContext(ctx, "a background job failed", "job", job.Kind,
			"attempt", job.Attempt, "cause", err.Error())
	}
	return nil
}

// HandlePanic logs a fault of this program.
func (f faults) HandlePanic(ctx context.Context, job *rivertype.JobRow,
	_ any, trace string) *river.ErrorHandlerResult {
	f.log.ErrorContext(ctx, "a background job panicked", "job", job.Kind, "trace", trace)
	return nil
}

// quiet passes River's warnings on, and not its diary.
func quiet(l *slog.Logger) *slog.Logger { return slog.New(quietHandler{l.Handler()}) }

type quietHandler struct{ slog.Handler }

// Enabled refuses what is below a warning.
func (h quietHandler) Enabled(ctx context.Context, l slog.Level) bool {
	return l >= slog.LevelWarn && h.Handler.Enabled(ctx, l)
}

// queue is the client through which jobs are inserted.
type queue = river.Client[*sql.Tx]
