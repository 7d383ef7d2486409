package video

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
)

// Fingerprint identifies what would be bought: equal for requests that differ only in documented defaults spelt out, in
// blanks around a text, or in what looking at the references has told, which may fail the next time. A file on this machine counts
// by its content.
func (r *Report) Fingerprint() string {
	req := r.Request
	req.Prompt, req.NegativePrompt = strings.TrimSpace(req.Prompt), strings.TrimSpace(req.NegativePrompt)
	req.References = slices.Clone(req.References)
	for i := range req.References {
		ref := &req.References[i]
		ref.Seconds = nil
		if i < len(r.declared) {
			ref.Kind = r.declared[i]
		}
		ref.URL, ref.VoiceURL = content(ref.URL, ref.Medium), content(ref.VoiceURL, ref.VoiceMedium)
	}
	m := r.Model
	if req.Ratio == m.RatioDefault {
		req.Ratio = ""
	}
	if len(m.ShotTypes) > 0 && req.ShotType == m.ShotTypes[0] {
		req.ShotType = ""
	}
	if req.PromptExtend != nil && m.PromptExtendDefault != nil && *req.PromptExtend == *m.PromptExtendDefault {
		req.PromptExtend = nil
	}
	if req.Watermark != nil && !*req.Watermark {
		req.Watermark = nil
	}
	text, err := json.Marshal(req)
	if err != nil {
		panic(err) // plain strings and numbers: there is nothing that could fail
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:])
}

// content names what an address leads to: for a local file what it holds, since that is what is sent.
func content(address string, seen *Medium) string {
	if seen == nil || !seen.Local {
		return address
	}
	return "sha256:" + seen.Sum
}
