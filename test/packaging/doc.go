// Package packaging checks what operators start Orderyard with: the Dockerfile, docker-compose.yml and deploy/.
//
// There is no Docker engine and no Kubernetes where the tests run, so the files are held against whatever can be had without them: the
// Compose specification's own loader, the published schema of Kubernetes, the NATS server's own parser (and three real servers with
// that file), the strict loader of configs, the commands of the real binary, and each other: a port, a name, a path or a grace period that
// two files speak of must be the same in both. deploy/README.md says what stays unproven.
package packaging
