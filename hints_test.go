package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestCallbacksAreAskedForWhereTheyArriveInSecret(t *testing.T) {
	for public, want := range map[string]string{"": "", "http://r2v.example.com": "", "https://r2v.example.com:8443": "https://r2v.example.com:8443/callbacks/"} {
		cfg, err := read(t, "R2V_PUBLIC_URL="+public, "R2V_PROVIDER=evolink")
		require.NoError(t, err)
		require.Equal(t, want, hintURL(cfg), public)
		cfg, err = read(t, "R2V_PUBLIC_URL="+public)
		require.NoError(t, err)
		require.Empty(t, hintURL(cfg), "DashScope calls nobody back")
	}
}
