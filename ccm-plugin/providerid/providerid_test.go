package providerid

import "testing"

func TestParse(t *testing.T) {
	for _, test := range []struct {
		id   string
		want ID
		bad  bool
	}{
		{id: "mockcloud://zone-a/i-0123456789abcdef0", want: ID{Zone: "zone-a", InstanceID: "i-0123456789abcdef0"}},
		{id: "kind://docker/kind/kind-worker", want: ID{Name: "kind-worker"}},
		{id: "kind://podman/my-cluster/w2", want: ID{Name: "w2"}},
		{id: "", bad: true},
		{id: "mockcloud://", bad: true},
		{id: "mockcloud:///i-1", bad: true},
		{id: "mockcloud://zone-a", bad: true},
		{id: "mockcloud://zone-a/", bad: true},
		{id: "mockcloud://zone-a/i-1/x", bad: true},
		{id: "mockcloud://zone-a/../../v1/routes", bad: true},
		{id: "mockcloud://zone-a/i-1?x=y", bad: true},
		{id: "mockcloudx://zone-a/i-1", bad: true},
		{id: "aws:///eu-west-1a/i-0123", bad: true},
		{id: "kind://docker/kind", bad: true},
		{id: "kind://docker//w", bad: true},
		{id: "kind://docker/kind/", bad: true},
		{id: "i-0123456789abcdef0", bad: true},
	} {
		got, err := Parse(test.id)
		if (err != nil) != test.bad || got != test.want {
			t.Errorf("Parse(%q) = %+v, %v; want %+v, error %v", test.id, got, err, test.want, test.bad)
		}
	}
}

func TestFormatIsReadBack(t *testing.T) {
	got, err := Parse(Format("zone-b", "i-42"))
	if want := (ID{Zone: "zone-b", InstanceID: "i-42"}); err != nil || got != want {
		t.Fatalf("got %+v, %v", got, err)
	}
}

func TestANodeWithoutProviderIDIsItsInstanceByName(t *testing.T) {
	for id, want := range map[string]ID{"": {Name: "a"}, "mockcloud://zone-a/i-1": {Zone: "zone-a", InstanceID: "i-1"}} {
		if got, err := Of("a", id); err != nil || got != want {
			t.Errorf("%q: %+v, %v; want %+v", id, got, err, want)
		}
	}
	if got, err := Of("a", "aws:///eu-west-1a/i-1"); err == nil {
		t.Errorf("of another cloud: %+v without an error", got)
	}
}
