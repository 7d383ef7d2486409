package auth

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
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
	for number, words := range linesOf(text) {
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

// stillThere returns those of the people whose lines a text that is not in order still has, saying of them what they said.
func stillThere(people map[hash]Person, text string) map[hash]Person {
	left := map[hash]Person{}
	for _, words := range linesOf(text) {
		sum, p, err := parseLine(words)
		if before, known := people[sum]; err == nil && known && before == p {
			left[sum] = p
		}
	}
	return left
}

// linesOf gives the words of each line that is not empty and no remark, and its number from 1.
func linesOf(text string) iter.Seq2[int, []string] {
	return func(yield func(int, []string) bool) {
		number := 0
		for line := range strings.Lines(strings.TrimPrefix(text, "\ufeff")) {
			number++
			words := strings.Fields(line)
			if len(words) == 0 || strings.HasPrefix(words[0], "#") {
				continue
			}
			if !yield(number, words) {
				return
			}
		}
	}
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

// content is what a look at a file of tokens has found.
type content struct {
	text string      // whole lines, as many as were read
	long bool        // whether there are more
	info fs.FileInfo // tells a later version of the file from this one
}

// people returns those of a file that is in order.
func (c content) people() (map[hash]Person, error) {
	if err := checkFile(c.info); err != nil {
		return nil, err
	}
	if c.long {
		return nil, errors.New("it has more than a megabyte")
	}
	return parse(c.text)
}

// readContent reads a file, whether it is in order or not. It returns an error when nothing can be said of its lines.
func readContent(path string) (c content, err error) {
	if info, err := os.Stat(path); err != nil { // before it is opened: a FIFO would wait for its writer
		return c, err
	} else if !info.Mode().IsRegular() {
		return c, errNoFile
	}
	f, err := os.Open(path)
	if err != nil {
		return c, err
	}
	defer func() { _ = f.Close() }() // it was only read
	if c.info, err = f.Stat(); err != nil {
		return c, err
	}
	if !c.info.Mode().IsRegular() {
		return c, errNoFile
	}
	text, err := io.ReadAll(io.LimitReader(f, largest+1))
	if err != nil {
		return c, err
	}
	if c.long = len(text) > largest; c.long {
		text = text[:bytes.LastIndexByte(text, '\n')+1]
	}
	c.text = string(text)
	return c, nil
}

var errNoFile = errors.New("it is no regular file")

// checkFile refuses what is no file, and a file to which somebody else could add a token.
func checkFile(info fs.FileInfo) error {
	switch {
	case !info.Mode().IsRegular():
		return errNoFile
	case runtime.GOOS != "windows" && info.Mode().Perm()&othersWrite != 0: // which has no such bits
		return fmt.Errorf("others than its owner may write to it (mode %04o), and so let anybody in: chmod go-w it", info.Mode().Perm())
	}
	return nil
}
