package simulator_test

import (
	"encoding/json"
	"encoding/xml"
	"fmt"
	"net/http"
	"regexp"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"r2v-mcp/internal/simulator"
	"r2v-mcp/testdata"
)

// shape reduces a body to its keys and the types of its values.
func shape(v any) any {
	switch v := v.(type) {
	case object:
		keys := object{}
		for key, value := range v {
			keys[key] = shape(value)
		}
		return keys
	case array:
		rows := array{}
		for _, row := range v {
			rows = append(rows, shape(row))
		}
		return rows
	default:
		return fmt.Sprintf("%T", v)
	}
}

func recorded(t *testing.T, name string) object {
	t.Helper()
	content, err := testdata.FS.ReadFile("dashscope/" + name)
	require.NoError(t, err)
	var body object
	require.NoError(t, json.Unmarshal(content, &body))
	return body
}

func TestBodiesHaveTheShapeOfTheRecordedOnes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := memory(t, simulator.Options{Unthrottled: true})
		same := func(name string, answer reply) {
			t.Helper()
			require.Equal(t, shape(recorded(t, name)), shape(answer.json()), name)
		}
		same("list-empty.json", c.read("/api/v1/tasks"))
		created := c.create(wan26())
		same("create-accepted.json", created)
		old := "/api/v1/tasks/" + created.at("output", "task_id").(string)
		same("task-pending.json", c.read(old))
		young := "/api/v1/tasks/" + c.task(wan27())
		wrong := "/api/v1/tasks/" + c.task(wan27(set("input.prompt", nil)))
		same("cancel-accepted.json", c.post("/api/v1/tasks/"+c.task(wan26())+"/cancel", nil))
		time.Sleep(10 * time.Second)
		same("task-running.json", c.read(old))
		same("task-failed.json", c.read(wrong))
		same("cancel-refused-400-not-pending.json", c.post(old+"/cancel", nil))
		time.Sleep(10 * time.Minute)
		same("task-succeeded-wan2.6.json", c.read(old))
		same("task-succeeded-wan2.7.json", c.read(young))
		same("task-unknown.json", c.read("/api/v1/tasks/1111"))
		same("upload-policy.json", c.read("/api/v1/uploads?action=getPolicy&model=wan2.7-r2v"))
	})
}

func TestListRowsHaveTheShapeOfTheRecordedOnes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := memory(t, simulator.Options{})
		c.task(wan26())
		time.Sleep(10 * time.Minute)
		c.task(wan27())
		time.Sleep(time.Minute)
		require.Equal(t, shape(recorded(t, "list.json")), shape(c.read("/api/v1/tasks").json()))
	})
}

// The documented refusals, word for word.
func TestRefusalsSayWhatIsRecorded(t *testing.T) {
	c := memory(t, simulator.Options{APIKey: "sk-test", Unthrottled: true})
	id := c.task(wan26())
	require.Equal(t, 200, c.post("/api/v1/tasks/"+id+"/cancel", nil).status)
	for name, answer := range map[string]reply{
		"create-refused-401-no-key.json":          c.create(wan26(), headers{"Authorization": ""}),
		"create-refused-401-bad-key.json":         c.create(wan26(), headers{"Authorization": "Bearer sk-other"}),
		"create-refused-403-synchronous.json":     c.create(wan26(), headers{"X-DashScope-Async": ""}),
		"poll-refused-403-asynchronous.json":      c.send(http.MethodGet, "/api/v1/tasks/"+id, nil, createHeaders()),
		"create-refused-400-model-not-exist.json": c.create(wan26(set("model", "wan9.9-r2v"))),
		"create-refused-400-field-required.json":  c.create(wan26(set("input.prompt", nil))),
		"cancel-refused-400-not-pending.json":     c.post("/api/v1/tasks/"+id+"/cancel", nil),
		"create-refused-400-arrearage.json":       c.create(wan26(set("input.prompt", "[[fault:arrearage]]"))),
		"create-refused-404-model-not-found.json": c.create(wan26(set("model", "wan2.6-r2v"), set("input.prompt", "[[fault:model-not-found-404]]"))),
		"throttled-429-rate-quota.json":           c.create(wan26(set("input.prompt", "[[fault:throttled]]"))),
		"refused-429-allocation-quota.json":       c.create(wan26(set("input.prompt", "[[fault:allocation-quota]]"))),
		"refused-429-bill-overdue.json":           c.create(wan26(set("input.prompt", "[[fault:bill-overdue]]"))),
		"failed-500-internal-error.json":          c.create(wan26(set("input.prompt", "[[fault:500]]"))),
	} {
		body := recorded(t, name)
		status, err := strconv.Atoi(regexp.MustCompile(`[45]\d\d`).FindString(name))
		require.NoError(t, err)
		answer.refused(status, body["code"].(string), body["message"].(string))
	}
}

func TestStorageRefusesInXML(t *testing.T) {
	content, err := testdata.FS.ReadFile("dashscope/upload-refused-403-policy-expired.xml")
	require.NoError(t, err)
	type ossError struct {
		XMLName   xml.Name `xml:"Error"`
		Code      string   `xml:"Code"`
		Message   string   `xml:"Message"`
		RequestID string   `xml:"RequestId"`
		HostID    string   `xml:"HostId"`
	}
	var want, got ossError
	require.NoError(t, xml.Unmarshal(content, &want))
	synctest.Test(t, func(t *testing.T) {
		c := memory(t, simulator.Options{})
		p := c.policy("wan2.7-r2v")
		time.Sleep(301 * time.Second)
		answer := c.upload(p, "a.png", []byte("x"), nil)
		require.Equal(t, 403, answer.status)
		require.Equal(t, "application/xml", answer.header.Get("Content-Type"))
		require.NoError(t, xml.Unmarshal(answer.body, &got))
	})
	require.Equal(t, want.Code, got.Code)
	require.Equal(t, want.Message, got.Message)
	require.NotEmpty(t, got.RequestID)
	require.NotEmpty(t, got.HostID)
}
