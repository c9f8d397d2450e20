package provider

import (
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/yaml"
)

// Config is the cloud-config file (YAML or JSON; unknown fields are refused). The environment overrides it.
type Config struct {
	Endpoint  string `json:"endpoint"`  // MOCKCLOUD_URL
	Token     string `json:"token"`     // MOCKCLOUD_TOKEN
	TokenFile string `json:"tokenFile"` // MOCKCLOUD_TOKEN_FILE; read at every call
	Cluster   string `json:"cluster"`   // MOCKCLOUD_CLUSTER; value of the tag mockcloud/cluster on everything we make

	// Cache is "watch" (default: list once and follow the event stream) or "none" (every read asks the cloud).
	Cache string `json:"cache"`
	// Network that routes are made in; default "default".
	Network string `json:"network"`
	// BlackholeOnStop reports the routes to a stopped instance as blackholes, as EC2 does; default false.
	BlackholeOnStop bool `json:"blackholeOnStop"`
	// RouteNodeAddresses makes the route controller re-create a route when its node's addresses change; default false.
	RouteNodeAddresses bool `json:"routeNodeAddresses"`
	// RequestTimeout bounds one call with all its repeats; default 15s.
	RequestTimeout metav1.Duration `json:"requestTimeout"`
	// RetryInterval is after how long a load balancer that is not ready yet is looked at again; default 1s.
	RetryInterval metav1.Duration `json:"retryInterval"`
	// DeleteWait is how long one attempt to delete waits for the load balancer to be gone; default 5s.
	DeleteWait metav1.Duration `json:"deleteWait"`
}

// ReadConfig reads the file, which may be nil, and the environment, fills in defaults and checks the result.
// Errors name the field.
func ReadConfig(file io.Reader, getenv func(string) string) (Config, error) {
	var config Config
	if file != nil {
		content, err := io.ReadAll(file)
		if err != nil {
			return config, fmt.Errorf("cloud-config: %w", err)
		}
		if err := yaml.UnmarshalStrict(content, &config); err != nil {
			return config, fmt.Errorf("cloud-config: %w", err)
		}
	}
	config.override(getenv)
	config.setDefaults()
	if err := config.check(); err != nil {
		return config, fmt.Errorf("cloud-config: %w", err)
	}
	return config, nil
}

func (c *Config) override(getenv func(string) string) {
	if value := getenv("MOCKCLOUD_URL"); value != "" {
		c.Endpoint = value
	}
	if value := getenv("MOCKCLOUD_TOKEN"); value != "" {
		c.Token, c.TokenFile = value, ""
	}
	if value := getenv("MOCKCLOUD_TOKEN_FILE"); value != "" {
		c.Token, c.TokenFile = "", value
	}
	if value := getenv("MOCKCLOUD_CLUSTER"); value != "" {
		c.Cluster = value
	}
}

func (c *Config) setDefaults() {
	if c.Cache == "" {
		c.Cache = "watch"
	}
	if c.Network == "" {
		c.Network = "default"
	}
	for field, standard := range map[*metav1.Duration]time.Duration{
		&c.RequestTimeout: 15 * time.Second,
		&c.RetryInterval:  time.Second,
		&c.DeleteWait:     5 * time.Second,
	} {
		if field.Duration == 0 {
			field.Duration = standard
		}
	}
}

func (c *Config) check() error {
	switch {
	case c.Endpoint == "":
		return errors.New("endpoint: missing (or set MOCKCLOUD_URL)")
	case c.Token != "" && c.TokenFile != "":
		return errors.New("token and tokenFile: only one of the two may be given")
	case c.Token == "" && c.TokenFile == "":
		return errors.New("token: missing (or give tokenFile, or set MOCKCLOUD_TOKEN or MOCKCLOUD_TOKEN_FILE)")
	case c.Cache != "watch" && c.Cache != "none":
		return fmt.Errorf("cache: %q is neither watch nor none", c.Cache)
	case len(c.Cluster) > 256:
		return fmt.Errorf("cluster: %d bytes, at most 256 fit into a tag", len(c.Cluster))
	case c.RequestTimeout.Duration < 0:
		return fmt.Errorf("requestTimeout: %s is negative", c.RequestTimeout.Duration)
	case c.RetryInterval.Duration < 0:
		return fmt.Errorf("retryInterval: %s is negative", c.RetryInterval.Duration)
	case c.DeleteWait.Duration < 0:
		return fmt.Errorf("deleteWait: %s is negative", c.DeleteWait.Duration)
	}
	if c.TokenFile != "" {
		if _, err := os.Stat(c.TokenFile); err != nil {
			return fmt.Errorf("tokenFile: %w", err)
		}
	}
	return nil
}
