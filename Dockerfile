# One static binary, no shell, no rights:
#   docker build --build-arg VERSION="$(git describe --tags --always --dirty)" -t orderyard:dev .
# What is copied is listed in .dockerignore; a test compares it with what the binary imports.

FROM --platform=$BUILDPLATFORM golang:1.26.8 AS build
WORKDIR /src
COPY go.mod go.sum ./
RUN --mount=type=cache,target=/go/pkg/mod go mod download
COPY . .
ARG TARGETOS TARGETARCH
ARG VERSION=dev
RUN --mount=type=cache,target=/go/pkg/mod --mount=type=cache,target=/root/.cache/go-build \
    CGO_ENABLED=0 GOOS=$TARGETOS GOARCH=$TARGETARCH \
    go build -trimpath -ldflags "-s -w -X main.release=$VERSION" -o /out/orderyard ./cmd/orderyard \
    && mkdir /out/data

# Certificates of the public authorities, the user nonroot (65532) and nothing to run but the binary.
FROM gcr.io/distroless/static-debian12:nonroot
COPY --from=build /out/orderyard /usr/local/bin/orderyard
COPY LICENSE /LICENSE
# A volume made here belongs to the user who writes it: `docker run -v orderyard:/data orderyard:dev dev`. A node needs none.
COPY --from=build --chown=65532:65532 /out/data /data
WORKDIR /
USER 65532:65532

# Probes and metrics; gossip; requests of other nodes. No ORDERYARD_ variable is set here: it would go over the operator's file.
EXPOSE 8080/tcp 7946/tcp 7946/udp 7947/tcp
HEALTHCHECK --interval=5s --timeout=3s --retries=3 --start-period=150s --start-interval=1s CMD ["orderyard", "health"]
ENTRYPOINT ["orderyard"]
CMD ["node"]
