package video

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strings"
)

// Fingerprint identifies what would be bought: equal for requests that differ only in documented defaults spelt out, in
// blanks around a text, or in the known length of a reference video, which is not part of the request.
func (r *Report) Fingerprint() string {
	req := r.Request
	req.Prompt, req.NegativePrompt = strings.TrimSpace(req.Prompt), strings.TrimSpace(req.NegativePrompt)
	req.References = slices.Clone(req.References)
	for i := range req.References {
		req.References[i].Seconds = nil
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
