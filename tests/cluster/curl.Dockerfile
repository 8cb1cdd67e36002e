# curl from Debian under the name the documentation uses, for a cluster that reaches no registry.
ARG BASE=debian:bookworm-slim

# hadolint ignore=DL3006
FROM ${BASE}
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends curl \
    && rm -rf /var/lib/apt/lists/*
USER 65534:65534
