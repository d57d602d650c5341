"""The blocking client. It is made of `aio.py`: ``python tests/workflows/blocking_client.py``."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx

from simdeck_workflows.client import requests
from simdeck_workflows.client.requests import RETRY_DELAYS, RETRY_STATUS, Request
from simdeck_workflows.models import Event, FileEntry, Run, RunPage, Workflow


class Client:
    """Speaks to the REST API as the caller whose token it holds.

    Parameters
    ----------
    api
        Base address, ending in ``/api/v1``; by default ``SIMDECK_API``.
    token
        A hub token; by default ``JUPYTERHUB_API_TOKEN``.
    transport
        An httpx transport to use instead of the network.

    Every method raises ``simdeck_common.problems.Problem`` for a refusal and ``httpx.TransportError`` where the service
    stays out of reach through several tries.
    """

    def __init__(
        self,
        api: str | None = None,
        token: str | None = None,
        *,
        transport: httpx.BaseTransport | None = None,
        timeout: float = 60.0,
    ) -> None:
        base, headers = requests.settings(api, token)
        self._http = httpx.Client(base_url=base, headers=headers, transport=transport, timeout=timeout)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        self._http.close()

    # --- workflows -----------------------------------------------------------------------------------------------

    def workflows(self) -> list[Workflow]:
        answer = self._json(Request("GET", "workflows"))
        return [Workflow.model_validate(item) for item in answer["items"]]

    def workflow(self, name: str) -> Workflow:
        return Workflow.model_validate(self._json(requests.workflow(name)))

    def validate(self, name: str, inputs: dict[str, Any]) -> None:
        """Check inputs against the workflow, deeply. Raises ``invalid-input`` with the ``field``."""
        self._send(requests.workflow(name, "validate", body={"inputs": inputs}))

    # --- runs ----------------------------------------------------------------------------------------------------

    def submit(
        self,
        workflow: str,
        inputs: dict[str, Any],
        *,
        title: str | None = None,
        idempotency_key: str | None = None,
        **more: Any,
    ) -> Run:
        """Submit a run; when this returns it is durable. A lost answer is asked for again, never a second run made.

        ``more``: ``priority``, ``reuse``, ``notify`` (``{"webhook": …, "secret": …, "email": …}``).
        """
        return Run.model_validate(self._json(requests.submit(workflow, inputs, title, idempotency_key, more)))

    def page(self, *, limit: int = 50, cursor: str | None = None, **filters: Any) -> RunPage:
        """One page of runs, newest first. Filters: ``state``, ``workflow``, ``app``."""
        return RunPage.model_validate(self._json(requests.runs(limit, cursor, filters)))

    def runs(self, **filters: Any) -> Iterator[Run]:
        """All runs, newest first, page by page."""
        cursor: str | None = None
        while True:
            page = self.page(limit=100, cursor=cursor, **filters)
            for run in page.items:
                yield run
            if page.next_cursor is None:
                return
            cursor = page.next_cursor

    def run(self, run_id: str) -> Run:
        return Run.model_validate(self._json(requests.run(run_id)))

    def rename(self, run_id: str, title: str) -> Run:
        return Run.model_validate(self._json(requests.rename(run_id, title)))

    def cancel(self, run_id: str) -> Run:
        return self._act(run_id, "cancel")

    def pause(self, run_id: str) -> Run:
        return self._act(run_id, "pause")

    def resume(self, run_id: str) -> Run:
        return self._act(run_id, "resume")

    def retry(self, run_id: str, inputs: dict[str, Any] | None = None) -> Run:
        """Have an ended run done again, with these inputs changed; returns the new run."""
        return Run.model_validate(self._json(requests.retry(run_id, inputs)))

    def deletion(self, run_id: str) -> dict[str, Any]:
        """What deleting a run takes away: ``nodes``, ``files``, ``size``, ``folders``, ``scratch`` (bytes)."""
        return dict(self._json(requests.run(run_id, "deletion")))

    def delete(self, run_id: str) -> None:
        """Delete an ended run with everything it made."""
        self._send(Request("DELETE", requests.run(run_id).path))

    def scratch(self) -> dict[str, Any]:
        """What working directories take (bytes), and what of it can be given back."""
        return dict(self._json(Request("GET", "scratch")))

    def clean_scratch(self, older_than_days: float = 0.0) -> dict[str, Any]:
        """Remove the working directories of runs that ended so long ago: ``folders``, ``size``."""
        request = Request("POST", "scratch/clean", params={"older_than_days": str(older_than_days)})
        return dict(self._json(request))

    def diff(self, left: str, right: str) -> dict[str, Any]:
        """What differs between two runs: lists ``run``, ``inputs``, ``outputs`` of ``path``, ``left``, ``right``."""
        request = Request("GET", requests.run(left, "diff").path, params={"with": right})
        return dict(self._json(request))

    def sweep(
        self, workflow: str, inputs: dict[str, Any], vary: dict[str, list[Any]], *, key: str | None = None, **more: Any
    ) -> dict[str, Any]:
        """Submit a workflow over many values of some inputs. ``more``: ``mode``, ``title``, ``priority``, ``reuse``."""
        body = {"workflow": workflow, "inputs": inputs, "vary": vary, **more}
        return dict(self._json(requests.sweep(body, key)))

    def sweep_table(self, sweep_id: str) -> dict[str, Any]:
        """A sweep with its results: ``varied``, ``columns``, ``rows``."""
        return dict(self._json(Request("GET", f"sweeps/{sweep_id}")))

    def wait(
        self,
        run_id: str,
        *,
        timeout: float | None = None,  # noqa: ASYNC109 - the same in both clients
        on_event: Callable[[Event], None] | None = None,
    ) -> Run:
        """Wait until the run has ended. Raises ``TimeoutError`` after ``timeout`` seconds; the run goes on."""
        deadline = None if timeout is None else time.monotonic() + timeout
        for event in self._events(run_id, 0, deadline):
            if on_event is not None:
                on_event(event)
        return self.run(run_id)

    def events(self, run_id: str, after: int = 0) -> Iterator[Event]:
        """The run's events with ``seq`` above ``after``, until it ends. A broken stream is taken up where it broke."""
        return self._events(run_id, after, None)

    def _events(self, run_id: str, after: int, deadline: float | None) -> Iterator[Event]:
        path = requests.run(run_id, "events").path
        failures = 0
        while True:
            headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": str(after)} if after else {})
            parser = requests.EventParser()
            limits = requests.patience(requests.left(run_id, deadline))
            try:
                with self._http.stream("GET", path, headers=headers, timeout=limits) as answer:
                    if answer.status_code in RETRY_STATUS and failures < len(RETRY_DELAYS):
                        raise httpx.RemoteProtocolError(f"answered {answer.status_code}")
                    if not answer.is_success:
                        answer.read()
                        raise requests.problem_of(answer) or RuntimeError("unreachable")
                    for text in answer.iter_text():
                        requests.left(run_id, deadline)
                        for seq, kind, data in parser.feed(text):
                            if kind == "end":
                                return
                            if seq is None:
                                continue
                            event = requests.event_of(seq, kind, data)
                            failures, after = 0, event.seq
                            yield event
            except httpx.TransportError:
                requests.left(run_id, deadline)
                if failures >= len(RETRY_DELAYS):
                    raise
            time.sleep(RETRY_DELAYS[min(failures, len(RETRY_DELAYS) - 1)])
            failures += 1

    # --- what a run holds ----------------------------------------------------------------------------------------

    def inputs(self, run_id: str) -> dict[str, Any]:
        return dict(self._json(requests.run(run_id, "inputs")))

    def outputs(self, run_id: str) -> dict[str, Any]:
        """The outputs by name; empty until the run has ended."""
        return dict(self._json(requests.run(run_id, "outputs")))

    def files(self, run_id: str) -> list[FileEntry]:
        answer = self._json(requests.run(run_id, "files"))
        return [FileEntry.model_validate(item) for item in answer["items"]]

    def file(self, run_id: str, path: str) -> bytes:
        return (self._send(requests.run(run_id, "files", path))).content

    def archive(self, run_id: str, target: Path | str, kind: str = "zip") -> Path:
        """Save the run at ``target`` and return that path: as ``zip``, ``crate`` (RO-Crate) or ``aiida`` (archive)."""
        return self._download(requests.run(run_id, requests.EXPORTS[kind]), Path(target))

    def citations(self, run_id: str) -> list[dict[str, Any]]:
        """What to cite for the run: ``kind``, ``text``, ``doi``, ``version`` each."""
        return list((self._json(requests.run(run_id, "citations")))["items"])

    def import_archive(self, source: Path | str) -> list[Run]:
        """Take in an AiiDA archive; returns the runs it brought."""
        content = Path(source).read_bytes()  # noqa: ASYNC240 - as large as a request may be, which is little
        answer = self._http.post("archives", content=content, headers=requests.BYTES, timeout=None)
        if (problem := requests.problem_of(answer)) is not None:
            raise problem
        return [Run.model_validate(item) for item in answer.json()["items"]]

    def log(self, run_id: str) -> str:
        return (self._send(requests.run(run_id, "log"))).text

    def graph(self, run_id: str) -> dict[str, Any]:
        return dict(self._json(requests.run(run_id, "graph")))

    def graph_svg(self, run_id: str) -> str:
        return (self._send(requests.run(run_id, "graph.svg"))).text

    # --- below ---------------------------------------------------------------------------------------------------

    def _act(self, run_id: str, action: str) -> Run:
        return Run.model_validate(self._json(requests.act(run_id, action)))

    def _json(self, request: Request) -> Any:
        return (self._send(request)).json()

    def _send(self, request: Request) -> httpx.Response:
        for delay in (*RETRY_DELAYS, None):
            last = delay is None or not request.repeatable
            try:
                answer = self._http.request(
                    request.method, request.path, params=request.params, json=request.body, headers=request.headers
                )
            except httpx.TransportError:
                if last:
                    raise
            else:
                problem = requests.problem_of(answer)
                if problem is None:
                    return answer
                if last or answer.status_code not in RETRY_STATUS:
                    raise problem
            time.sleep(delay or 0.0)
        raise AssertionError("the last try returns or raises")

    def _download(self, request: Request, target: Path) -> Path:
        half = target.with_name(f".{target.name}.part")
        try:
            with self._http.stream(request.method, request.path) as answer:
                if not answer.is_success:
                    answer.read()
                    raise requests.problem_of(answer) or RuntimeError("unreachable")
                with half.open("wb") as stream:
                    for piece in answer.iter_bytes():
                        stream.write(piece)
            half.replace(target)
        finally:
            half.unlink(missing_ok=True)
        return target
