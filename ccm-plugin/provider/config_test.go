package provider

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func env(values map[string]string) func(string) string {
	return func(name string) string { return values[name] }
}

func TestReadConfig(t *testing.T) {
	file := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	config, err := ReadConfig(strings.NewReader(`
endpoint: http://127.0.0.1:9080
token: secret
cluster: c1
cache: none
network: pods
blackholeOnStop: true
routeNodeAddresses: true
requestTimeout: 3s
`), env(nil))
	if err != nil {
		t.Fatal(err)
	}
	if config.Endpoint != "http://127.0.0.1:9080" || config.Token != "secret" || config.Cluster != "c1" || config.Cache != "none" ||
		config.Network != "pods" || !config.BlackholeOnStop || !config.RouteNodeAddresses ||
		config.RequestTimeout.Duration != 3*time.Second || config.RetryInterval.Duration != time.Second {
		t.Fatalf("%+v", config)
	}

	config, err = ReadConfig(strings.NewReader("endpoint: http://a\ntoken: x\ncluster: c1\n"), env(map[string]string{
		"MOCKCLOUD_URL": "http://b", "MOCKCLOUD_TOKEN_FILE": file, "MOCKCLOUD_CLUSTER": "c2"}))
	if err != nil {
		t.Fatal(err)
	}
	if config.Endpoint != "http://b" || config.Token != "" || config.TokenFile != file || config.Cluster != "c2" || config.Cache != "watch" {
		t.Fatalf("%+v", config)
	}

	config, err = ReadConfig(nil, env(map[string]string{"MOCKCLOUD_URL": "http://b", "MOCKCLOUD_TOKEN": "t"}))
	if err != nil || config.Token != "t" || config.Network != "default" {
		t.Fatalf("%+v, %v", config, err)
	}
}

func TestReadConfigNamesWhatIsWrong(t *testing.T) {
	const good = "endpoint: http://a\ntoken: x\n"
	for content, want := range map[string]string{
		"":                     "endpoint",
		"endpoint: http://a":   "token",
		good + "tokenFile: /x": "tokenFile",
		"endpoint: http://a\ntokenFile: /no/such/file": "/no/such/file",
		good + "cache: maybe":                          "cache",
		good + "ednpoint: x":                           "ednpoint",
		good + "endpoint: http://b":                    "endpoint",
		good + "blackholeOnStop: perhaps":              "blackholeOnStop",
		good + "requestTimeout: soon":                  "soon",
		good + "requestTimeout: -1s":                   "requestTimeout",
		good + "retryInterval: -1s":                    "retryInterval",
		good + "deleteWait: -1s":                       "deleteWait",
		good + "cluster: " + strings.Repeat("c", 257):  "cluster",
		"endpoint: [":                                  "yaml",
	} {
		if config, err := ReadConfig(strings.NewReader(content), env(nil)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %+v, %v; want an error with %q", content, config, err, want)
		}
	}
}

func TestAnEndpointThatIsNoneIsRefused(t *testing.T) {
	config, err := ReadConfig(strings.NewReader("endpoint: localhost\ntoken: x\n"), env(nil))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := New(config); err == nil || !strings.Contains(err.Error(), "endpoint") {
		t.Fatal(err)
	}
}

func TestWithoutAClusterThereIsNoClusterID(t *testing.T) {
	for cluster, want := range map[string]bool{"": false, "c1": true} {
		p, err := New(Config{Endpoint: "http://127.0.0.1:1", Token: "x", Cluster: cluster})
		if err != nil || p.HasClusterID() != want || p.ProviderName() != "mockcloud" {
			t.Errorf("cluster %q: %v, %v", cluster, p, err)
		}
	}
}

func TestRouteNamesAreUniqueAndValid(t *testing.T) {
	const uid = "6f1c7d6e-1F6a-4d9b-9c50-0123456789ab"
	seen := map[string]bool{}
	for _, cidr := range []string{"10.128.1.0/24", "10.128.11.0/24", "fd00::/64", "FD00:1::/64", "fd00:1:1::/64"} {
		name := routeName(uid, cidr)
		if seen[name] || name != strings.ToLower(name) || strings.ContainsAny(name, ":/") || strings.HasSuffix(name, "-") {
			t.Errorf("%s: %q", cidr, name)
		}
		seen[name] = true
	}
}
