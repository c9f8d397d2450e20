// Package api holds the types and the plain HTTP client generated from the OpenAPI document of mockcloud.
// Nothing here is written by hand; package client wraps it.
package api

//go:generate go tool oapi-codegen -config oapi-codegen.yaml ../../../api/openapi.json
