package auth

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"strings"
)

const (
	largest      = 1 << 20 // bytes of a file: more than 10,000 tokens
	othersWrite  = 0o022
	ownerOnly    = 0o600
	wantedOfLine = "a line is NAME sha256:HASH with 64 hexadecimal digits, and metrics behind it for a token that only reads /metrics"
)

// parse reads the lines of a file of tokens. Its errors name the line and, where that is certainly a name, its first word: the
// rest may be a token that somebody has put in the wrong place.
func parse(text string) (map[hash]Person, error) {
	people := map[hash]Person{}
	at := map[hash]int{}
	number := 0
	for line := range strings.Lines(strings.TrimPrefix(text, "\ufeff")) {
		number++
		words := strings.Fields(line)
		if len(words) == 0 || strings.HasPrefix(words[0], "#") {
			continue
		}
		sum, p, err := parseLine(words)
		if err != nil {
			return nil, fmt.Errorf("line %d%w", number, err)
		}
		if first, again := at[sum]; again {
			return nil, fmt.Errorf("line %d (%s): the token of line %d again; one token has one line", number, p.Name, first)
		}
		people[sum], at[sum] = p, number
	}
	return people, nil
}

// parseLine reads a line's words. The text of its errors follows the line's number.
func parseLine(words []string) (sum hash, p Person, err error) {
	if err := checkName(words[0]); err != nil {
		return sum, p, fmt.Errorf(": its first word is no name: %w", err)
	}
	if len(words) < 2 {
		return sum, p, errors.New(": " + wantedOfLine)
	}
	p = Person{Name: words[0]}
	digits, ok := strings.CutPrefix(words[1], hashWord)
	if n, err := hex.Decode(sum[:], []byte(digits[:min(len(digits), 2*len(sum))])); !ok || err != nil || n != len(sum) || len(digits) != 2*len(sum) {
		return sum, p, fmt.Errorf(" (%s): %s", p.Name, wantedOfLine)
	}
	switch {
	case len(words) == 2:
		return sum, p, nil
	case len(words) == 3 && words[2] == metrics:
		p.Reader = true
		return sum, p, nil
	}
	return sum, p, fmt.Errorf(" (%s): what follows the hash is not the one word %s; %s", p.Name, metrics, wantedOfLine)
}

// readTokens reads a file of tokens. What it returns beside them tells a later version of the file from this one.
func readTokens(path string) (map[hash]Person, fs.FileInfo, error) {
	if info, err := os.Stat(path); err != nil { // before it is opened: a FIFO would wait for its writer
		return nil, nil, err
	} else if err := checkFile(info); err != nil {
		return nil, info, err
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, nil, err
	}
	defer func() { _ = f.Close() }() // it was only read
	info, err := f.Stat()
	if err != nil {
		return nil, nil, err
	}
	if err := checkFile(info); err != nil {
		return nil, info, err
	}
	text, err := io.ReadAll(io.LimitReader(f, largest+1))
	if err != nil {
		return nil, nil, err
	}
	if len(text) > largest {
		return nil, info, errors.New("it has more than a megabyte")
	}
	people, err := parse(string(text))
	return people, info, err
}

// checkFile refuses what is no file, and a file to which somebody else could add a token.
func checkFile(info fs.FileInfo) error {
	switch {
	case !info.Mode().IsRegular():
		return errors.New("it is no regular file")
	case runtime.GOOS != "windows" && info.Mode().Perm()&othersWrite != 0: // which has no such bits
		return fmt.Errorf("others than its owner may write to it (mode %04o), and so let anybody in: chmod go-w it", info.Mode().Perm())
	}
	return nil
}
