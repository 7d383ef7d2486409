package preflight

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"io"
	"slices"
	"strings"

	"r2v-mcp/internal/local"
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
	folders, err := within(ctx, func() (local.Folders, error) { return p.Folders(ctx), nil })
	if err != nil {
		return req, unreadable("the local files", err)
	}
	var files []upload.File
	var into []*string
	for i := range req.References {
		ref := &req.References[i]
		if ref.Medium != nil && ref.Medium.Local && r.Inline[i] {
			if ref.URL, err = written(ctx, folders, ref.URL, ref.Medium); err != nil {
				return req, err
			}
		} else if ref.Medium != nil && ref.Medium.Local {
			files, into = append(files, file(ctx, folders, ref.URL, ref.Medium)), append(into, &ref.URL)
		}
		if ref.VoiceMedium != nil && ref.VoiceMedium.Local {
			files, into = append(files, file(ctx, folders, ref.VoiceURL, ref.VoiceMedium)), append(into, &ref.VoiceURL)
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
func file(ctx context.Context, folders local.Folders, path string, seen *video.Medium) upload.File {
	ctx = context.WithoutCancel(ctx)
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
func written(ctx context.Context, folders local.Folders, path string, seen *video.Medium) (string, error) {
	content, err := within(ctx, func() ([]byte, error) {
		file, err := folders.Open(ctx, path)
		if err != nil {
			return nil, errGone
		}
		defer func() { _ = file.Close() }() // it was only read
		return io.ReadAll(io.LimitReader(file, seen.Bytes+1))
	})
	if sum := sha256.Sum256(content); err == nil && hex.EncodeToString(sum[:]) != seen.Sum {
		err = errors.New("it has changed since it was looked at")
	}
	if err != nil {
		return "", unreadable(path, err)
	}
	return "data:" + contentType(seen) + ";base64," + base64.StdEncoding.EncodeToString(content), nil
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
