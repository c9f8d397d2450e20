package metadata

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"testing"

	"github.com/aws/aws-sdk-go-v2/feature/ec2/imds"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

const address = "127.0.0.41" // of the instance; all of 127.0.0.0/8 is ours on Linux

// client is the SDK's own as it is on an instance: pointed at the service, asking from the instance's
// address.
func client(s *server) *imds.Client {
	return imds.New(imds.Options{Endpoint: s.metadata, HTTPClient: from(address)})
}

func read(t *testing.T, c *imds.Client, path string) (string, error) {
	t.Helper()
	output, err := c.GetMetadata(context.Background(), &imds.GetMetadataInput{Path: path})
	if err != nil {
		return "", err
	}
	defer output.Content.Close()
	text, err := io.ReadAll(output.Content)
	if err != nil {
		t.Fatal(err)
	}
	return string(text), nil
}

func status(err error) int {
	var response *smithyhttp.ResponseError
	if errors.As(err, &response) {
		return response.HTTPStatusCode()
	}
	return 0
}

// TestTheSDKReadsWhoItIs also goes through the token flow, which the server requires.
func TestTheSDKReadsWhoItIs(t *testing.T) {
	s := start(t, "--imds-tokens", "required")
	id := s.instance("web-1", address)
	c := client(s)
	document, err := c.GetInstanceIdentityDocument(context.Background(), nil)
	if err != nil {
		t.Fatal(err)
	}
	if document.InstanceID != id || document.Region != "mock-1" || document.AvailabilityZone != "mock-1a" ||
		document.InstanceType != "small" || document.PrivateIP != address || len(document.AccountID) != 12 {
		t.Errorf("the identity document is %+v", document)
	}
	region, err := c.GetRegion(context.Background(), nil)
	if err != nil || region.Region != "mock-1" {
		t.Errorf("the region is %v, %v", region, err)
	}
	if got, err := read(t, c, "instance-id"); err != nil || got != id {
		t.Errorf("instance-id is %q, %v", got, err)
	}
	response, err := http.Get(s.metadata + "/instance/web-1/latest/meta-data/instance-id")
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusUnauthorized {
		t.Errorf("without a token the answer is %d", response.StatusCode)
	}
}

func TestTheSDKSeesASpotNoticeComeAndGo(t *testing.T) {
	s := start(t)
	id := s.instance("web-1", address)
	c := client(s)
	if _, err := read(t, c, "spot/instance-action"); status(err) != http.StatusNotFound {
		t.Fatalf("without a notice: %v", err)
	}
	s.interrupt(id, map[string]string{"kind": "spot", "notice": "120s"})
	text, err := read(t, c, "spot/instance-action")
	if err != nil {
		t.Fatal(err)
	}
	var action struct{ Action, Time string }
	if err := json.Unmarshal([]byte(text), &action); err != nil || action.Action != "terminate" ||
		action.Time != "2026-01-01T00:02:00Z" {
		t.Errorf("the notice is %q", text)
	}
	s.call("DELETE", "/sim/v1/instances/"+id+"/interrupt", nil)
	if _, err := read(t, c, "spot/instance-action"); status(err) != http.StatusNotFound {
		t.Errorf("after it was taken back: %v", err)
	}
}

// TestTheSDKRenewsATokenThatHasExpired: the cloud's time passes, the SDK's does not; its old token
// is answered 401 and it fetches another by itself.
func TestTheSDKRenewsATokenThatHasExpired(t *testing.T) {
	s := start(t, "--imds-tokens", "required")
	id := s.instance("web-1", address)
	c := client(s)
	for range 3 {
		if got, err := read(t, c, "instance-id"); err != nil || got != id {
			t.Fatalf("instance-id is %q, %v", got, err)
		}
		s.advance("7h")
	}
}

func TestTheSDKReadsUserTagsAndInterfaces(t *testing.T) {
	s := start(t)
	s.instance("web-1", address)
	c := client(s)
	mac, err := read(t, c, "mac")
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{
		"tags/instance/role": "web", "network/interfaces/macs/" + mac + "/local-ipv4s": address,
		"events/maintenance/scheduled": "[]", "instance-life-cycle": "spot",
	} {
		if got, err := read(t, c, path); err != nil || got != want {
			t.Errorf("%s is %q, %v", path, got, err)
		}
	}
}
