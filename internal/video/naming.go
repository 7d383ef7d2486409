package video

import (
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

// sureness is how certain it is that words of a prompt name a reference.
type sureness int

const (
	prose sureness = iota // "Video 5 seconds", 地图3: hardly a name
	loose                 // lower case, or within quotes: perhaps one
	sure                  // as the documents spell names: Image 1, 图1, character1
)

// mention is a place in a prompt that names a reference, or seems to.
type mention struct {
	alias  string // in the spelling of the documents
	number int
	sure   sureness
	words  string // the place itself, for whoever has to find it
}

// spelling is how one sort of reference is named.
type spelling struct {
	form    string // of the alias, such as "Image "
	exact   string // how the documents begin it in English
	pattern *regexp.Regexp
	roots   []string // one of which is in every name, in lower case
}

// spellings are compiled when the first prompt is checked: a server that only lists its tools never needs them. Each has the
// name, what stands between it and the number, and the numbers: one, or a list such as "1, 2 and 3" or 1、2.
var spellings = sync.OnceValue(func() map[string]spelling {
	const more = `(?:(?: ?(?:,|&|/|and|or|、|和|与|及|與) ?)+(?:\d{1,3}|[一二三四五]))*`
	return map[string]spelling{
		"character": {"character", "character", regexp.MustCompile(`(?i)\b(characters?)( ?)(\d{1,3}` + more + `)`), []string{"character"}},
		"image":     {"Image ", "Image", regexp.MustCompile(`(?i)(\bimages?|图片|图像|图|圖片|圖像|圖)([ _#]{0,2})((?:\d{1,3}|[一二三四五])` + more + `)`), []string{"image", "图", "圖"}},
		"video":     {"Video ", "Video", regexp.MustCompile(`(?i)(\bvideos?|视频|視頻|影片)([ _#]{0,2})((?:\d{1,3}|[一二三四五])` + more + `)`), []string{"video", "视频", "視頻", "影片"}},
	}
})

// afterNumber finds what makes a number a quantity: a unit, or the other half of a ratio.
var afterNumber = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?i)^(?:[a-z0-9]|\.\d|[:：]\d|[ -]?[%°]|[ -]?(?:s|secs?|seconds?|min|minutes?|hours?|fps|hz|px|k|p|x|years?|days?|meters?|metres?|feet|frames?|degrees?|percent|times|of \d)\b|秒|分|倍|年|月|日|个|個|块|塊|小时|帧|米|岁|歲)`)
})

var numeral = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`\d{1,3}|[一二三四五]`) })

// mentions finds the places where the prompt names references of one sort. They are asked for more than once.
func (r *Report) mentions(sort string) []mention {
	found, known := r.mentioned[sort]
	if !known {
		if r.mentioned == nil {
			r.mentioned = map[string][]mention{}
		}
		found = mentions(r.Request.Prompt, sort)
		r.mentioned[sort] = found
	}
	return found
}

// mentions finds the places where a prompt names references of one sort.
func mentions(prompt, sort string) []mention {
	s := spellings()[sort]
	lower := strings.ToLower(prompt)
	if !slices.ContainsFunc(s.roots, func(root string) bool { return strings.Contains(lower, root) }) {
		return nil // a pattern takes longer to find nothing
	}
	text := folded(prompt)
	quoted := quotes(text)
	var out []mention
	for _, at := range s.pattern.FindAllStringSubmatchIndex(text, -1) {
		name, gap, list := text[at[2]:at[3]], text[at[4]:at[5]], text[at[6]:at[7]]
		found := numeral().FindAllString(list, -1)
		how := sure
		switch {
		case afterNumber().MatchString(text[at[1]:]) || inCompound(text[:at[0]], name):
			how = prose
		case quoted[at[0]], len(found) > 1, name[0] < utf8.RuneSelf && (name != s.exact && !strings.EqualFold(s.exact, "character")), sort == "character" && gap != "":
			how = loose
		}
		for _, n := range found {
			number := numberOf(n)
			switch {
			case startsWord(n, text[at[1]:]):
				how = prose
			case how == sure && number > mostNamed:
				how = loose
			}
			out = append(out, mention{alias: s.form + strconv.Itoa(number), number: number, sure: how, words: excerpt(text, at[0], at[1])})
		}
	}
	return out
}

// mostNamed is more references than any request has; a larger number is hardly the name of one.
const mostNamed = 9

// startsWord recognises a Chinese numeral that begins a word of its own, as in 视频一开始: it is a number only before a pause or
// a particle.
func startsWord(numeral, after string) bool {
	if numeral[0] < utf8.RuneSelf {
		return false
	}
	next, size := utf8.DecodeRuneInString(after)
	return size > 0 && unicode.Is(unicode.Han, next) && !slices.Contains([]rune("中里的和与跟及在对把向是從将與對將裡"), next)
}

// folded writes full-width digits and odd blanks in the plain way.
func folded(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= '０' && r <= '９':
			return '0' + r - '０'
		case unicode.IsSpace(r):
			return ' '
		}
		return r
	}, s)
}

// quotes tells for each byte whether it stands within quotation marks, where words are spoken or written in the picture.
func quotes(s string) []bool {
	in := make([]bool, len(s)+1)
	open := false
	for i, r := range s {
		switch r {
		case '"':
			open = !open
		case '“', '「', '『', '«':
			open = true
		case '”', '」', '』', '»':
			open = false
		}
		in[i] = open
	}
	return in
}

// inCompound recognises 图 as the end of another word, such as 地图 or 意图.
func inCompound(before, name string) bool {
	if name[0] < utf8.RuneSelf {
		return false
	}
	last, _ := utf8.DecodeLastRuneInString(before)
	return unicode.Is(unicode.Han, last) && !slices.Contains([]rune("和与跟同及或给把被让使是在对向看着到从由将里中像用以按照参考据依为请與給讓從將裡對來"), last)
}

func numberOf(s string) int {
	if i := strings.Index("一二三四五", s); i >= 0 {
		return i/len("一") + 1
	}
	n, _ := strconv.Atoi(s) // three digits at most
	return n
}

// excerpt is the place with a little of what follows.
func excerpt(text string, from, to int) string {
	const more = 12
	rest := []rune(text[to:])
	return text[from:to] + string(rest[:min(more, len(rest))])
}
