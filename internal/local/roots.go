package local

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// Roots reads the operator's list of folders, separated as in PATH. Each is absolute or begins with ~/, exists and is a
// folder; "off" means none. Repeated ones and empty entries are left out. home is what ~ stands for. The error names the entry
// that is wrong.
func Roots(setting, home string) ([]string, error) {
	if strings.EqualFold(strings.TrimSpace(setting), "off") {
		return nil, nil
	}
	var out []string
	for _, entry := range filepath.SplitList(setting) {
		entry = strings.TrimSpace(entry)
		if entry == "" {
			continue
		}
		folder, err := rootOf(entry, home)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(out, folder) {
			out = append(out, folder)
		}
	}
	return out, nil
}

func rootOf(entry, home string) (string, error) {
	folder := entry
	if entry == "~" || strings.HasPrefix(entry, "~/") || strings.HasPrefix(entry, "~"+string(filepath.Separator)) {
		if home == "" {
			return "", fmt.Errorf("%q begins with ~, and there is no home folder", entry)
		}
		folder = home + entry[1:]
	}
	if !filepath.IsAbs(folder) {
		return "", fmt.Errorf("%q is not an absolute path; write it whole, or from ~/ on", entry)
	}
	info, err := os.Stat(folder)
	switch {
	case err != nil:
		return "", fmt.Errorf("%q cannot be opened: %w", entry, err)
	case !info.IsDir():
		return "", fmt.Errorf("%q is not a folder", entry)
	}
	return filepath.Clean(folder), nil
}

// WorkingFolder is the folder that this process was started in, as a root. It is empty, and why says so as a clause without a
// full stop, when it is the whole drive or one of the system's own folders: programs that start servers from nowhere in
// particular use those, and their users meant nothing by it.
func WorkingFolder() (root, why string) {
	folder, err := os.Getwd()
	if err != nil {
		return "", "the folder that this server was started in is gone"
	}
	if what := unusable(thisHost(), folder); what != "" {
		return "", "this server was started in " + folder + ", which " + what
	}
	return folder, ""
}

// Usable are those of a client's folders that may be roots: folders on this computer, and neither a whole drive nor the system's own.
// When there are none, why says so as a clause without a full stop.
func Usable(folders []string) (roots []string, why string) {
	for _, folder := range folders {
		what := unusable(thisHost(), folder)
		if info, err := os.Stat(folder); what == "" && (err != nil || !info.IsDir()) {
			what = "is no folder on this computer"
		}
		if what == "" {
			roots = append(roots, folder)
			continue
		}
		why = "the client's user works in " + shown(folder) + ", which " + what
	}
	if len(roots) > 0 {
		return roots, ""
	}
	return nil, why
}

// unusable says why a folder can be no root unless the operator says so, empty when it can.
func unusable(h host, folder string) string {
	plain := path.Clean(strings.ReplaceAll(folder, `\`, "/"))
	switch {
	case plain == "/" || h.windows() && len(plain) <= 3 && hasDrive(plain):
		return "is a whole drive"
	case isSystem(h, plain):
		return "belongs to the system"
	}
	return ""
}

func isSystem(h host, folder string) bool {
	if drive, found := strings.CutPrefix(folder, "/mnt/"); h.wsl && found && len(drive) > 1 && drive[1] == '/' {
		return isSystem(host{os: "windows"}, drive[:1]+":"+drive[1:])
	}
	system := []string{
		"/bin", "/boot", "/dev", "/etc", "/lib", "/lib64", "/proc", "/sbin", "/sys", "/usr", "/Applications", "/Library", "/System",
		"/private/etc", "/snap", "/nix",
	}
	if h.windows() {
		if !hasDrive(folder) {
			return false
		}
		folder = strings.ToLower(folder[2:])
		system = []string{"/windows", "/program files", "/program files (x86)", "/programdata"}
	}
	return slices.ContainsFunc(system, func(s string) bool { return folder == s || strings.HasPrefix(folder, s+"/") })
}
