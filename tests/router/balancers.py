"""Real balancers in front of routers: nginx, which learns from connections alone, and HAProxy, which asks /health.

`GET /all-well` is 200 when HAProxy sends to every router; nginx cannot say, and tries one that failed after a second.
"""

import contextlib
import os
import subprocess
from collections.abc import Iterator, Sequence
from pathlib import Path

import haproxy
import nginx
from support.ports import free_ports

NGINX = """
daemon off; pid {folder}/nginx.pid; error_log stderr warn; worker_processes 1;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
  uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
  upstream routers {{ {servers} keepalive 16; }}
  server {{
    listen 127.0.0.1:{port};
    location = /all-well {{ return 200; }}
    location / {{
      proxy_pass http://routers; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_buffering off; proxy_next_upstream error; proxy_read_timeout 300;
    }}
  }}
}}
"""
HAPROXY = """
global
  maxconn 8192
defaults
  mode http
  timeout connect 2s
  timeout client 300s
  timeout server 300s
  timeout check 10s
  option redispatch
  retries 3
frontend clients
  bind 127.0.0.1:{port}
  monitor-uri /all-well
  monitor fail if {{ nbsrv(routers) lt {count} }}
  default_backend routers
backend routers
  option httpchk GET /health
  http-reuse safe
{servers}
"""


@contextlib.contextmanager
def balancer(kind: str, folder: Path, routers: Sequence[int]) -> Iterator[int]:
    """Run a balancer over routers' ports until the block ends; yield its port."""
    (port,) = free_ports(1)
    command, environment = {"nginx": nginx_of, "haproxy": _haproxy}[kind](folder, port, routers)
    with (folder / f"{kind}.log").open("wb") as log:
        process = subprocess.Popen(command, env={**os.environ, **environment}, stdout=log, stderr=log)
    try:
        yield port
    finally:
        process.terminate()
        process.wait()


def nginx_of(folder: Path, port: int, routers: Sequence[int]) -> tuple[list[str], dict[str, str]]:
    """Return the command that runs nginx as a balancer in the foreground, and its environment."""
    found = nginx.find()
    servers = " ".join(f"server 127.0.0.1:{each} max_fails=1 fail_timeout=1s;" for each in routers)
    text = NGINX.format(folder=folder, port=port, servers=servers)
    # Started by root, nginx would serve as a user who may not enter a test's folders.
    (folder / "nginx.conf").write_text(f"user root;\n{text}" if os.geteuid() == 0 else text)
    command = [*found.command, "-e", "stderr", "-p", str(folder), "-c", str(folder / "nginx.conf")]
    return command, found.environment


def _haproxy(folder: Path, port: int, routers: Sequence[int]) -> tuple[list[str], dict[str, str]]:
    found = haproxy.find()
    lines = [f"  server r{each} 127.0.0.1:{each} check inter 100ms fall 1 rise 1" for each in routers]
    (folder / "haproxy.cfg").write_text(HAPROXY.format(port=port, count=len(lines), servers="\n".join(lines)))
    return [found.program, "-db", "-f", str(folder / "haproxy.cfg")], found.environment
