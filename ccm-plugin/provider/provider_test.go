package provider_test

import (
	"net/http/httptest"
	"testing"

	"mockcloud.dev/ccm-plugin/internal/contracttest"
	"mockcloud.dev/ccm-plugin/internal/fakecloud"
)

// TestContractOnLocalServer runs what package contract runs against the real server.
func TestContractOnLocalServer(t *testing.T) {
	contracttest.Run(t, func(t *testing.T) contracttest.Backend {
		server := httptest.NewServer(fakecloud.New())
		t.Cleanup(server.CloseClientConnections)
		return contracttest.Backend{URL: server.URL, Token: "fake"}
	})
}
