"""The hub configuration of the sign-in tests: what `simdeck up` sets, without servers and the deck."""

# ruff: noqa: F821
import json
import os
from dataclasses import dataclass, field
from pathlib import Path

from simdeck_hub import configure as simdeck_configure
from simdeck_hub.auth_configure import configure_auth
from simdeck_hub.auth_settings import AuthSection
from simdeck_hub.places import Checkout, DataFolder


@dataclass
class Users:
    names: list[str] = field(default_factory=list)
    admins: list[str] | None = None


@dataclass
class Site:
    auth: AuthSection
    users: Users

    def hub_users(self) -> list[str]:
        return self.users.names

    def admins(self) -> list[str]:
        return self.users.admins or self.users.names[:1]


c = get_config()  # type: ignore[name-defined]
data = DataFolder.find()
settings = json.loads((data.root / "settings.json").read_text(encoding="utf-8"))
port, api_port, hub_port = settings["ports"]
url = f"http://127.0.0.1:{port}"

c.JupyterHub.bind_url = f"{url}/"
c.JupyterHub.hub_bind_url = f"http://127.0.0.1:{hub_port}"
c.JupyterHub.db_url = f"sqlite:///{data.hub / 'jupyterhub.sqlite'}"
c.JupyterHub.cookie_secret_file = str(data.private / "cookie-secret")
c.JupyterHub.template_paths = [str(Path(simdeck_configure.__file__).parent / "templates")]
c.JupyterHub.template_vars = {"site_name": "Test Site", "deck_url": "/hub/home"}
c.JupyterHub.extra_handlers = [(r"/simdeck/(.*)", "simdeck_hub.static_handler.SimdeckStaticHandler")]
c.JupyterHub.log_level = "DEBUG"
c.JupyterHub.default_url = "/hub/home"
c.ConfigurableHTTPProxy.command = [os.environ["NODE"], str(Checkout.find().proxy_script)]
c.ConfigurableHTTPProxy.api_url = f"http://127.0.0.1:{api_port}"

configure_auth(
    c,
    Site(AuthSection.model_validate(settings["auth"]), Users(settings.get("users", []), settings.get("admins"))),
    data,
    public_url=url,
    unix_accounts=settings.get("unix_accounts", False),
    unix_group=settings.get("unix_group"),
    groups=settings.get("groups"),
)

c.JupyterHub.services = [
    # Without a url: the hub would wait half a minute for a service that does not answer.
    {
        "name": "deck",
        "api_token": "deck-token-of-the-tests",
        "oauth_no_confirm": True,
        "oauth_client_id": "service-deck",
        "oauth_redirect_uri": f"{url}/services/deck/oauth_callback",
    },
    {"name": "lister", "api_token": "token-of-the-service-that-lists-users"},
]
c.JupyterHub.load_roles = [
    *(role for role in c.JupyterHub.load_roles if role["name"] != "simdeck-operator"),
    {"name": "lister", "scopes": ["list:users", "read:users"], "services": ["lister"]},
]
