"""Images from and to registries (OCI distribution-spec, Docker Registry HTTP API v2).

- `settings`: what the administrator says about registries: mirrors, certificates, plain HTTP
- `credentials`: the files and helper programs in which docker and podman keep passwords
- `transport`: requests that are repeated, redirected, authenticated and cancelled
- `auth`: challenges, and the tokens that answer them
- `client`: one repository on one registry: manifests and blobs
- `manifests`: documents from strangers, and the one that is for a platform
- `download`: a blob on its way in, kept aside so that a cut costs nothing
- `pull`, `push`, `login`: what people ask for
"""
