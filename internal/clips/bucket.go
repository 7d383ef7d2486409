package clips

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	"r2v-mcp/internal/video"
)

// Bucket saves clips as objects in S3-compatible storage. Its fields are set before its first use; any number of goroutines,
// processes and machines may save into the same place, the same clip too.
type Bucket struct {
	Place   Place
	Keys    Keys
	Storage *http.Client // to Place.Host: see [egress.NewClient]
	Client  *http.Client // for foreign addresses, from which clips come: see [egress.NewClient]
	// Spool is a folder of this machine where a clip is while it is on its way, under a name that begins with a dot. It is made when a
	// clip comes; what a killed process left there goes an hour later.
	Spool string

	pause time.Duration // before the first repeat; 0 for half a second
	idle  time.Duration // that a transfer may stand still; 0 for half a minute
}

// Save downloads a clip and puts it into the storage as name.mp4, from where Path is s3://bucket/prefix/name.mp4. It is there
// whole or not at all: it is checked as [Folder.Save] checks it before it is sent, sent with its checksum in one request, and asked
// for again afterwards. One that is there whole already is left alone, and not downloaded when it was saved by us.
// What may pass is tried four times. The error of a storage or a spool that cannot be used says what can be done about it, and holds no key.
func (b *Bucket) Save(ctx context.Context, name, address string) (video.Clip, error) {
	file := name + ".mp4"
	if !clipName().MatchString(file) {
		return video.Clip{}, fmt.Errorf("%q is no name of a clip", name)
	}
	if err := b.Keys.Check(); err != nil {
		return video.Clip{}, err
	}
	clip := video.Clip{Path: b.Place.String() + "/" + file}
	there, err := b.look(ctx, http.MethodGet, file)
	switch {
	case err == nil && there.marked:
		clip.Length = there.length
		return clip, nil
	case err != nil && !is(err, codeNoKey) && !is(err, codeDenied): // who may only write is not told what is there
		return video.Clip{}, b.explain(err)
	}
	spool := Folder{Dir: b.Spool, Client: b.Client}
	root, err := spool.root()
	if err != nil {
		return video.Clip{}, spool.explain(err)
	}
	defer func() { _ = root.Close() }() // nothing is written through it
	sweepParts(root)
	sum := sha256.New()
	p, err := spool.fetch(ctx, root, file, address, sum)
	if err != nil {
		return video.Clip{}, spool.explain(err)
	}
	defer p.drop()
	clip.Length = p.length
	if there.found && there.size == p.size { // saved by somebody who left no marks
		return clip, nil
	}
	if err := b.put(ctx, file, parcel{p, hex.EncodeToString(sum.Sum(nil))}, !there.found); err != nil {
		return video.Clip{}, b.explain(err)
	}
	return clip, nil
}

// Check looks once whether the storage answers, knows the keys and has the bucket. It returns the error that Save would. Whether the keys
// may write there is known only when a clip comes.
func (b *Bucket) Check(ctx context.Context) error {
	if err := b.Keys.Check(); err != nil {
		return err
	}
	_, err := b.look(ctx, http.MethodGet, "r2v-check.mp4")
	if is(err, codeNoKey) || is(err, codeDenied) { // as in Save
		return nil
	}
	return b.explain(err)
}

// parcel is a whole clip with its SHA-256.
type parcel struct {
	*part
	sum string
}

// put sends a clip and sees to it that it is there. A fresh one must not replace what another process has saved meanwhile.
func (b *Bucket) put(ctx context.Context, file string, p parcel, fresh bool) error {
	tag, err := b.send(ctx, file, p, fresh)
	switch {
	case is(err, codeExists):
		there, err := b.look(ctx, http.MethodHead, file)
		if err != nil || there.marked || there.size == p.size {
			return err
		}
		tag, err = b.send(ctx, file, p, false) // it is no whole clip
		if err != nil {
			return err
		}
	case fresh && is(err, codeUnknown): // a server that knows no conditions
		if tag, err = b.send(ctx, file, p, false); err != nil {
			return err
		}
	case err != nil:
		return err
	}
	there, err := b.look(ctx, http.MethodHead, file)
	switch {
	case is(err, codeNoKey):
		return fmt.Errorf("%s has said that it took the clip, and does not have it: see that the endpoint in R2V_SAVE_URL is S3 storage", b.host())
	case err != nil:
		return err
	case there.marked: // this one, or that of another process
		return nil
	case there.size != p.size:
		return fmt.Errorf("%s has taken the clip of %s, and has %s of it", b.host(), size(p.size), size(there.size))
	case tag != "" && there.tag != "" && tag != there.tag:
		return fmt.Errorf("%s has taken the clip, and has another one", b.host())
	}
	return nil
}

// send puts the clip, in one request, and tells the storage's tag of it.
func (b *Bucket) send(ctx context.Context, file string, p parcel, fresh bool) (tag string, err error) {
	header := http.Header{
		"Content-Type":         {"video/mp4"},
		markBytes:              {fmt.Sprint(p.size)},
		markLength:             {fmt.Sprint(p.length.Milliseconds())},
		"X-Amz-Content-Sha256": {p.sum},
	}
	if fresh {
		header.Set("If-None-Match", "*")
	}
	return again(ctx, b.pause, func() (string, error) {
		resp, err := b.ask(ctx, request{method: http.MethodPut, url: b.Place.object(file), header: header, file: p.file, size: p.size})
		if err != nil {
			return "", err
		}
		resp.Body.Close()
		return resp.Header.Get("ETag"), nil
	})
}

// errGone is the error of a clip that is no longer in the storage.
var errGone = fmt.Errorf("the clip is no longer in the storage: %w", os.ErrNotExist)

// Link makes an address under which anybody can fetch a clip that Save has saved, by the path that it told, and says when that ends: in
// twelve hours, or in one with credentials that end themselves, since a link dies with them and nobody says when. Nothing is asked for. A
// clip of another bucket or prefix is refused: it was saved under other settings.
func (b *Bucket) Link(ctx context.Context, savedTo string) (address string, expires time.Time, err error) {
	file, err := b.Place.file(savedTo)
	if err != nil {
		return "", time.Time{}, err
	}
	if err := b.Keys.Check(); err != nil {
		return "", time.Time{}, err
	}
	life := 12 * time.Hour
	if b.Keys.Session != "" {
		life = time.Hour
	}
	now := time.Now()
	if address, err = b.presign(ctx, b.Place.object(file), now, life); err != nil {
		return "", time.Time{}, errors.New("the link to the clip could not be signed")
	}
	return address, now.Add(life).Truncate(time.Second), nil
}
