package serve

import (
	"bytes"
	"io"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMemoryIsTakenForWhatHasComeAndGivenBack(t *testing.T) {
	const mb = 1 << 20
	m := newMemory(mb)
	m.most = 5 * mb
	var held []*hold
	for _, person := range []string{"ann", "bob", "cid", "dan"} {
		body, h, err := m.read(bytes.NewReader(make([]byte, mb)), mb, 32*mb, person)
		require.NoError(t, err)
		require.Len(t, body, mb)
		held = append(held, h)
	}
	require.LessOrEqual(t, m.taken, m.most)

	_, h, err := m.read(strings.NewReader(strings.Repeat("a", smallBody)), 32*mb, 32*mb, "eve")
	require.NoError(t, err, "what was announced and did not come takes little")
	require.NotNil(t, h)
	h.release()
	_, h, err = m.read(bytes.NewReader(make([]byte, 2*mb)), -1, 32*mb, "eve")
	require.ErrorIs(t, err, errMemory)
	require.Nil(t, h)
	_, h, err = m.read(bytes.NewReader(make([]byte, smallBody)), smallBody, 32*mb, "eve")
	require.NoError(t, err)
	require.Nil(t, h, "small ones are not counted")

	held[0].release()
	_, h, err = m.read(bytes.NewReader(make([]byte, mb)), mb, 32*mb, "eve")
	require.NoError(t, err, "an answered one makes room")
	h.release()
	_, _, err = m.read(io.MultiReader(bytes.NewReader(make([]byte, mb/2)), broken{}), mb, 32*mb, "eve")
	require.ErrorIs(t, err, io.ErrUnexpectedEOF)
	for _, h := range held[1:] {
		h.release()
	}
	require.Zero(t, m.taken)
	require.Empty(t, m.large)
}

// broken is a connection that has ended.
type broken struct{}

func (broken) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }
