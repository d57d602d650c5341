"""``$ref`` in a registry's YAML: ``{$ref: "https://…/apps.yaml#/my-app"}`` stands for what is found there.

Read over https only, each document at most once and up to a MiB; ``#/…`` alone points into the same document. What a
reference leads to may hold references itself, a few deep.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

import httpx
import yaml
from simdeck_common.problems import Problem

LARGEST = 1024 * 1024
DEPTH = 8
SECONDS = 20.0


@dataclass
class References:
    """Replaces references. ``client`` stands in for the network in tests."""

    client: httpx.Client | None = None
    _documents: dict[str, Any] = field(default_factory=dict)

    def resolve(self, value: Any, document: Any, *, file: str, base: str = "", depth: int = 0) -> Any:
        """Return ``value`` without references; ``document`` is the whole it stands in, ``base`` its address.

        Raises
        ------
        Problem
            ``registry-invalid``: a reference cannot be followed.
        """

        def refuse(reason: str) -> Problem:
            return Problem("registry-invalid", file=file, reason=reason)

        if isinstance(value, list):
            return [self.resolve(item, document, file=file, base=base, depth=depth) for item in value]
        if not isinstance(value, dict):
            return value
        if not isinstance(value.get("$ref"), str):
            return {key: self.resolve(item, document, file=file, base=base, depth=depth) for key, item in value.items()}
        reference = value["$ref"]
        if depth >= DEPTH:
            raise refuse(f"the reference {reference} leads through more than {DEPTH} others, perhaps in a circle")
        address, pointer = urldefrag(urljoin(base, reference) if base else reference)
        if address and address != base:
            try:
                document = self.document(address)
            except ValueError as error:
                raise refuse(f"the reference {reference} cannot be read ({error})") from None
            base = address
        try:
            target = _pointed(document, pointer)
        except (KeyError, IndexError, TypeError, ValueError):
            raise refuse(f"the reference {reference} leads to nothing") from None
        return self.resolve(target, document, file=file, base=base, depth=depth + 1)

    def document(self, address: str) -> Any:
        """Return the YAML or JSON document at the https ``address``.

        Raises
        ------
        ValueError
            It cannot be read; the words say why.
        """
        if address not in self._documents:
            text = self._read(address)
            try:
                self._documents[address] = json.loads(text) if address.endswith(".json") else yaml.safe_load(text)
            except (ValueError, yaml.YAMLError, RecursionError):
                raise ValueError("it is neither YAML nor JSON") from None
        return self._documents[address]

    def _read(self, address: str) -> str:
        if urlsplit(address).scheme != "https":
            raise ValueError("only https addresses are read")
        owned = self.client is None
        client = self.client or httpx.Client(
            timeout=SECONDS, follow_redirects=True, event_hooks={"request": [_only_https]}
        )
        content = bytearray()
        try:
            with client.stream("GET", address) as answer:
                answer.raise_for_status()
                for chunk in answer.iter_bytes():
                    content += chunk
                    if len(content) > LARGEST:
                        raise ValueError(f"it is larger than {LARGEST // 2**20} MiB")
        except httpx.HTTPStatusError as error:
            raise ValueError(f"the server answers {error.response.status_code}") from None
        except httpx.HTTPError as error:
            raise ValueError(f"{urlsplit(address).hostname} cannot be reached: {type(error).__name__}") from None
        finally:
            if owned:
                client.close()
        return content.decode("utf-8", "replace")


def _only_https(request: httpx.Request) -> None:
    if request.url.scheme != "https":
        raise ValueError("it leads away from https")


def _pointed(document: Any, pointer: str) -> Any:
    """Return what a JSON pointer (RFC 6901) names."""
    here = document
    for part in pointer.split("/")[1:] if pointer else []:
        name = unquote(part).replace("~1", "/").replace("~0", "~")
        here = here[int(name)] if isinstance(here, list) else here[name]
    return here
