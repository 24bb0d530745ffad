# syntax=docker/dockerfile:1
# An image in which every command of archaeo runs, as a user without rights:
#
#   docker build --tag archaeo:0.1.0 .
#   docker run --rm --user "$(id -u):$(id -g)" --volume "$PWD:/work" archaeo:0.1.0 excavate --out runs/first

FROM rust:1.95-slim-bookworm AS build
# git names the commit, which every report states; mozjpeg and mimalloc are C.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends build-essential git \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /source
COPY . .
RUN --mount=type=cache,target=/usr/local/cargo/registry \
    --mount=type=cache,target=/source/target \
    git config --global --add safe.directory /source \
    && cargo build --release --locked --package archaeo \
    && cp target/release/archaeo /archaeo

FROM debian:bookworm-slim
# Certificates for models by their name on the Hugging Face hub.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 10001 --create-home archaeo \
    && install --directory --owner archaeo --group archaeo /work
COPY --from=build /archaeo /usr/local/bin/archaeo
USER 10001:10001
WORKDIR /work
ENTRYPOINT ["archaeo"]
CMD ["--help"]
