//go:build !race

package killtest

const racing = false
