package testserver_test

import (
	"context"
	"testing"
	"time"

	"mockcloud.dev/ccm-plugin/client/api"
	"mockcloud.dev/ccm-plugin/testserver"
)

// What a test of your own controller looks like: a cloud of its own on a free port, gone when the test ends.
func TestExample_AnInstanceComesUpWhenItsTimeHasPassed(t *testing.T) {
	ctx := context.Background()
	cloud := testserver.Start(t, testserver.Options{Clock: "manual"})

	if err := cloud.Client.SetLatency(ctx, "instance.pending", "90s"); err != nil {
		t.Fatal(err)
	}
	name := "web-1"
	instance, err := cloud.Client.CreateInstance(ctx, api.InstanceCreate{Name: &name})
	if err != nil {
		t.Fatal(err)
	}
	if instance.State != "pending" {
		t.Fatalf("state %s", instance.State)
	}
	if _, err := cloud.Client.AdvanceClock(ctx, "90s"); err != nil {
		t.Fatal(err)
	}
	testserver.Eventually(t, 10*time.Second, "the instance runs", func() (bool, string) {
		now, err := cloud.Client.Instance(ctx, instance.Id)
		if err != nil {
			return false, err.Error()
		}
		return now.State == "running", string(now.State)
	})
}

// Tests can share a server: a project each keeps them apart.
func TestExample_ProjectsKeepTestsApart(t *testing.T) {
	ctx := context.Background()
	cloud := testserver.Start(t, testserver.Options{})
	name := "web-1"
	for _, project := range []string{"one", "two"} {
		if _, err := cloud.NewProject(t, project).CreateInstance(ctx, api.InstanceCreate{Name: &name}); err != nil {
			t.Fatal(err)
		}
	}
}
