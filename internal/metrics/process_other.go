//go:build !linux

package metrics

func residentBytes() (uint64, bool) { return 0, false }
func openFiles() (int, bool)        { return 0, false }
