package tracker

import (
	"context"
	"errors"
	"time"

	"r2v-mcp/internal/video"
)

const (
	// firstBill is the first pause after a clip's bill was asked for in vain; they double from there, up to slowBill.
	firstBill, slowBill = 10 * time.Second, 30 * time.Minute
	// billLease is how long a question for a bill is its process's: longer than it can take, with its places in line.
	billLease = 5 * time.Minute
	// manyBills is how many are asked for in a row.
	manyBills = 16
	// billsIdle is how often it is looked for bills that another process has left behind.
	billsIdle = 10 * time.Minute
	// billsLater is how long a service that fails is left alone with bills.
	billsLater = time.Minute
)

// billRound asks for the bills that are due, and returns how long there is nothing more to do. A bill may be settled after the end, and without
// one nobody knows what was spent; under a day's budget a clip without a rate keeps the next from being bought.
func (t *Tracker) billRound(ctx context.Context) (pause time.Duration) {
	defer func() {
		if p := recover(); p != nil {
			pause = billsLater
			t.crashed(ctx, p)
		}
	}()
	if aside := time.Until(t.billsAside); aside > 0 {
		return aside
	}
	at, err := t.Ledger.NextBill(ctx)
	if err == nil && !at.IsZero() && !at.After(time.Now()) {
		err = t.askBills(ctx)
		at = time.Now().Add(firstPause)
	}
	switch {
	case err != nil && ctx.Err() == nil:
		t.complain(ctx, err)
		return firstBill
	case at.IsZero():
		return billsIdle
	}
	return max(firstPause, min(billsIdle, time.Until(at)))
}

// askBills asks for bills in turn. A service that fails again and again is left alone for a while, and longer where it refuses this process: the
// bills are due for others meanwhile.
func (t *Tracker) askBills(ctx context.Context) error {
	if t.keyless() {
		t.billsAside = time.Now().Add(billsIdle)
		return nil
	}
	due, err := t.Ledger.DueBills(ctx, manyBills)
	failed := 0 // in a row: what fails for one clip may work for the next
	for _, task := range due {
		mine, taken, err := t.Ledger.TakeBill(ctx, task, time.Now().Add(billLease))
		if err != nil {
			return err
		}
		if !taken {
			continue
		}
		if err = t.askBill(ctx, mine); err == nil {
			failed = 0
			continue
		}
		if failed++; failed < mostFailures && leftAlone(err) == 0 {
			continue
		}
		t.billsAside = time.Now().Add(apartFor(err))
		return err
	}
	return err
}

// askBill asks for the bill of a clip that this process has taken, and records what comes of it.
func (t *Tracker) askBill(ctx context.Context, task video.Task) error {
	s, err := t.readBill(ctx, task)
	ending := ctx.Err()
	ctx = context.WithoutCancel(ctx)
	next := time.Now() // the next process asks at once
	if ending == nil {
		next = t.billAgain(ctx, &task, err)
	}
	now, told, e := t.Ledger.Billed(ctx, task, s, next)
	if told {
		t.Logger.InfoContext(ctx, "billed", "task", now.ID, "provider_task_id", now.ProviderTaskID, "bill", now.Billed)
		if t.Billed != nil {
			t.Billed(now)
		}
	}
	if e == nil && now.BillAt.IsZero() {
		t.announce(ctx, &now)
	}
	return errors.Join(err, e, ending)
}

// readBill reads a clip that has ended once more, if it was not read a moment ago, and then whatever else tells its bill. Where that fails, only
// that is left alone for a while: a task may tell its bill by itself.
func (t *Tracker) readBill(ctx context.Context, task video.Task) (video.Snapshot, error) {
	s, err := t.ask(ctx, task.ProviderTaskID, t.apart())
	if err != nil && !errors.Is(err, errEarly) {
		return video.Snapshot{}, err
	}
	if s.Bill != nil || s.Usage != nil || time.Now().Before(t.listsAside) {
		return s, nil
	}
	if err := t.turn(ctx, "list"); err != nil {
		return video.Snapshot{}, err
	}
	bill, err := t.Provider.Bill(ctx, task.ProviderTaskID, since(&task))
	if err != nil && ctx.Err() == nil {
		t.listsAside = time.Now().Add(apartFor(err))
		t.Logger.DebugContext(ctx, "bills could not be listed", "err", err)
	}
	return video.Snapshot{Status: video.Succeeded, Bill: bill}, nil
}

// apartFor is how long a service is left alone with bills after an error, longer where it refuses this process.
func apartFor(err error) time.Duration {
	if known, ok := errors.AsType[*video.Error](err); ok && !known.Retryable {
		return billsIdle
	}
	return max(billsLater, leftAlone(err))
}

// billAgain is when a bill is asked for again: after pauses as long as it was asked for in vain, until the provider forgets the clip. Where it could
// not be asked for it is due in a minute, for others, if this process is refused. What a process could not know does not end it for others.
func (t *Tracker) billAgain(ctx context.Context, task *video.Task, failure error) time.Time {
	now := time.Now()
	vain := now.Sub(task.EndedAt).Abs() // a clock may have been set back
	if vain > video.Lifetime {
		mine, err := t.Ledger.Mine(ctx, task.ID)
		if vain > 2*video.Lifetime || failure == nil && err == nil && mine {
			return time.Time{}
		}
		return now.Add(slowBill)
	}
	next := now.Add(min(slowBill, max(firstBill, vain)))
	soon := now.Add(billsLater)
	known, refused := errors.AsType[*video.Error](failure)
	if refused && !known.Retryable || failure != nil && next.Before(soon) {
		return soon
	}
	return next
}

// billWait is how long after its end a task is waited for whose bill is about to be told.
const billWait = 5 * time.Second

// untilBilled waits for the bill of a clip that has just ended.
func (t *Tracker) untilBilled(ctx context.Context, task *video.Task) error {
	left := billWait - time.Since(task.EndedAt).Abs()
	if task.BillAt.IsZero() || task.Upstream != t.Ledger.Upstream || left <= 0 {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, left)
	defer cancel()
	return t.until(ctx, task, func(task *video.Task) bool { return task.BillAt.IsZero() })
}
