# nginx with Lua from Debian under OpenResty's name, for a cluster that reaches no registry: the chart's proxy runs on
# either. Build context: this folder.
ARG BASE=debian:bookworm-slim

# hadolint ignore=DL3006
FROM ${BASE}
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends nginx-light libnginx-mod-http-lua \
    && rm -rf /var/lib/apt/lists/*
COPY openresty /usr/local/bin/openresty
