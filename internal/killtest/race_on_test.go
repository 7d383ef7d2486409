//go:build race

package killtest

// racing tells that the race detector is at work, which makes what is measured here ten times as slow.
const racing = true
