package tracker

import (
	"context"
	"errors"
	"time"

	"r2v-mcp/internal/provider"
	"r2v-mcp/internal/video"
)

const (
	// firstBill is how long after a clip's end its bill is asked for again that was not told with it; the pauses double from there, up to slowBill.
	firstBill, slowBill = 10 * time.Second, 30 * time.Minute
	// billsEvery is how often it is looked for clips without a bill whose end another process has recorded.
	billsEvery = time.Minute
)

// bills asks for the bills of clips whose end told none, which may be settled later, until the provider forgets the clip. Without a bill nobody
// knows what was spent, and under a day's budget a clip without a rate keeps the next from being bought. It returns when it is worth asking again.
func (t *Tracker) bills(ctx context.Context) (time.Time, error) {
	now := time.Now()
	if _, keyless := t.Provider.(provider.WithoutKey); keyless {
		return time.Time{}, nil
	}
	if at := t.billsAfter(time.Time{}); at.After(now) {
		return at, nil
	}
	next, failed := now.Add(billsEvery), 0
	tasks, err := t.Ledger.Billless(ctx)
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
			next = now.Add(max(billsEvery, leftAlone(e)))
			break
		}
	}
	return t.billsAfter(next), err
}

// billsAfter sets when bills are asked for next, unless next is the zero time, and returns it.
func (t *Tracker) billsAfter(next time.Time) time.Time {
	t.mu.Lock()
	defer t.mu.Unlock()
	if !next.IsZero() {
		t.billsAt = next
	}
	return t.billsAt
}

// unbilled takes note of a clip whose end told no bill.
func (t *Tracker) unbilled() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.billsAt = earlier(t.billsAt, time.Now().Add(firstBill))
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
