"""A caller of the metadata service: by its source address, or by the prefix that names the instance."""

import httpx

GOOGLE = {"Metadata-Flavor": "Google"}
AZURE = {"Metadata": "true"}
TTL = "X-aws-ec2-metadata-token-ttl-seconds"
TOKEN = "X-aws-ec2-metadata-token"


class Metadata:
    def __init__(self, server, prefix="", source=None, base=None, timeout=20.0):
        transport = httpx.HTTPTransport(local_address=source)
        self.http = httpx.Client(base_url=base or server.metadata, transport=transport, timeout=timeout,
                                 trust_env=False)
        self.prefix = prefix

    def close(self):
        self.http.close()

    def request(self, method, path, **kwargs):
        return self.http.request(method, self.prefix + path, **kwargs)

    def get(self, path, expect=200, **kwargs):
        response = self.request("GET", path, **kwargs)
        assert response.status_code == expect, f"GET {path}: {response.status_code} {response.text[:500]}"
        return response

    def text(self, path, **kwargs):
        return self.get(path, **kwargs).text

    def json(self, path, **kwargs):
        return self.get(path, **kwargs).json()

    # -- EC2 --------------------------------------------------------------------------------------
    def data(self, path, **kwargs):
        return self.text(f"/latest/meta-data/{path}", **kwargs)

    def token(self, ttl=60):
        response = self.request("PUT", "/latest/api/token", headers={TTL: str(ttl)})
        assert response.status_code == 200, response.text
        return response.text

    # -- GCE --------------------------------------------------------------------------------------
    def gce(self, path, expect=200, headers=GOOGLE, **params):
        return self.get(f"/computeMetadata/v1/{path}", expect=expect, headers=headers, params=params)

    # -- Azure ------------------------------------------------------------------------------------
    def azure(self, path, expect=200, version="2021-02-01", headers=AZURE, **params):
        return self.get(f"/metadata/{path}", expect=expect, headers=headers,
                        params={**({"api-version": version} if version else {}), **params})
