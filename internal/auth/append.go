package auth

import (
	"errors"
	"fmt"
	"io"
	"os"
)

// AppendLine adds a line of [NewToken] to a file of tokens, which is made, for its owner alone, when there is none. Several may do
// so at once. It returns an error, and leaves the file as it was, when the file is one that [OpenTokens] would refuse for
// its mode or its lines, or when it cannot be written.
func AppendLine(path, line string) (err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_APPEND|nonblock, ownerOnly)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close()) }() // which lets go of the lock as well
	info, err := f.Stat()
	if err != nil {
		return err
	}
	if err := checkFile(info); err != nil {
		return about(path, err)
	}
	if err := lock(f); err != nil {
		return about(path, fmt.Errorf("it cannot be locked: %w", err))
	}
	if at, err := os.Stat(path); err != nil || !os.SameFile(at, info) {
		return about(path, errors.New("it was replaced by another meanwhile: try again"))
	}
	text, err := io.ReadAll(io.LimitReader(f, largest+1))
	if err != nil {
		return err
	}
	added := line + "\n"
	if len(text) > 0 && text[len(text)-1] != '\n' {
		added = "\n" + added
	}
	if len(text)+len(added) > largest {
		return about(path, errors.New("it would have more than a megabyte"))
	}
	if _, err := parse(string(text) + added); err != nil {
		return about(path, err)
	}
	return write(f, added, int64(len(text)))
}

// write adds a text to a file in one piece, for whoever reads it at the same time, or takes back what it could write.
func write(f *os.File, added string, size int64) error {
	_, err := f.WriteString(added)
	if err == nil {
		err = f.Sync()
	}
	if err != nil {
		return errors.Join(err, f.Truncate(size))
	}
	return nil
}
