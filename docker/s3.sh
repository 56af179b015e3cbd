#!/bin/sh
# SeaweedFS as an S3 store with three keys: the lake's and MLflow's open one bucket each, the admin's makes buckets and
# copies them. Only S3 listens outside this container: filer, volumes and master ask nobody who they are.
set -eu
umask 077
identity() { # name, key, secret, actions
    printf '{"name":"%s","credentials":[{"accessKey":"%s","secretKey":"%s"}],"actions":[%s]}' "$1" "$2" "$3" "$4"
}
bucket() { printf '"Read:%s","Write:%s","List:%s","Tagging:%s"' "$1" "$1" "$1" "$1"; }
{
    printf '{"identities":['
    identity admin "$S3_ADMIN_KEY" "$S3_ADMIN_SECRET" '"Admin","Read","Write","List","Tagging"'
    printf ','
    identity lake "$S3_LAKE_KEY" "$S3_LAKE_SECRET" "$(bucket lake)"
    printf ','
    identity mlflow "$S3_MLFLOW_KEY" "$S3_MLFLOW_SECRET" "$(bucket mlflow)"
    printf ']}'
} >/tmp/s3.json
unset S3_ADMIN_KEY S3_ADMIN_SECRET S3_LAKE_KEY S3_LAKE_SECRET S3_MLFLOW_KEY S3_MLFLOW_SECRET
exec weed server -dir=/data -ip=127.0.0.1 -ip.bind=127.0.0.1 -master.telemetry=false -volume.max=0 \
    -master.volumeSizeLimitMB=1024 -s3 -s3.ip.bind=0.0.0.0 -s3.config=/tmp/s3.json -s3.port.iceberg=0 -s3.port.lance=0
