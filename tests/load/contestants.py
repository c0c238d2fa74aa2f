"""Who is measured. Each is a context that yields the URL to load."""

import json
import os
import secrets
import shutil
from pathlib import Path

import process
from stand_in import StandIn

PATH = "/v1/chat/completions"


def all_of(program: str, stand_in: StandIn, scratch: Path) -> list:
    field = [
        Direct(stand_in),
        Nginx(stand_in, scratch),
        Backstop(program, stand_in, scratch),
        Outage(program, stand_in, scratch),
    ]
    if os.environ.get("LITELLM"):
        field.append(LiteLlm(os.environ["LITELLM"], stand_in, scratch))
    if os.environ.get("PORTKEY"):
        field.append(Portkey(Path(os.environ["PORTKEY"]), stand_in, scratch))
    return field


class Direct:
    name = "direct"
    optional = False
    headers: dict[str, str] = {}

    def __init__(self, stand_in: StandIn):
        self.url = f"http://127.0.0.1:{stand_in.primary}{PATH}"

    def __enter__(self) -> str:
        return self.url

    def __exit__(self, *_) -> None:
        pass


class Program:
    """A contestant that is a program, listening on `port`."""

    optional = False
    headers: dict[str, str] = {}
    environment: dict[str, str] = {}

    def __init__(self, scratch: Path):
        (self.port,) = process.free_ports(1)
        self.log = scratch / f"{self.port}.log"

    def __enter__(self) -> str:
        environment = os.environ | self.environment
        self.running = process.start(self.command, self.port, self.log, env=environment)
        return f"http://127.0.0.1:{self.port}{PATH}"

    def __exit__(self, *_) -> None:
        process.stop(self.running)


NGINX = """
daemon off;
worker_processes auto;
pid {scratch}/nginx.pid;
error_log stderr;
events {{ worker_connections 1024; }}
http {{
  access_log off;
  client_body_temp_path {scratch}/nginx-body;
  proxy_temp_path {scratch}/nginx-proxy;
  fastcgi_temp_path {scratch}/nginx-fastcgi;
  uwsgi_temp_path {scratch}/nginx-uwsgi;
  scgi_temp_path {scratch}/nginx-scgi;
  keepalive_requests 1000000;
  upstream provider {{ server 127.0.0.1:{provider}; keepalive 64; keepalive_requests 1000000; }}
  server {{
    listen 127.0.0.1:{port};
    location / {{
      proxy_pass http://provider;
      proxy_http_version 1.1;
      proxy_set_header Connection "";
      proxy_buffering off;
    }}
  }}
}}
"""


class Nginx(Program):
    """A plain reverse proxy, which passes tokens on as they come."""

    name = "nginx"

    def __init__(self, stand_in: StandIn, scratch: Path):
        super().__init__(scratch)
        config = scratch / "nginx.conf"
        config.write_text(NGINX.format(scratch=scratch, port=self.port, provider=stand_in.primary))
        program = shutil.which("nginx") or "/usr/sbin/nginx"
        self.command = [program, "-p", str(scratch), "-e", "stderr", "-c", str(config)]


BACKSTOP = """
listen = "127.0.0.1:{port}"

[providers.first]
dialect = "openai"
base_url = "http://127.0.0.1:{primary}/v1"

[providers.second]
dialect = "openai"
base_url = "http://127.0.0.1:{backup}/v1"

[models.smart]
candidates = ["first:gpt-5.5", "second:gpt-5.5", {{ reply = "All models are away for a moment." }}]
timeout = {{ first_token = "30s", idle = "120s", total = "300s" }}
"""


class Backstop(Program):
    """All layers round each of two candidates, and the log of calls that is on by default."""

    name = "backstop"

    def __init__(self, program: str, stand_in: StandIn, scratch: Path):
        super().__init__(scratch)
        config = scratch / f"backstop-{self.port}.toml"
        config.write_text(BACKSTOP.format(port=self.port, primary=stand_in.primary, backup=stand_in.backup))
        self.log = Path(os.devnull)
        self.command = [program, "--config", str(config)]


class Outage(Backstop):
    """The same, with a primary that fails every call: its circuit opens, and stays open."""

    name = "backstop, outage"

    def __init__(self, program: str, stand_in: StandIn, scratch: Path):
        super().__init__(program, stand_in, scratch)
        self.stand_in = stand_in

    def __enter__(self) -> str:
        self.stand_in.break_primary({"preset": "unavailable"})
        return super().__enter__()

    def __exit__(self, *_) -> None:
        super().__exit__()
        self.stand_in.mend_primary()


LITELLM = """
model_list:
  - model_name: smart
    litellm_params:
      model: openai/gpt-5.5
      api_base: http://127.0.0.1:{provider}/v1
      api_key: unused
"""


class LiteLlm(Program):
    name = "litellm"
    optional = True

    def __init__(self, program: str, stand_in: StandIn, scratch: Path):
        super().__init__(scratch)
        config = scratch / "litellm.yaml"
        config.write_text(LITELLM.format(provider=stand_in.primary))
        workers = ["--num_workers", str(os.cpu_count())]
        self.command = [program, "--config", str(config), "--host", "127.0.0.1", "--port", str(self.port), *workers]
        key = f"sk-{secrets.token_hex(16)}"
        self.headers = {"authorization": f"Bearer {key}"}
        self.environment = {
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",
            "LITELLM_LOG": "ERROR",
            "LITELLM_MASTER_KEY": key,
        }


class Portkey(Program):
    name = "portkey"
    optional = True

    def __init__(self, directory: Path, stand_in: StandIn, scratch: Path):
        super().__init__(scratch)
        server = directory / "node_modules/@portkey-ai/gateway/build/start-server.js"
        self.command = ["node", str(server), "--headless", f"--port={self.port}"]
        self.environment = {"TRUSTED_CUSTOM_HOSTS": "localhost,127.0.0.1"}
        host = f"http://127.0.0.1:{stand_in.primary}/v1"
        config = {"provider": "openai", "api_key": "unused", "custom_host": host}
        self.headers = {"x-portkey-config": json.dumps(config)}
