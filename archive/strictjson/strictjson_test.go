package strictjson_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/kubeferry/kubeferry/archive/strictjson"
)

type hex string

func (h *hex) UnmarshalText(text []byte) error {
	if strings.Trim(string(text), "0123456789abcdef") != "" {
		return fmt.Errorf("not hexadecimal")
	}
	*h = hex(text)
	return nil
}

type inner struct {
	Keys  int64  `json:"keys"`
	Key   []byte `json:"key"`
	Small uint8  `json:"small"`
	ID    hex    `json:"id"`
}

type base struct {
	Shared string `json:"shared"`
}

type document struct {
	base
	Name    string            `json:"name"`
	Whole   bool              `json:"whole"`
	Share   float64           `json:"share"`
	Inner   *inner            `json:"inner"`
	List    []inner           `json:"list"`
	Pair    [2]int            `json:"pair"`
	Labels  map[string]string `json:"labels"`
	When    time.Time         `json:"when"`
	Raw     json.RawMessage   `json:"raw"`
	Any     any               `json:"any"`
	Counted int               `json:"counted,string"`
	Hidden  string            `json:"-"`
	Plain   string
}

func TestTakesWhatHasOneMeaning(t *testing.T) {
	tests := []struct{ name, data string }{
		{"empty", `{}`},
		{"all members", `{"name":"n","shared":"s","whole":true,"share":1e3,"inner":{"keys":-1,"key":"AAE=","small":255,"id":"ff"},
			"list":[{"keys":1},{}],"pair":[1,2],"labels":{"a":"1","A":"2"},"when":"2026-11-20T09:00:00Z",
			"raw":{"x":[1]},"any":[1,{"a":null}],"counted":"7","Plain":"p"}`},
		{"unknown members", `{"later":{"Name":[1,2,{"x":1e400}],"name":null},"names":3,"Hidden":1}`},
		{"null where Go has one", `{"inner":null,"list":null,"labels":null,"raw":null,"any":null}`},
		{"escapes", `{"name":"\u00e9\\ud800 \ud83d\ude00\"\n"}`},
		{"space around it", " \n{\"name\" : \"n\" , \"pair\" : [ 1 , 2 ] }\n"},
		{"nested to the limit", strings.Repeat(`{"x":`, 32) + `1` + strings.Repeat(`}`, 32)},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			var got, want document
			if err := strictjson.Unmarshal([]byte(test.data), &got); err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal([]byte(test.data), &want); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(got, want, cmp.AllowUnexported(document{})); diff != "" {
				t.Errorf("differs from encoding/json (-got +want):\n%s", diff)
			}
		})
	}
}

