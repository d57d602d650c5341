"""Ports that parts listen on, and keep over a restart."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from simdeck_hub import ports


def test_free_ports_are_different_and_outside_the_range_of_outgoing_connections() -> None:
    first, last = map(int, ports.EPHEMERAL.read_text(encoding="ascii").split())
    found = ports.free_ports(50)
    assert len(set(found)) == 50
    assert not [port for port in found if first <= port <= last]


def test_a_taken_port_is_not_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    (port,) = ports.free_ports(1)
    monkeypatch.setattr(ports, "listening_range", lambda: (port, port))
    with socket.socket() as taken:
        taken.bind((ports.HOST, port))
        taken.listen()
        with pytest.raises(OSError, match="no 1 free ports"):
            ports.free_ports(1)
    assert ports.free_ports(1) == [port]


@pytest.mark.parametrize(
    ("kernel", "chosen"),
    [
        ("32768\t60999\n", (10_000, 32767)),
        ("1024 60999", (61000, 65535)),
        ("1024 65535", (10_000, 65535)),
        ("nonsense", (10_000, 32767)),
    ],
)
def test_the_range_avoids_what_the_kernel_uses(tmp_path: Path, kernel: str, chosen: tuple[int, int]) -> None:
    setting = tmp_path / "range"
    setting.write_text(kernel, encoding="ascii")
    assert ports.listening_range(setting) == chosen
