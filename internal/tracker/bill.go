package tracker

import (
	"context"
	"errors"
	"time"

	"r2v-mcp/internal/video"
)

const (
	// firstBill is how long after a clip's end its bill is asked for again that was not told with it; the pauses double from there, up to slowBill.
	firstBill, slowBill = 10 * time.Second, 30 * time.Minute
	// billsEvery is how often it is looked for clips without a bill whose end another process has recorded, and billsLater how long a service
	// that fails is left alone with them.
	billsEvery, billsLater = 10 * time.Minute, time.Minute
)

// bills asks for the bills of clips whose end told none, which may be settled later, until the provider forgets the clip. Without a bill nobody
// knows what was spent, and under a day's budget a clip without a rate keeps the next from being bought. It returns when it is worth asking again.
func (t *Tracker) bills(ctx context.Context) (time.Time, error) {
	now := time.Now()
	if at := t.billsFrom(now); at.After(now) {
		return at, nil
	}
	tasks, err := t.Ledger.Billless(ctx)
	if len(tasks) > 0 && t.keyless() {
		tasks = nil // they are for a server that may ask
	}
	next, failed := now.Add(billsEvery), 0
	for i := range tasks {
		if at := billAt(&tasks[i], now); at.After(now) {
			next = earlier(next, at)
			continue
		}
		e := t.bill(ctx, tasks[i])
		if err = errors.Join(err, e); e == nil {
			next = earlier(next, now.Add(firstBill))
			continue
		}
		if failed++; failed == mostFailures || leftAlone(e) > 0 {
			next = now.Add(max(billsLater, leftAlone(e)))
			break
		}
	}
	return t.billsBy(next), err
}

// billsFrom is when bills are asked for next. Where that is now, it is taken for done.
func (t *Tracker) billsFrom(now time.Time) time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	due := t.billsAt
	if !due.After(now) {
		t.billsAt = now.Add(billsEvery)
	}
	return due
}

// billsBy makes bills be asked for by then, and returns when they are.
func (t *Tracker) billsBy(at time.Time) time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.billsAt = earlier(t.billsAt, at)
	return t.billsAt
}

// bill asks once for the bill of a clip. One that cannot be read comes after all others.
func (t *Tracker) bill(ctx context.Context, task video.Task) error {
	s, err := t.ask(ctx, task.ProviderTaskID, t.ReadInterval)
	if errors.Is(err, errEarly) {
		return nil
	}
	now, told, e := t.Ledger.Billed(context.WithoutCancel(ctx), task, s)
	if !told {
		return errors.Join(err, e)
	}
	t.Logger.InfoContext(ctx, "billed", "task", now.ID, "provider_task_id", now.ProviderTaskID, "bill", now.Billed)
	t.dial()
	if t.Billed != nil {
		t.Billed(now)
	}
	return nil
}

// billAt is when a clip's bill is worth asking for: the pauses are as long as it was asked for in vain.
func billAt(task *video.Task, now time.Time) time.Time {
	asked := earlier(task.LookedAt, now) // what is further ahead is of before the clock was set back
	return asked.Add(min(slowBill, max(firstBill, asked.Sub(task.EndedAt))))
}
