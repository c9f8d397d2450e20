# Three images, none with a shell:
#   docker build --target mockcloud -t mockcloud:dev .            the server and its CLI
#   docker build --target mockcloud-ccm -t mockcloud-ccm:dev .    the cloud-controller-manager
#   docker build --target mockcloud-cni -t mockcloud-cni:dev .    pod network of kind nodes
# Where no registry can be reached, `make images` makes the same from the local toolchain.

FROM debian:bookworm-slim AS c
RUN apt-get update && apt-get install -y --no-install-recommends \
    gcc libc6-dev make pkg-config ca-certificates libmicrohttpd-dev libjansson-dev libsqlite3-dev \
    uuid-dev libcurl4-openssl-dev libyaml-dev && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN make && scripts/image-tree build/mockcloud /tree

FROM scratch AS mockcloud
COPY --from=c /tree /
USER 65532:65532
WORKDIR /data
ENV MOCKCLOUD_TOKEN_FILE=/data/token
EXPOSE 9080 9169
ENTRYPOINT ["/usr/local/bin/mockcloud"]
CMD ["serve", "--db", "/data/mockcloud.db", "--token-file", "/data/token"]

FROM golang:1.26-bookworm AS go
WORKDIR /src/ccm-plugin
COPY ccm-plugin/go.mod ccm-plugin/go.sum ./
RUN go mod download
COPY ccm-plugin .
COPY scripts/image-tree /src/scripts/
ENV CGO_ENABLED=0
RUN for program in mockcloud-ccm mockcloud-cni; do \
    go build -trimpath -ldflags '-s -w' -o /out/ ./cmd/$program && \
    /src/scripts/image-tree /out/$program /tree/$program; done

FROM scratch AS mockcloud-ccm
COPY --from=go /tree/mockcloud-ccm /
USER 65532:65532
ENTRYPOINT ["/usr/local/bin/mockcloud-ccm"]

FROM scratch AS mockcloud-cni
COPY --from=go /tree/mockcloud-cni /
ENTRYPOINT ["/usr/local/bin/mockcloud-cni"]
