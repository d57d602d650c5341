"""Every operation of the API, asked by people who may not: made from the documents that the deck itself serves.

Bob with alice's ids, nobody, tokens that lack the scope, tokens for one workflow alone. Never alice's data, never an
error of ours, and nothing of alice's changes.
"""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from fastapi.routing import APIRoute
from simdeck_agent import api
from simdeck_agent.api import sharing
from simdeck_agent.shares import share_header
from simdeck_deck.scopes import OPEN, SIGNED_IN
from simdeck_hub import scopes
from stack import missing

from api_matrix.matrix import Operation, UnknownParameterError, operations
from api_matrix.people import API, DECLARED, WAAS, WORKFLOW, People
from api_matrix.reach import connected_by_nobody, opened_by_nobody, tcp_ports, unix_sockets

pytestmark = [
    pytest.mark.stack,
    pytest.mark.timeout(900),
    pytest.mark.skipif(missing() is not None, reason=missing() or ""),
]
as_root = pytest.mark.skipif(os.getuid() != 0, reason="to become another Unix user takes root")
PUBLIC = {"/auth/login"}
"""Operations of HPCWaaS, whose document names no scopes, that are open to everybody."""


@pytest.fixture
def unchanged(people: People) -> Iterator[None]:
    """What alice sees of her things is the same before and after the test."""
    # What one test leaves is what the next one begins with: asking takes seconds.
    before = people.last_seen or people.seen_by_alice()
    yield
    after = people.last_seen = people.seen_by_alice()
    changed = {name: (before[name], after[name]) for name in before if before[name] != after[name]}
    assert not changed


def is_open(one: Operation) -> bool:
    return one.scope == OPEN or (one.scope is None and one.path in PUBLIC)


def asked(
    people: People, token: str | None, chosen: list[Operation]
) -> Iterator[tuple[Operation, int, list[str], str]]:
    """Ask all ``chosen`` for alice's things; yield what was answered: status, alice's secrets in it, its beginning."""
    with people.client(token) as client:
        for one in chosen:
            request = one.request(people.things)
            if one.streams:
                # An event stream of the caller's own may go on; its head says enough.
                with client.stream(**request) as answer:
                    if answer.is_error:
                        answer.read()
                    told = people.told(answer, request) if answer.is_error else []
                    yield one, answer.status_code, told, answer.text[:200] if answer.is_error else ""
            else:
                answer = client.request(**request)
                yield one, answer.status_code, people.told(answer, request), answer.text[:200]


def test_every_parameter_of_every_operation_is_known_to_the_matrix(people: People) -> None:
    assert len(people.operations) > 90
    for one in people.operations:
        one.request(people.things)


def test_alice_herself_reaches_what_the_matrix_asks_for(people: People) -> None:
    # Else refusals of bob would say nothing.
    reads = [one for one in people.operations if one.method == "get" and not one.streams]
    unreached = {
        str(one): (status, text)
        for one, status, _, text in asked(people, people.stack.cli_token("alice"), reads)
        if status not in (200, 302) and not (one.path.startswith("/shared/{ticket}") or one.scope == "admin")
    }
    # The default server leaves no papers; a share is not for its owner; on this machine there is no cluster.
    assert set(unreached) <= {"GET /servers/{server}/bundle", "GET /store/files/{path}"}, unreached