func TestRefusesWhatHasTwo(t *testing.T) {
	tests := []struct{ name, data, says string }{
		{"nothing", ``, "not JSON"},
		{"cut", `{"name":"n"`, "not JSON"},
		{"trailing data", `{} {}`, "not JSON"},
		{"trailing NUL", "{}\x00", "not JSON"},
		{"comma at the end", `{"list":[{},]}`, "not JSON"},
		{"NaN", `{"share":NaN}`, "not JSON"},
		{"byte order mark", "\ufeff{}", `invalid character`},
		{"not UTF-8", "{\"name\":\"\xff\"}", `invalid UTF-8 within "/name"`},
		{"half a surrogate pair", `{"name":"\ud800"}`, `invalid surrogate pair`},
		{"the other half", `{"labels":{"a":"\ude00"}}`, `within "/labels/a"`},
		{"two first halves", `{"name":"\ud83d\ud83d"}`, `invalid surrogate pair`},
		{"half a pair in a name", `{"\ud800":1}`, `invalid surrogate pair`},
		{"half a pair in an unknown member", `{"x":["\ud800."]}`, `within "/x/0"`},
		{"a member twice", `{"name":"a","name":"a"}`, `duplicate object member name "name"`},
		{"a member twice, once escaped", `{"name":"a","nam\u0065":"b"}`, `duplicate object member name "name"`},
		{"an unknown member twice", `{"x":{"y":1,"y":1}}`, `duplicate object member name "y" within "/x"`},
		{"a label twice", `{"labels":{"a":"1","a":"2"}}`, `duplicate object member name "a" within "/labels"`},
		{"a member twice in any", `{"any":{"a":"1","a":"2"}}`, `duplicate object member name "a" within "/any"`},
		{"a member twice in raw", `{"raw":{"a":"1","a":"2"}}`, `duplicate object member name "a" within "/raw"`},
		{"another case", `{"Name":"a"}`, `"/Name": written otherwise than "name"`},
		{"another case beside the right one", `{"name":"a","NAME":"b"}`, `"/NAME": written otherwise`},
		{"a letter that folds", `{"inner":{"\u212aeys":1}}`, `eys": written otherwise than "keys"`},
		{"another case of an untagged field", `{"plain":"a"}`, `"/plain": written otherwise than "Plain"`},
		{"another case of a promoted field", `{"SHARED":"a"}`, `written otherwise than "shared"`},
		{"1e400", `{"share":1e400}`, `within "/share"`},
		{"1e400 in any", `{"any":[1e400]}`, `within "/any/0"`},
		{"too large", `{"list":[{},{"small":256}]}`, `within "/list/1/small"`},
		{"too large for 64 bits", `{"inner":{"keys":9223372036854775808}}`, `within "/inner/keys"`},
		{"negative", `{"inner":{"small":-1}}`, `within "/inner/small"`},
		{"a fraction", `{"inner":{"keys":1.5}}`, `within "/inner/keys"`},
		{"a number for text", `{"name":1}`, `within "/name"`},
		{"text for a number", `{"inner":{"keys":"1"}}`, `within "/inner/keys"`},
		{"an object for a list", `{"list":{}}`, `within "/list"`},
		{"a list for an object", `{"list":[[]]}`, `within "/list/0"`},
		{"an object for text", `{"name":{}}`, `within "/name"`},
		{"a list at the top", `[]`, `JSON array into Go strictjson_test.document`},
		{"null for text", `{"name":null}`, `"/name": null`},
		{"null for a number", `{"list":[{"keys":null}]}`, `"/list/0/keys": null`},
		{"null for an object", `{"list":[null]}`, `"/list/0": null`},
		{"null at the top", `null`, `null`},
		{"too few elements", `{"pair":[1]}`, `too few array elements`},
		{"too many elements", `{"pair":[1,2,3]}`, `too many array elements`},
		{"bad base64", `{"inner":{"key":"%"}}`, `within "/inner/key"`},
		{"bad text of a type that reads itself", `{"inner":{"id":"xyz"}}`, `within "/inner/id": not hexadecimal`},
		{"a bad time", `{"when":"yesterday"}`, `within "/when"`},
		{"a bad number in text", `{"counted":7}`, `within "/counted"`},
		{"nested too deep", strings.Repeat(`{"x":`, 33) + `1` + strings.Repeat(`}`, 33), "nested deeper"},
		{"lists nested too deep", strings.Repeat(`[`, 33) + strings.Repeat(`]`, 33), ""},
		{"lists nested too deep in an unknown member", `{"x":` + strings.Repeat(`[`, 32) + strings.Repeat(`]`, 32) + `}`, "nested deeper"},
		{"a list that explodes", `{"list":[` + strings.Repeat(`{},`, 50_000) + `{}]}`, "far more memory"},
		{"a list that explodes a little", `{"any":[],"list":[` + strings.Repeat(`{},`, 20_000) + `{}],"pair":[1,2]}`, "far more memory"},
		{"a name that is very long, twice", `{"` + strings.Repeat("n", 5000) + `":1,"` + strings.Repeat("n", 5000) + `":1}`, "nnn…"},
		{"too many members", `{` + manyMembers(4097) + `}`, "more than 4096 members"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			err := strictjson.Unmarshal([]byte(test.data), new(document))
			if err == nil {
				t.Fatal("was taken")
			}
			if !strings.Contains(err.Error(), test.says) {
				t.Errorf("got error %q, want it to say %q", err, test.says)
			}
		})
	}
}

func manyMembers(n int) string {
	members := make([]string, n)
	for i := range members {
		members[i] = fmt.Sprintf(`"m%d":0`, i)
	}
	return strings.Join(members, ",")
}

func TestRefusesATargetThatIsNoPointer(t *testing.T) {
	for _, target := range []any{nil, document{}, (*document)(nil)} {
		if err := strictjson.Unmarshal([]byte(`{}`), target); err == nil {
			t.Errorf("decoded into a %T", target)
		}
	}
}

// FuzzStrictJSON holds that nothing panics, that what is taken is what
// encoding/json reads, and that it survives being written again.
func FuzzStrictJSON(f *testing.F) {
	for _, seed := range []string{
		`{}`, `null`, `[1]`, `{"name":"a","Name":"b"}`, `{"name":"\ud83d\ude00","x":"\\u"}`,
		`{"inner":{"keys":1,"key":"AA==","small":3,"id":"0a"},"list":[{}],"pair":[1,2],"labels":{"a":"b"}}`,
		`{"when":"2026-11-20T09:00:00Z","any":{"a":[null]},"counted":"1","share":1e-7}`, `{"a":"\`, "\ufeff{}",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var got, want, again document
		if strictjson.Unmarshal(data, &got) != nil {
			return
		}
		if err := json.Unmarshal(data, &want); err != nil {
			t.Fatalf("took what encoding/json refuses: %v", err)
		}
		text, err := json.Marshal(got)
		if err != nil {
			t.Skip("holds a time that cannot be written")
		}
		if err := strictjson.Unmarshal(text, &again); err != nil {
			t.Fatalf("refused what encoding/json wrote: %v\n%s", err, text)
		}
		if len(got.List) != len(want.List) || got.Name != want.Name || again.Name != got.Name {
			t.Fatalf("got %+v, want %+v", got, want)
		}
	})
}
