package upload_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"io/fs"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/provider"
	"r2v-mcp/internal/upload"
	"r2v-mcp/internal/video"
)

func TestThreeFilesMakeAClipAndTheSameRequestAgainUploadsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 0)
		files := []upload.File{file(picture(1000, 1)), file(picture(2000, 2)), capitals(file(picture(3000, 3)))}
		urls, err := b.Bring(t.Context(), model, files, nil)
		require.NoError(t, err)
		r := video.Request{Model: model, Prompt: "Image 1, Image 2 and Image 3 dance", Resolution: "720P", Ratio: "16:9", Duration: 5}
		for _, url := range urls {
			r.References = append(r.References, video.Reference{Kind: video.Image, URL: url})
		}
		bought, err := b.provider().Create(t.Context(), provider.Purchase{Request: r})
		require.NoError(t, err)
		time.Sleep(time.Hour)
		s, err := b.provider().Look(t.Context(), bought.ID)
		require.NoError(t, err)
		require.Equal(t, video.Succeeded, s.Status)

		for _, other := range []*upload.Uploads{b.Uploads, b.beside()} {
			again, err := other.Bring(t.Context(), model, files, nil)
			require.NoError(t, err)
			require.Equal(t, urls, again)
		}
		require.Equal(t, []int{1, 3}, []int{b.counted("policy"), b.counted("upload")})

		elsewhere, err := b.Bring(t.Context(), "wan2.7-r2v-2026-06-12", files[:1], nil)
		require.NoError(t, err)
		require.NotEqual(t, urls[0], elsewhere[0], "an upload is for one model")
		time.Sleep(45 * time.Hour)
		anew, err := b.Bring(t.Context(), model, files[:1], nil)
		require.NoError(t, err)
		require.NotEqual(t, urls[0], anew[0], "the first has less than an hour left")
		require.Equal(t, 5, b.counted("upload"))
	})
}

func TestAContentIsSentOnceHoweverManyAskForIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 1000)
		content := picture(10_000, 1)
		var wait sync.WaitGroup
		found := make(chan string, 20)
		for range 10 {
			wait.Go(func() {
				urls, err := b.Bring(t.Context(), model, []upload.File{file(content), file(content)}, nil)
				if err != nil {
					t.Error(err)
					return
				}
				found <- urls[0]
				found <- urls[1]
			})
		}
		wait.Wait()
		close(found)
		urls := map[string]bool{}
		for url := range found {
			urls[url] = true
		}
		require.Len(t, urls, 1)
		require.Equal(t, 1, b.counted("upload"))
	})
}

func TestThreeFilesAreSentAtATime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 1000)
		var files []upload.File
		for i := range 7 {
			files = append(files, file(picture(5000, uint64(i))))
		}
		_, err := b.Bring(t.Context(), model, files, nil)
		require.NoError(t, err)
		require.EqualValues(t, 3, b.line.most.Load())
		require.Equal(t, 7, b.counted("upload"))
	})
}

// Clients give up after a minute; what they have begun is not lost.
func TestAnUploadGoesOnWhenACallHasWaitedLongEnough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 10_000) // bytes a second: the file takes 100 s
		f := file(picture(1_000_000, 1))
		began := time.Now()
		for i := range 2 {
			_, err := b.Bring(t.Context(), model, []upload.File{f}, nil)
			require.Equal(t, time.Duration(i+1)*40*time.Second, time.Since(began))
			e := failure(t, err)
			require.Equal(t, "StillUploading", e.Code)
			require.True(t, e.Retryable)
			require.Regexp(t, `^[1-9]\d{5} of 1000000 bytes`, e.Message)
			require.Regexp(t, []string{`again in 60 s`, `again in (19|2[012]) s`}[i], e.Advice)
		}
		urls, err := b.Bring(t.Context(), model, []upload.File{f}, nil)
		require.NoError(t, err)
		require.NotEmpty(t, urls[0])
		require.InDelta(t, 100, time.Since(began).Seconds(), 2)
		require.Equal(t, 1, b.counted("upload"))
	})
}

