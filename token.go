package main

import (
	"errors"
	"fmt"
	"runtime"
	"strings"

	"github.com/spf13/cobra"

	"r2v-mcp/internal/auth"
)

// peopleSetting names the file of people and their tokens.
const peopleSetting = "R2V_TOKENS_FILE"

func (p *program) tokenCommand() *cobra.Command {
	var reader bool
	cmd := &cobra.Command{
		Use: "token NAME", Short: "Make a token with which a person may use r2v-mcp http",
		Long: "Make a token with which a person may use r2v-mcp http. It is shown once; the file of tokens, " + peopleSetting + ", gets its hash.\n" +
			"A second token of the same name is the same person's: hand it out, then remove the first one's line.",
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) != 1 {
				return errors.New("token takes one name, such as r2v-mcp token alice")
			}
			return nil
		},
		RunE: func(_ *cobra.Command, args []string) error { return p.token(args[0], reader) },
	}
	cmd.Flags().BoolVar(&reader, "metrics", false, "a token that reads /metrics and nothing else, for Prometheus")
	return cmd
}

// token makes a token. It looks at no setting but the one of the file: the others may be those of another machine.
func (p *program) token(name string, reader bool) error {
	token, line, err := auth.NewToken(name, reader)
	if err != nil {
		return fmt.Errorf("that is no name for a person: %w", err) // it may be a token in the wrong place
	}
	path := p.tokensFile()
	if path != "" {
		if err := auth.AppendLine(path, line); err != nil {
			return fmt.Errorf("%s: %w; no token was made", peopleSetting, err)
		}
	}
	if _, err := fmt.Fprintln(p.stdout, token); err != nil {
		return err
	}
	if path != "" {
		fmt.Fprintf(p.stderr, "r2v-mcp: the token of %s is shown once. This line was added to %s:\n%s\n", name, path, line)
		return nil
	}
	fmt.Fprintf(p.stderr, "r2v-mcp: the token of %s is shown once. Add this line to the file that %s names (it is not set here):\n%s\n", name, peopleSetting, line)
	return nil
}

// tokensFile is the path of the file of tokens, empty for none.
func (p *program) tokensFile() string {
	path := ""
	for _, line := range p.environ {
		key, value, _ := strings.Cut(line, "=")
		if key == peopleSetting || runtime.GOOS == "windows" && strings.EqualFold(key, peopleSetting) {
			path = strings.TrimSpace(value)
		}
	}
	return path
}
