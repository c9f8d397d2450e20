# shellcheck shell=bash
# Certificates and kubeconfigs of a control plane.  Needs common.sh, and openssl.
# All of it lives and dies with the state directory.

CERT_DAYS=3650

# quiet_openssl <arguments>: its chatter is shown only if it fails
quiet_openssl() {
  local output
  output=$(openssl "$@" 2>&1) || die "openssl $1 failed: ${output##*$'\n'}"
}

new_key() { quiet_openssl ecparam -name prime256v1 -genkey -noout -out "$1"; }

# new_ca <directory> <name>
new_ca() {
  new_key "$1/$2.key"
  quiet_openssl req -x509 -new -key "$1/$2.key" -days "$CERT_DAYS" -subj "/CN=mockcloud-$2" \
    -addext 'basicConstraints=critical,CA:TRUE' \
    -addext 'keyUsage=critical,keyCertSign,cRLSign,digitalSignature' -out "$1/$2.crt"
}

# new_cert <directory> <ca> <name> <subject> <extended key usage> [<SANs>]
new_cert() {
  local extensions=$1/$3.ext
  new_key "$1/$3.key"
  quiet_openssl req -new -key "$1/$3.key" -subj "$4" -out "$1/$3.csr"
  {
    echo 'basicConstraints=critical,CA:FALSE'
    echo 'keyUsage=critical,digitalSignature'
    echo "extendedKeyUsage=$5"
    [[ -z ${6-} ]] || echo "subjectAltName=$6"
  } >"$extensions"
  quiet_openssl x509 -req -in "$1/$3.csr" -CA "$1/$2.crt" -CAkey "$1/$2.key" \
    -set_serial "0x$(openssl rand -hex 12)" -days "$CERT_DAYS" -extfile "$extensions" \
    -out "$1/$3.crt"
  rm -f "$extensions" "$1/$3.csr"
}

# new_pki <directory>: everything, once per control plane
new_pki() {
  local local_names='IP:127.0.0.1,DNS:localhost'
  mkdir -p "$1"
  new_ca "$1" ca
  new_ca "$1" etcd-ca
  new_cert "$1" etcd-ca etcd /CN=etcd serverAuth,clientAuth "$local_names"
  new_cert "$1" etcd-ca etcd-client /CN=kube-apiserver clientAuth
  new_cert "$1" ca serving /CN=mockcloud-control-plane serverAuth "$local_names"
  new_cert "$1" ca admin /O=system:masters/CN=mockcloud-admin clientAuth
  new_cert "$1" ca kube-controller-manager /CN=system:kube-controller-manager clientAuth
  new_cert "$1" ca kube-scheduler /CN=system:kube-scheduler clientAuth
  # the service account that the CCM has in a cluster, so that the same rules give it its rights
  new_cert "$1" ca mockcloud-ccm /CN=system:serviceaccount:kube-system:mockcloud-ccm clientAuth
  new_cert "$1" ca mockcloud-nodes /CN=mockcloud-nodes clientAuth
  new_key "$1/service-account.key"
  quiet_openssl ec -in "$1/service-account.key" -pubout -out "$1/service-account.pub"
}

# write_kubeconfig <file> <server> <pki directory> <user>
write_kubeconfig() {
  (
    umask 077
    cat >"$1.new" <<END
apiVersion: v1
kind: Config
current-context: mockcloud
clusters:
- name: mockcloud
  cluster:
    server: $2
    certificate-authority-data: $(base64 -w 0 "$3/ca.crt")
users:
- name: $4
  user:
    client-certificate-data: $(base64 -w 0 "$3/$4.crt")
    client-key-data: $(base64 -w 0 "$3/$4.key")
contexts:
- name: mockcloud
  context: {cluster: mockcloud, user: $4}
END
  )
  mv "$1.new" "$1"
}