func TestAnUploadGoesOnWhenTheCallerHangsUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 10_000)
		f := file(picture(100_000, 1))
		ctx, hangUp := context.WithCancel(t.Context())
		time.AfterFunc(time.Second, hangUp)
		_, err := b.Bring(ctx, model, []upload.File{f}, nil)
		require.Equal(t, "StillUploading", failure(t, err).Code)
		time.Sleep(time.Minute)
		began := time.Now()
		_, err = b.Bring(t.Context(), model, []upload.File{f}, nil)
		require.NoError(t, err)
		require.Zero(t, time.Since(began), "it was done meanwhile")
		require.Equal(t, 1, b.counted("upload"))
	})
}

func TestProgressCountsTheBytesOfAllFilesAndNeverGoesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 10_000)
		known := file(picture(7000, 9))
		_, err := b.Bring(t.Context(), model, []upload.File{known}, nil)
		require.NoError(t, err)
		b.line.fails.Store(1) // of one file, the half is sent twice
		var told []int64
		first := file(picture(50_000, 1))
		_, err = b.Bring(t.Context(), model, []upload.File{first, known, file(picture(30_000, 2)), first}, func(done, total int64) {
			require.EqualValues(t, 87_000, total)
			told = append(told, done)
		})
		require.NoError(t, err)
		require.Greater(t, len(told), 10)
		for i := range told[1:] {
			require.Greater(t, told[i+1], told[i])
		}
		require.EqualValues(t, 87_000, told[len(told)-1])
	})
}

func TestALineThatBreaksIsTriedOnceMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 0)
		f := file(picture(10_000, 1))
		b.line.fails.Store(1)
		_, err := b.Bring(t.Context(), model, []upload.File{f}, nil)
		require.NoError(t, err)

		f = file(picture(10_000, 2))
		b.line.fails.Store(2)
		_, err = b.Bring(t.Context(), model, []upload.File{f}, nil)
		require.True(t, failure(t, err).Retryable)
		require.Equal(t, 1, b.counted("upload"))
		_, err = b.Bring(t.Context(), model, []upload.File{f}, nil)
		require.NoError(t, err, "a failure is not remembered")
	})
}

func TestAFileIsSentAgainFromItsBeginningWhenThePolicyHasExpired(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 0)
		b.line.refuses.Store(1)
		began := time.Now()
		_, err := b.Bring(t.Context(), model, []upload.File{file(picture(10_000, 1))}, nil)
		require.NoError(t, err)
		require.Less(t, time.Since(began), 100*time.Millisecond, "at once")
		require.Equal(t, []int{2, 1}, []int{b.counted("policy"), b.counted("upload")})

		b.line.refuses.Store(3)
		_, err = b.Bring(t.Context(), model, []upload.File{file(picture(10_000, 2))}, nil)
		require.True(t, failure(t, err).Retryable)
		require.EqualValues(t, 1, b.line.refuses.Load(), "it is sent again once")
		require.Equal(t, []int{3, 1}, []int{b.counted("policy"), b.counted("upload")})
	})
}

// What was checked is what is sent, or nothing.
func TestAFileThatChangedIsNotUsed(t *testing.T) {
	content := picture(10_000, 1)
	other := bytes.Clone(content)
	other[9999]++
	for name, now := range map[string][]byte{
		"another byte": other, "shorter": content[:9000], "longer": append(bytes.Clone(content), 'x'), "gone": nil,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newBench(t, 0)
				f := file(content)
				as := f
				as.Open = file(now).Open
				_, err := b.Bring(t.Context(), model, []upload.File{as}, nil)
				e := failure(t, err)
				require.Equal(t, "FileChanged", e.Code)
				require.Equal(t, "a.png: the file changed while it was being sent", e.Message)
				require.Zero(t, b.counted("upload"), "it never arrived whole")
				_, err = b.Bring(t.Context(), model, []upload.File{f}, nil)
				require.NoError(t, err)
				require.Equal(t, 1, b.counted("upload"))
			})
		})
	}
}

type broken struct{ *bytes.Reader }

func (broken) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: "/home/maria/secret/a.png", Err: errors.New("input/output error")}
}
func (broken) Close() error { return nil }

