package clips

import "time"

// Hurry makes a bucket repeat after a pause, and give up a transfer that stands still for a time.
func (b *Bucket) Hurry(pause, idle time.Duration) *Bucket {
	b.pause, b.idle = pause, idle
	return b
}
