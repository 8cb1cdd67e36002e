{{/*
The proxy's nginx.conf. Takes {role, port, keepAlive, settings, isLimited, copyMemory}, see "dpd.proxy.conf". It is a template
as the others are and not a file for `tpl`, which copies every template of the chart for each text that it is given.
*/}}
{{- define "dpd.proxy.nginx" -}}
# In front of one engine: relays on 8081, counts invocations, shows the counts on 9113. Written for OpenResty; any nginx
# with the Lua module runs it.
daemon off;
pid /tmp/nginx.pid;
error_log stderr warn;
# One process sees every request of the pod and so counts them exactly; it relays far more than one engine answers.
worker_processes 1;
events { worker_connections 8192; }

http {
    # The root file system is read-only: whatever nginx might write goes to /tmp.
    client_body_temp_path /tmp/client_body;
    proxy_temp_path /tmp/proxy;
    fastcgi_temp_path /tmp/fastcgi;
    uwsgi_temp_path /tmp/uwsgi;
    scgi_temp_path /tmp/scgi;

    log_format relayed '$remote_addr $request_method $uri $status $request_time $upstream_header_time $bytes_sent "$http_x_request_id"';
    access_log /dev/stdout relayed;
    server_tokens off;

    lua_package_path "/etc/dpd-proxy/?.lua;;";
    lua_shared_dict dpd_metrics 1m;
    init_by_lua_block { require("relay").setup({{ .settings }}) }
    init_worker_by_lua_block { require("relay").start() }

    upstream engine {
        server 127.0.0.1:{{ .port }} max_fails=0;
        keepalive 256;
        # uvicorn closes an idle connection after 5 s; one that we reuse must be younger.
        keepalive_timeout 3s;
    }

    server {
        listen 8081;
        keepalive_timeout {{ .keepAlive }}s;
        keepalive_requests 100000;

        # Who asks sends its head at once and its body steadily; who does not holds nothing here for long.
        client_header_timeout 10s;
        client_body_timeout 60s;
        reset_timedout_connection on;

        # Prompts may be long and images longer; the router holds the limit that users see.
        client_max_body_size 512m;
        client_body_buffer_size 1m;

        # Bytes go on as they come, in both directions, and nothing touches a disk.
        proxy_buffering off;
        proxy_request_buffering off;
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_set_header Host $http_host;
        {{- if eq .role "prefill" }}

        # A prefill that has begun ends, whoever leaves: pages that it wrote for nobody stay in the decoder's buffer.
        proxy_ignore_client_abort on;
        {{- end }}

        # An invocation that may have been received is never sent again.
        proxy_next_upstream off;
        proxy_connect_timeout 5s;
        proxy_send_timeout 600s;
        proxy_read_timeout 3600s;
        send_timeout 600s;

        # Only this proxy says what became of the engine.
        proxy_hide_header X-Dpd-Upstream;

        {{- if and .isLimited (ne .role "prefill") }}

        # A client that leaves the queue makes room in it. Not on prefillers: there it would end what has begun, too.
        lua_check_client_abort on;
        {{- end }}

        access_by_lua_block { require("relay").access() }
        header_filter_by_lua_block { require("relay").head() }
        body_filter_by_lua_block { require("relay").body() }
        log_by_lua_block { require("relay").finish() }

        {{- if .copyMemory }}
        set $copied "";
        {{- end }}

        location / {
            {{- if .copyMemory }}
            rewrite_by_lua_block { require("relay").rewrite() }
            {{- end }}
            proxy_pass http://engine;
        }
        {{- if .copyMemory }}

        # Bodies that are copied: read whole, in memory, as far as there is room for copies.
        location @copied {
            client_body_buffer_size {{ .copyMemory }}m;
            proxy_pass http://engine;
        }
        {{- end }}
    }

    server {
        listen 9113;
        access_log off;
        location = /healthz {
            default_type text/plain;
            return 200 "ok\n";
        }
        location = /metrics {
            content_by_lua_block { require("relay").expose() }
        }
    }
}
{{- end }}