@pytest.mark.usefixtures("unchanged")
def test_what_is_alices_does_not_exist_for_bob(people: People) -> None:
    owned = [one for one in people.operations if one.owned]
    assert len(owned) > 45
    wrong = [
        f"{one}: {status} {told} {text}"
        for one, status, told, text in asked(people, people.stack.cli_token("bob"), owned)
        if status != 404 or told
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.usefixtures("unchanged")
def test_what_bob_gets_by_names_and_lists_is_never_alices(people: People) -> None:
    rest = [one for one in people.operations if not one.owned]
    wrong = [
        f"{one}: {status} {told} {text}"
        for one, status, told, text in asked(people, people.stack.cli_token("bob"), rest)
        if status >= 500 or told
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.usefixtures("unchanged")
def test_without_a_token_every_operation_is_401(people: People) -> None:
    closed = [one for one in people.operations if not is_open(one)]
    wrong = [f"{one}: {status}" for one, status, _, _ in asked(people, None, closed) if status != 401]
    assert not wrong


@pytest.mark.usefixtures("unchanged")
def test_a_token_that_opens_all_but_the_operations_scope_is_403(people: People) -> None:
    wrong = []
    for declared in DECLARED:
        chosen = [one for one in people.operations if one.scope == declared]
        assert chosen, declared
        token = people.token_without("alice", declared)
        wrong += [
            f"{one}: {status} {told}" for one, status, told, _ in asked(people, token, chosen) if status != 403 or told
        ]
    assert not wrong


@pytest.mark.usefixtures("unchanged")
def test_a_token_with_access_alone_is_403_everywhere_but_where_being_signed_in_is_enough(people: People) -> None:
    chosen = [one for one in people.operations if not is_open(one) and one.scope != SIGNED_IN]
    answers = asked(people, people.token("alice"), chosen)
    wrong = [f"{one}: {status} {told}" for one, status, told, _ in answers if status != 403 or told]
    assert not wrong


@pytest.mark.usefixtures("unchanged")
def test_a_token_for_reading_changes_nothing(people: People) -> None:
    writes = [one for one in people.operations if one.method != "get"]
    token = people.token("alice", *scopes.for_token("runs:read"), *scopes.for_token("apps:read"))
    wrong = [f"{one}: {status}" for one, status, _, _ in asked(people, token, writes) if status != 403]
    assert not wrong


@pytest.mark.usefixtures("unchanged")
def test_a_token_for_another_workflow_reaches_none_of_alices_runs(people: People) -> None:
    token = people.token("alice", *scopes.for_workflow("alice", "another.workflow"))
    wrong = []
    for one, status, told, text in asked(people, token, [one for one in people.operations if not is_open(one)]):
        allowed: tuple[int, ...] = (403,)
        if one.limited or one.base == WAAS:
            # Lists are there, and empty.
            allowed = (403, 404) if one.parameters or one.method != "get" else (200, 403)
        elif one.scope == SIGNED_IN:
            allowed = (200,)
        if status not in allowed or told:
            wrong.append(f"{one}: {status} {told} {text}")
    assert not wrong, "\n".join(wrong)


@pytest.mark.usefixtures("unchanged")
def test_bobs_token_for_the_same_workflow_reaches_none_of_alices_runs(people: People) -> None:
    token = people.token("bob", *scopes.for_workflow("bob", WORKFLOW))
    wrong = []
    for one, status, told, text in asked(people, token, people.operations):
        if told or status >= 500 or (one.owned and status not in (403, 404)):
            wrong.append(f"{one}: {status} {told} {text}")
        if one.base == API and not one.limited and one.scope not in (OPEN, SIGNED_IN) and status != 403:
            wrong.append(f"{one}: {status}, which is not open to such tokens")
    assert not wrong, "\n".join(wrong)


@pytest.mark.usefixtures("unchanged")
def test_headers_that_the_deck_speaks_to_agents_with_open_nothing_to_a_caller(people: People) -> None:
    token = people.token("bob", *scopes.for_workflow("bob", WORKFLOW))
    forged = {
        "X-Simdeck-Workflows": WORKFLOW,
        "X-Simdeck-Groups": '["admins"]',
        "X-Simdeck-Share": f'{{"share": "{people.things["share"]}", "key": "k", "person": "mallory", "groups": []}}',
        "X-Forwarded-User": "alice",
    }
    wrong = []
    for key in (token, people.stack.cli_token("bob")):
        with people.client(key, **forged) as client:
            for one in people.operations:
                if one.method == "get" and one.owned:
                    request = one.request(people.things)
                    answer = client.request(**request)
                    if answer.status_code not in (403, 404) or people.told(answer, request):
                        wrong.append(f"{one}: {answer.status_code} {answer.text[:200]}")
    assert not wrong, "\n".join(wrong)


def test_a_parameter_that_the_matrix_does_not_know_fails_in_a_clear_sentence() -> None:
    document = {"paths": {"/boxes/{box}": {"get": {"responses": {}}}}}
    (one,) = operations(document, WAAS)
    with pytest.raises(
        UnknownParameterError, match=r"GET /boxes/\{box\} has the parameter 'box', of which .* let alice"
    ):
        one.request({"run_id": "x"})


# --- the agents' own sockets --------------------------------------------------------------------------------------


def agents_operations(people: People) -> list[tuple[str, str]]:
    """Return (method, path) of every route an agent serves, those included that the deck does not pass on."""
    routes = [route for router in (*api.ROUTERS, sharing.router, sharing.shared) for route in router.routes]
    things = people.things
    return [
        (method, route.path.replace(":path", "").format(**things))
        for route in routes
        if isinstance(route, APIRoute)
        for method in sorted(route.methods)
    ]


def sockets_of(people: People) -> list[str]:
    return unix_sockets(found.pid for found in people.stack.processes())


def agents_socket(people: People) -> str:
    """Return alice's agent's socket: the one that says so."""
    for path in (one for one in sockets_of(people) if Path(one).name == "agent.sock"):
        with httpx.Client(transport=httpx.HTTPTransport(uds=path), base_url="http://agent") as client:
            try:
                if client.get("/status").json().get("user") == "alice":
                    return path
            except (httpx.HTTPError, ValueError):
                continue
    raise AssertionError("alice's agent listens nowhere")


@pytest.mark.usefixtures("unchanged")
def test_in_the_name_of_a_share_an_agent_answers_what_is_shared_and_nothing_else(people: People) -> None:
    socket = agents_socket(people)
    key = people.things["link"].partition("#")[2]
    wrong = []
    for person, named in (("mallory", True), ("bob", False)):
        header = {sharing.SHARE_HEADER: share_header(people.things["share"], key, person, ())}
        with httpx.Client(transport=httpx.HTTPTransport(uds=socket), base_url="http://agent", timeout=30) as client:
            for method, path in agents_operations(people):
                answer = client.request(method, path, headers=header)
                expected = 200 if named and method == "GET" and path.startswith("/shared/") else 404
                if answer.status_code != expected:
                    wrong.append(f"{person}: {method} {path}: {answer.status_code}")
    assert not wrong


def test_what_agents_serve_for_the_deck_alone_is_nowhere_on_the_web(people: People) -> None:
    served = {f"{one.method} {one.path}" for one in people.operations if one.base == API}
    inner = [
        (method, route.path)
        for router in (sharing.router, sharing.shared)
        for route in router.routes
        if isinstance(route, APIRoute)
        for method in route.methods
        if f"{method.lower()} {route.path.replace(':path', '')}" not in served
    ]
    assert len(inner) >= 8
    with people.client(people.stack.cli_token("alice")) as alice:
        for method, path in inner:
            answer = alice.request(method, API + path.replace(":path", "").format(**people.things))
            # A name of an inner route may be a ticket for the outer one, and then there is none of that name.
            assert answer.status_code in (404, 405), f"{method} {path}"


# --- sockets, ports, files ----------------------------------------------------------------------------------------


def closed(path: Path, top: Path) -> bool:
    """Say whether ``path`` itself or a folder between it and ``top`` is open to its owner alone."""
    chain = [path, *(parent for parent in path.parents if top in parent.parents)]
    return any(stat.S_IMODE(one.stat().st_mode) & 0o077 == 0 for one in chain)


def test_every_socket_is_a_file_that_its_owner_alone_may_open(people: People) -> None:
    found = sockets_of(people)
    assert len(found) >= 2
    for path in found:
        assert not path.startswith("@"), f"{path} has no file and so no mode"
        assert closed(Path(path), Path(tempfile.gettempdir())), path


def test_every_port_listens_on_this_machine_alone_and_asks_who_is_there(people: People) -> None:
    ports = tcp_ports(found.pid for found in people.stack.processes())
    # Proxy (twice), hub, deck, alice's Jupyter server.
    assert len(ports) >= 5
    loopback = {"0100007F", "0" * 24 + "01000000"}
    assert set(ports.values()) <= loopback
    private = [
        "/api/routes", "/hub/api/users", f"{API}/me", f"{API}/runs/{people.things['run_id']}", f"{API}/status",
        "/user/alice/api/contents", "/user/alice/api/kernels", "/user/alice/lab", "/user/alice/deck/molecule/",
    ]  # fmt: skip
    for port in ports:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False, timeout=120) as nobody:
            for path in private:
                try:
                    answer = nobody.get(path)
                except httpx.HTTPError as error:
                    pytest.fail(f"port {port} {path}: {error!r}")
                # 302 and 3xx lead to the sign-in; nothing is told.
                assert 300 <= answer.status_code < 500, f"port {port} {path}: {answer.status_code}"
                assert not [word for word in people.secrets[:1] + people.secrets[3:] if word in answer.text], path


def test_every_database_and_secret_is_its_owners_alone(people: People) -> None:
    root = people.stack.data.root
    patterns = ("*.sqlite", "*.sqlite-*", "*.key", "*token*", "*secret*", "*password*")
    found = [
        path
        for pattern in patterns
        for path in root.rglob(pattern)
        # Installed packages are anybody's.
        if path.is_file() and not path.is_symlink() and "versions" not in path.parts
    ]
    assert len(found) > 8
    assert not [str(path) for path in found if not closed(path, root)]


@as_root
def test_another_unix_user_opens_no_folder_file_or_socket(people: People) -> None:
    assert opened_by_nobody(people.stack.data.root, people.stack._short) == []
    assert connected_by_nobody(sockets_of(people)) == []
