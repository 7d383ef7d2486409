package metrics

import (
	"os"
	"strconv"
	"strings"
)

// residentBytes is the memory that the process has: the second number of statm, in pages.
// Source: https://man7.org/linux/man-pages/man5/proc_pid_statm.5.html.
func residentBytes() (uint64, bool) {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0, false
	}
	fields := strings.Fields(string(text))
	if len(fields) < 2 {
		return 0, false
	}
	pages, err := strconv.ParseUint(fields[1], 10, 64)
	return pages * uint64(os.Getpagesize()), err == nil
}

// openFiles is how many descriptors are open, without the one that it takes to count them.
func openFiles() (int, bool) {
	folder, err := os.Open("/proc/self/fd")
	if err != nil {
		return 0, false
	}
	defer func() { _ = folder.Close() }()
	names, err := folder.Readdirnames(-1)
	return len(names) - 1, err == nil
}
