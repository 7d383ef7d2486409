package preflight

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"r2v-mcp/internal/upload"
	"r2v-mcp/internal/video"
)

// Uploader brings files to the service: see [upload.Uploads].
type Uploader interface {
	Bring(ctx context.Context, model string, files []upload.File, progress func(done, total int64)) ([]string, error)
}

// Bring returns a checked and summed request with the service's own addresses, or the picture itself, in place of each local file. It buys
// nothing. Every error is a *[video.Error]: see [upload.Uploads.Bring]; an upload that takes longer than a caller waits goes on.
func (p *Preflight) Bring(ctx context.Context, r *video.Report, progress func(done, total int64)) (video.Request, error) {
	req := r.Request
	req.References = slices.Clone(req.References)
	var files []upload.File
	var into []*string
	for i := range req.References {
		ref := &req.References[i]
		if ref.Medium != nil && ref.Medium.Local && r.Inline[i] {
			var err error
			if ref.URL, err = p.written(ctx, ref.URL, ref.Medium); err != nil {
				return req, err
			}
		} else if ref.Medium != nil && ref.Medium.Local {
			files, into = append(files, p.file(ctx, ref.URL, ref.Medium)), append(into, &ref.URL)
		}
		if ref.VoiceMedium != nil && ref.VoiceMedium.Local {
			files, into = append(files, p.file(ctx, ref.VoiceURL, ref.VoiceMedium)), append(into, &ref.VoiceURL)
		}
	}
	if len(files) == 0 {
		return req, nil
	}
	addresses, err := p.Uploads.Bring(ctx, req.Model, files, progress)
	if err != nil {
		return req, err
	}
	for i, address := range addresses {
		*into[i] = address
	}
	return req, nil
}

// file is a local file as it is uploaded, maybe after its caller has gone.
func (p *Preflight) file(ctx context.Context, path string, seen *video.Medium) upload.File {
	folders, ctx := p.Folders(ctx), context.WithoutCancel(ctx)
	return upload.File{
		Name: path[strings.LastIndexAny(path, `/\`)+1:], ContentType: contentType(seen), Size: seen.Bytes, Sum: seen.Sum,
		Open: func() (io.ReadCloser, error) {
			file, err := folders.Open(ctx, path)
			if err != nil {
				return nil, errGone
			}
			return file, nil
		},
	}
}

// written is a picture inside the request, as a data: URI.
func (p *Preflight) written(ctx context.Context, path string, seen *video.Medium) (string, error) {
	var content bytes.Buffer
	err := func() error {
		file, err := p.Folders(ctx).Open(ctx, path)
		if err != nil {
			return err
		}
		defer func() { _ = file.Close() }() // it was only read
		_, err = io.Copy(&content, io.LimitReader(file, seen.Bytes+1))
		return err
	}()
	if sum := sha256.Sum256(content.Bytes()); err == nil && hex.EncodeToString(sum[:]) != seen.Sum {
		err = fmt.Errorf("%s has changed since it was looked at", filepath.Base(path))
	}
	if err != nil {
		return "", &video.Error{Charged: video.NotCharged, Failure: video.Failure{
			Code: "FileUnreadable", Message: err.Error(), Advice: "Nothing was bought. See that the file is there and whole, then call again.",
		}}
	}
	return "data:" + contentType(seen) + ";base64," + base64.StdEncoding.EncodeToString(content.Bytes()), nil
}

// contentType is the MIME type of a medium that a model takes.
func contentType(seen *video.Medium) string {
	switch seen.Format {
	case "mov":
		return "video/quicktime"
	case "mp3":
		return "audio/mpeg"
	case "wav":
		return "audio/wav"
	case "mp4":
		return "video/mp4"
	}
	return "image/" + seen.Format
}
