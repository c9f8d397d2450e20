package metadata

import (
	"context"
	"errors"
	"strings"
	"testing"

	"cloud.google.com/go/compute/metadata"
)

// on makes the library's client as it is on an instance: it asks the host that GCE_METADATA_HOST
// names, from the instance's address.
func on(t *testing.T, s *server, address string) *metadata.Client {
	t.Helper()
	t.Setenv("GCE_METADATA_HOST", strings.TrimPrefix(s.metadata, "http://"))
	return metadata.NewClient(from(address))
}

func TestTheLibraryReadsWhoItIs(t *testing.T) {
	s := start(t)
	s.instance("web-1", "127.0.0.31")
	s.instance("web-2", "127.0.0.32")
	ctx := context.Background()
	for _, one := range []struct{ name, address string }{{"web-1", "127.0.0.31"}, {"web-2", "127.0.0.32"}} {
		c := on(t, s, one.address)
		for what, read := range map[string]func(context.Context) (string, error){
			one.name: c.InstanceNameWithContext, one.address: c.InternalIPWithContext, "mock-1a": c.ZoneWithContext,
			"default": c.ProjectIDWithContext, one.name + ".mock-1a.internal": nil,
		} {
			if read == nil {
				continue
			}
			if got, err := read(ctx); err != nil || got != what {
				t.Errorf("%s: got %q, %v", what, got, err)
			}
		}
		if id, err := c.InstanceIDWithContext(ctx); err != nil || len(id) != 19 {
			t.Errorf("the id is %q, %v", id, err)
		}
		if role, err := c.InstanceAttributeValueWithContext(ctx, "role"); err != nil || role != "web" {
			t.Errorf("the attribute is %q, %v", role, err)
		}
		var missing metadata.NotDefinedError
		if _, err := c.InstanceAttributeValueWithContext(ctx, "none"); !errors.As(err, &missing) {
			t.Errorf("an attribute that is not there: %v", err)
		}
	}
}

func TestTheLibraryFindsOutThatItIsOnGCE(t *testing.T) {
	s := start(t)
	s.instance("web-1", "127.0.0.31")
	if c := on(t, s, "127.0.0.31"); !c.OnGCEWithContext(context.Background()) {
		t.Error("the library does not think that it is on GCE")
	}
}

// TestTheLibraryIsToldOfAPreemption subscribes, as a node's agent does, and waits for the change.
func TestTheLibraryIsToldOfAPreemption(t *testing.T) {
	s := start(t)
	id := s.instance("web-1", "127.0.0.31")
	c := on(t, s, "127.0.0.31")
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var seen []string
	done := errors.New("seen")
	err := c.SubscribeWithContext(ctx, "instance/preempted", func(_ context.Context, value string, ok bool) error {
		seen = append(seen, value)
		if value == "TRUE" {
			return done
		}
		go s.interrupt(id, map[string]string{"kind": "preempt"})
		return nil
	})
	if !errors.Is(err, done) || len(seen) != 2 || seen[0] != "FALSE" {
		t.Errorf("seen %v, %v", seen, err)
	}
}
