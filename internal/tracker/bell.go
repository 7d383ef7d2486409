package tracker

import "sync"

// bell lets a loop of this process begin its next round at once. Its zero value is ready.
type bell struct {
	made sync.Once
	c    chan struct{}
}

// rings is what the loop waits on.
func (b *bell) rings() chan struct{} {
	b.made.Do(func() { b.c = make(chan struct{}, 1) })
	return b.c
}

func (b *bell) ring() {
	select {
	case b.rings() <- struct{}{}:
	default: // it rings already
	}
}
