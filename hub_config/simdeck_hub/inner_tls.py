"""Inner TLS: the certificates by which hub, proxy, deck and servers know each other.

JupyterHub has a maker of its own for them, but makes them as it starts; the proxy runs before the hub and needs them
first. So `simdeck up` has JupyterHub make them beforehand, and adds one pair for itself and the deck, who are clients
of the hub. The deck's own port stays plain: it is on the loopback, which nobody else reads.
"""

from __future__ import annotations

import datetime
import ipaddress
import json
import os
import shutil
import ssl
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from simdeck_common.layout import private_dir
from simdeck_common.problems import Problem

from simdeck_hub.places import DataFolder, hub_python

CLIENT = "simdeck-client"
PAIRS = ("hub-internal", "proxy-api", "proxy-client", CLIENT)
TRUSTS = ("hub-ca", "proxy-api-ca", "proxy-client-ca", "notebooks-ca", "services-ca")
SPARE = datetime.timedelta(days=365)
"""Certificates hold five years; with less than this left, all are made anew."""


@dataclass(frozen=True)
class InnerTls:
    """The certificates of one data folder. Only their owner can enter ``folder``."""

    folder: Path

    @classmethod
    def of(cls, data: DataFolder) -> InnerTls:
        return cls(data.private / "tls")

    def key(self, name: str) -> Path:
        return self.folder / name / f"{name}.key"

    def certificate(self, name: str) -> Path:
        return self.folder / name / f"{name}.crt"

    def trusted_by(self, authority: str) -> Path:
        """Return the certificates that those signed by ``authority`` trust."""
        return self.folder / f"{authority}_trust.crt"

    # --- making them --------------------------------------------------------------------------------------------

    def make(self, address: str, log: Path, environment: Mapping[str, str]) -> None:
        """Make what is missing, ends within a year, or names another address than ``address``; keep the rest.

        Raises
        ------
        Problem
            ``start-failed``: JupyterHub could not make them.
        """
        if self.folder.is_dir() and not self._lasts():
            # Servers that run trust the old authorities only, so this is done long before those end.
            shutil.rmtree(self.folder)
        if self.folder.is_dir() and not self._names(address):
            self._forget("hub-internal")
        if self._complete():
            return
        private_dir(self.folder.parent)
        # Without a configuration file: the folder it is looked for in holds none.
        argv = [str(hub_python()), "-m", "jupyterhub", "--generate-certs", "--JupyterHub.internal_ssl=True"]
        argv += [f"--JupyterHub.internal_certs_location={self.folder}"]
        argv += [f"--JupyterHub.trusted_alt_names={alt_name(address)}"]
        with open_log(log) as output:
            code = subprocess.run(
                argv, cwd=self.folder.parent, env=dict(environment), stdin=subprocess.DEVNULL,
                stdout=output, stderr=output, check=False, start_new_session=True,
            ).returncode  # fmt: skip
        if code == 0:
            self._make_client()
        if code or not self._complete():
            raise Problem("start-failed", what="the inner TLS", reason=f"JupyterHub ended with {code}", log=log)

    def _make_client(self) -> None:
        from certipy import Certipy  # type: ignore[import-untyped]

        store = Certipy(store_dir=str(self.folder))
        if CLIENT not in store.store.store:
            store.create_signed_pair(CLIENT, "services-ca", alt_names=["DNS:localhost", "IP:127.0.0.1"])

    def _forget(self, name: str) -> None:
        from certipy import Certipy

        Certipy(store_dir=str(self.folder)).store.remove_record(name)
        self.certificate(name).unlink(missing_ok=True)

    def _complete(self) -> bool:
        files = [path for name in PAIRS for path in (self.key(name), self.certificate(name))]
        files += [self.trusted_by(name) for name in TRUSTS]
        return all(path.is_file() for path in [*files, self.folder / "certipy.json"])

    def _lasts(self) -> bool:
        """Return whether every certificate of ours and of the authorities holds a good while yet."""
        from cryptography import x509

        soon = datetime.datetime.now(datetime.UTC) + SPARE
        names = [*TRUSTS, *PAIRS]
        try:
            json.loads((self.folder / "certipy.json").read_text(encoding="utf-8"))
            found = [self.certificate(name).read_bytes() for name in names if self.certificate(name).exists()]
            return all(x509.load_pem_x509_certificate(one).not_valid_after_utc > soon for one in found)
        except (OSError, ValueError):
            # A start that was killed while it wrote them.
            return False

    def _names(self, address: str) -> bool:
        """Return whether the hub's certificate is for ``address``."""
        from cryptography import x509

        path = self.certificate("hub-internal")
        if not path.exists():
            return True
        found = x509.load_pem_x509_certificate(path.read_bytes())
        names = found.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        if is_address(address):
            return ipaddress.ip_address(address) in names.get_values_for_type(x509.IPAddress)
        return address in names.get_values_for_type(x509.DNSName)

    # --- using them ---------------------------------------------------------------------------------------------

    def context(self) -> ssl.SSLContext:
        """Return how `simdeck up` itself speaks to the hub and to the proxy's own interface."""
        made = ssl.create_default_context(cafile=str(self.trusted_by("services-ca")))
        made.load_cert_chain(self.certificate(CLIENT), self.key(CLIENT))
        return made

    def proxy_arguments(self) -> list[str]:
        """Return configurable-http-proxy's arguments, as JupyterHub gives them to a proxy it starts itself."""
        argv = []
        for option, name in (("api", "proxy-api"), ("client", "proxy-client")):
            argv += [f"--{option}-ssl-key", str(self.key(name)), f"--{option}-ssl-cert", str(self.certificate(name))]
            argv += [f"--{option}-ssl-ca", str(self.trusted_by(f"{name}-ca"))]
            argv += [f"--{option}-ssl-request-cert", f"--{option}-ssl-reject-unauthorized"]
        return argv

    def deck_environment(self) -> dict[str, str]:
        """Return what the deck is told, in the variables JupyterHub has for its services."""
        return {
            "JUPYTERHUB_SSL_KEYFILE": str(self.key(CLIENT)),
            "JUPYTERHUB_SSL_CERTFILE": str(self.certificate(CLIENT)),
            "JUPYTERHUB_SSL_CLIENT_CA": str(self.trusted_by("services-ca")),
        }

    def configure(self, c: Any, address: str) -> None:
        """Set JupyterHub's options."""
        hub = c.JupyterHub
        hub.internal_ssl = True
        hub.internal_certs_location = str(self.folder)
        hub.trusted_alt_names = [alt_name(address)]


def is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def alt_name(address: str) -> str:
    return f"{'IP' if is_address(address) else 'DNS'}:{address}"


def open_log(path: Path) -> IO[bytes]:
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb")
