# syntax=docker/dockerfile:1

# Both stages are Debian 13, so that the program finds the glibc it was linked with.
FROM rust:1.95.0-slim-trixie AS build
WORKDIR /src
# For `usher version`: there is no .git in here.
ARG USHER_COMMIT=unknown
ENV USHER_COMMIT=$USHER_COMMIT
COPY Cargo.toml Cargo.lock ./
COPY tests/support tests/support
COPY benches benches
COPY src src
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/src/target \
    cargo build --release --locked --bin usher && cp target/release/usher /usr/bin/usher

FROM gcr.io/distroless/cc-debian13:nonroot
ARG USHER_COMMIT=unknown
ARG USHER_VERSION=unknown
LABEL org.opencontainers.image.title="Usher" \
      org.opencontainers.image.description="Makes LiveKit rooms obey declared policies" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$USHER_VERSION" \
      org.opencontainers.image.revision="$USHER_COMMIT"
COPY --from=build /usr/bin/usher /usr/bin/usher
COPY LICENSE /usr/share/doc/usher/LICENSE
# A number, for a kubelet cannot judge by a name whether it is root. Any other user will do as well.
USER 65532:65532
# Webhooks; health and metrics.
EXPOSE 8080 8081
ENTRYPOINT ["/usr/bin/usher"]
CMD ["run"]
