package simulator

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
)

// millis is a length in thousandths of a second, so that bills are exact.
type millis int64

// seconds writes 4950 as 4.95 and 10000 as 10.
func (m millis) seconds() json.Number {
	digits := strconv.FormatInt(int64(m), 10)
	if len(digits) < 4 {
		digits = strings.Repeat("0", 4-len(digits)) + digits
	}
	whole, decimals := digits[:len(digits)-3], strings.TrimRight(digits[len(digits)-3:], "0")
	if decimals == "" {
		return json.Number(whole)
	}
	return json.Number(whole + "." + decimals)
}

// float writes whole seconds with a decimal, as wan2.6's usage.duration is printed: 10.0.
func (m millis) float() json.Number {
	number := m.seconds()
	if strings.Contains(number.String(), ".") {
		return number
	}
	return number + ".0"
}

// truncation is the documented limit for each reference video when 1, 2, 3, 4 or 5 references count. It is a table
// and not a division: three videos are billed 1.65 s each (the guide's "Billing and rate limiting").
func truncation(counting int) millis {
	return [...]millis{5000, 2500, 1650, 1250, 1000}[counting-1]
}

// billedInput adds up the videos, each cut to the limit. On wan2.7 only the videos divide the five seconds, on wan2.6
// the images as well. Images and first frames cost nothing.
func (o order) billedInput() millis {
	videos := 0
	for _, ref := range o.references {
		if ref.kind == videoKind {
			videos++
		}
	}
	counting := videos
	if o.model.family.imagesDivide {
		counting = len(o.references)
	}
	var total millis
	for _, ref := range o.references {
		if ref.kind == videoKind {
			total += min(ref.length, truncation(counting))
		}
	}
	return total
}

type usage26 struct {
	Duration            json.Number `json:"duration"`
	Size                string      `json:"size"`
	InputVideoDuration  json.Number `json:"input_video_duration"`
	OutputVideoDuration json.Number `json:"output_video_duration"`
	VideoCount          int         `json:"video_count"`
	SR                  int         `json:"SR"`
}

type usage27 struct {
	Duration            json.Number `json:"duration"`
	InputVideoDuration  json.Number `json:"input_video_duration"`
	OutputVideoDuration json.Number `json:"output_video_duration"`
	VideoCount          int         `json:"video_count"`
	SR                  int         `json:"SR"`
	Ratio               string      `json:"ratio"`
}

// usage is the bill. Its length is what was ordered even where a fault makes the file another.
func (o order) usage() any {
	return o.model.family.usage(o, o.billedInput(), millis(o.seconds)*1000)
}

func (o order) usage26(in, out millis) any {
	size := fmt.Sprintf("%d*%d", o.width, o.height)
	return usage26{(in + out).float(), size, in.seconds(), out.seconds(), 1, o.tier}
}

func (o order) usage27(in, out millis) any {
	return usage27{(in + out).seconds(), in.seconds(), out.seconds(), 1, o.tier, o.ratio}
}
