package postgrestest

import (
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
)

// programs returns the folder of PostgreSQL's programs, or errNone. What is in PATH was chosen by somebody and goes first;
// Debian and Homebrew keep them elsewhere, a folder for each version.
func programs() (string, error) {
	if !supported {
		return "", errNone
	}
	if initdb, err := exec.LookPath("initdb"); err == nil {
		// A link in PATH may stand alone; where it leads to, the others are.
		if initdb, err = filepath.EvalSymlinks(initdb); err == nil && complete(filepath.Dir(initdb)) {
			return filepath.Abs(filepath.Dir(initdb))
		}
	}
	return newest("/usr/lib/postgresql/*/bin", "/opt/homebrew/opt/postgresql*/bin", "/usr/local/opt/postgresql*/bin")
}

// newest returns the folder with the highest version in its name, of the first pattern that has any.
func newest(patterns ...string) (string, error) {
	for _, pattern := range patterns {
		folders, err := filepath.Glob(pattern)
		if err != nil {
			return "", err
		}
		folders = slices.DeleteFunc(folders, func(folder string) bool { return !complete(folder) })
		if len(folders) > 0 {
			return slices.MaxFunc(folders, func(a, b string) int { return slices.Compare(version(a), version(b)) }), nil
		}
	}
	return "", errNone
}

// complete reports whether all programs that are needed are in the folder.
func complete(folder string) bool {
	return !slices.ContainsFunc([]string{"initdb", "pg_ctl", "postgres"}, func(program string) bool {
		_, err := exec.LookPath(filepath.Join(folder, program))
		return err != nil
	})
}

// version returns the numbers in the name of a version's folder: 9 and 6 of /usr/lib/postgresql/9.6/bin.
func version(folder string) []int {
	var numbers []int
	for _, digits := range regexp.MustCompile(`\d+`).FindAllString(filepath.Base(filepath.Dir(folder)), -1) {
		number, err := strconv.Atoi(digits)
		if err != nil {
			return nil // no version of PostgreSQL
		}
		numbers = append(numbers, number)
	}
	return numbers
}