func TestAFileThatCannotBeReadIsToldWithoutItsFolders(t *testing.T) {
	for _, open := range []func() (io.ReadCloser, error){
		func() (io.ReadCloser, error) {
			return nil, &fs.PathError{Op: "open", Path: "/home/maria/secret/a.png", Err: errors.New("input/output error")}
		},
		func() (io.ReadCloser, error) { return broken{bytes.NewReader(nil)}, nil },
	} {
		synctest.Test(t, func(t *testing.T) {
			b := newBench(t, 0)
			f := file(picture(1000, 1))
			f.Open = open
			_, err := b.Bring(t.Context(), model, []upload.File{f}, nil)
			e := failure(t, err)
			require.Equal(t, "FileUnreadable", e.Code)
			require.Equal(t, "a.png: input/output error", e.Message)
			require.Zero(t, b.counted("upload"))
		})
	}
}

// One file that cannot be sent is told at once, and stops no other.
func TestAFailureIsNotKeptBackByWhatStillFlies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 10_000)
		good, bad := file(picture(100_000, 1)), file(picture(1000, 2))
		bad.Open = func() (io.ReadCloser, error) { return nil, errors.New("no") }
		began := time.Now()
		_, err := b.Bring(t.Context(), model, []upload.File{good, bad}, nil)
		require.Equal(t, "FileUnreadable", failure(t, err).Code)
		require.Zero(t, time.Since(began))
		_, err = b.Bring(t.Context(), model, []upload.File{good}, nil)
		require.NoError(t, err)
		require.Equal(t, 1, b.counted("upload"))
	})
}

func TestALineThatIsTooSlowIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 1000)
		f := file(picture(1_000_000, 1))
		e := &video.Error{Failure: video.Failure{Code: "StillUploading"}}
		for e.Code == "StillUploading" {
			_, err := b.Bring(t.Context(), model, []upload.File{f}, nil)
			e = failure(t, err)
		}
		require.Equal(t, "UploadTooSlow", e.Code)
		require.Contains(t, e.Message, "of 1000000 bytes were sent in 15 minutes")
		require.Contains(t, e.Advice, "smaller")
	})
}

func TestDrainEndsWhatIsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 1000)
		ended := make(chan error, 5)
		for i := range cap(ended) { // two of them have no place yet
			go func() {
				_, err := b.Bring(t.Context(), model, []upload.File{file(picture(100_000, uint64(i)))}, nil)
				ended <- err
			}()
		}
		time.Sleep(5 * time.Second)
		began := time.Now()
		b.Drain()
		require.Less(t, time.Since(began), time.Second)
		for range cap(ended) {
			require.Equal(t, "Ending", failure(t, <-ended).Code)
		}
		_, err := b.Bring(t.Context(), model, []upload.File{file(picture(1000, 9))}, nil)
		require.Equal(t, "Ending", failure(t, err).Code)
		require.Zero(t, b.counted("upload"))
	})
}

// forgetful is a ledger that cannot be used.
type forgetful struct{ write bool }

func (f forgetful) Uploaded(context.Context, string, string) (string, error) {
	if f.write {
		return "", nil
	}
	return "", &video.Error{Charged: video.NotCharged, Failure: video.Failure{Code: "LedgerUnavailable", Advice: "Make room."}}
}

func (f forgetful) KeepUpload(context.Context, string, string, string, time.Time) error {
	return errors.New("the disk is full")
}

func TestWithoutALedgerNothingIsSentAndWhatIsThereIsUsed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBench(t, 0)
		files := []upload.File{file(picture(1000, 1))}
		b.Uploads.Ledger = forgetful{}
		_, err := b.Bring(t.Context(), model, files, nil)
		require.Equal(t, "LedgerUnavailable", failure(t, err).Code)
		require.Zero(t, b.counted("upload"))
		b.Uploads.Ledger = forgetful{write: true}
		urls, err := b.Bring(t.Context(), model, files, nil)
		require.NoError(t, err)
		require.True(t, strings.HasPrefix(urls[0], "oss://"))
	})
}

func TestNoFilesAreBroughtAtOnce(t *testing.T) {
	b := newBench(t, 0)
	urls, err := b.Bring(t.Context(), model, nil, nil)
	require.NoError(t, err)
	require.Empty(t, urls)
}
