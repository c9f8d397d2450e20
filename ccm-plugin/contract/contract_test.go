// Package contract runs the provider's cases against the real mockcloud server.
package contract

import (
	"testing"

	"mockcloud.dev/ccm-plugin/internal/contracttest"
	"mockcloud.dev/ccm-plugin/testserver"
)

func TestContractOnRealServer(t *testing.T) {
	contracttest.Run(t, func(t *testing.T) contracttest.Backend {
		server := testserver.Start(t, testserver.Options{})
		return contracttest.Backend{URL: server.URL, Token: server.Token}
	})
}
