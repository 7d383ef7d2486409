package serve

import (
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestRatesAreBoundedAndForgetWhoRests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRates(1)
		for range 6 {
			r.allow("busy")
		}
		for i := range 2 * maxPeople {
			if i == maxPeople-1 {
				time.Sleep(2 * time.Second) // all are full again but the busy one
			}
			_, ok := r.allow(strconv.Itoa(i))
			require.True(t, ok)
			require.LessOrEqual(t, len(r.people), maxPeople)
		}
		r = newRates(1)
		for range 6 {
			r.allow("busy")
		}
		for i := range maxPeople - 1 {
			r.allow(strconv.Itoa(i))
		}
		time.Sleep(2 * time.Second)
		r.allow("new")
		require.Len(t, r.people, 2, "the busy and the new one")
	})
}
