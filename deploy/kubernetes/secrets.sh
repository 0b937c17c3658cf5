#!/bin/sh
# Makes what the nodes prove themselves with and writes it as manifests to standard output:
#
#   ./secrets.sh | kubectl apply -f -
#
# The files stay in the folder given as first argument (./secrets, ignored by git): keep ca.key apart from the cluster, it is who may
# become a node. Run again, it keeps the gossip key and the authority and renews the certificate, which running nodes take by themselves.
# With cert-manager, let it write the Secret orderyard-tls instead (dnsNames: [orderyard], usages: server auth, client auth).
set -eu
umask 077
dir=${1:-$(dirname "$0")/secrets}
mkdir -p "$dir"
cd "$dir"

[ -s gossip.key ] || openssl rand -base64 32 >gossip.key
[ -s ca.crt ] || openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 3650 \
	-subj "/CN=orderyard nodes" -addext "basicConstraints=critical,CA:true" -addext "keyUsage=critical,keyCertSign" \
	-keyout ca.key -out ca.crt 2>/dev/null

# Every node carries the name of cluster.remote.tls.server_name, for it is both ends of a connection.
cat >node.ext <<-EXT
	subjectAltName=DNS:orderyard
	basicConstraints=critical,CA:false
	keyUsage=critical,digitalSignature
	extendedKeyUsage=serverAuth,clientAuth
EXT
openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj "/CN=orderyard" -keyout node.key -out node.csr 2>/dev/null
openssl x509 -req -in node.csr -CA ca.crt -CAkey ca.key -CAcreateserial -days 365 -extfile node.ext -out node.crt 2>/dev/null
rm node.ext node.csr

base64_of() { openssl base64 -A -in "$1"; }
cat <<-YAML
	apiVersion: v1
	kind: Namespace
	metadata: {name: orderyard}
	---
	apiVersion: v1
	kind: Secret
	metadata: {name: orderyard-gossip, namespace: orderyard}
	type: Opaque
	data: {key: "$(base64_of gossip.key)"}
	---
	apiVersion: v1
	kind: Secret
	metadata: {name: orderyard-tls, namespace: orderyard}
	type: kubernetes.io/tls
	data:
	  tls.crt: "$(base64_of node.crt)"
	  tls.key: "$(base64_of node.key)"
	  ca.crt: "$(base64_of ca.crt)"
YAML
