"""A warm parent of app kernels: imports an app's modules once, then forks kernels that are ready to run.

Run by path with the *app's* Python, so it may use the standard library and ipykernel only. One JSON line per message on
standard input and output:

    <- {"op": "fork", "id": "k1", "connection_file": "…"}      make a kernel, initialised and waiting
    <- {"op": "go", "id": "k1", "env": {…}, "cwd": "…"}        let it run with this environment
    -> {"event": "warm"}                                        imports are done
    -> {"event": "ready", "id": "k1", "pid": 1234}             its sockets are bound, its connection file written
    -> {"event": "failed", "id": "k1", "reason": "…"}
    -> {"event": "exit", "id": "k1", "status": 0}

It ends, and its kernels with it, when standard input closes.
"""

from __future__ import annotations

import ctypes
import gc
import importlib
import json
import os
import select
import signal
import sys
import traceback
from typing import Any

PR_SET_PDEATHSIG = 1


def say(stream: int, message: dict[str, Any]) -> None:
    """Write one message line; lines are shorter than PIPE_BUF, so lines of several processes do not mix."""
    os.write(stream, (json.dumps(message) + "\n").encode())


def warm_up(modules: list[str]) -> None:
    """Import what every kernel needs, then the app's modules; a module that fails is left to the page to report."""
    for name in ["ipykernel.kernelapp", "ipykernel.ipkernel", "IPython.core.completer", *modules]:
        try:
            importlib.import_module(name)
        except BaseException:
            traceback.print_exc()


def become_kernel(connection_file: str, go: int, ready: int, name: str) -> None:
    """Turn this forked child into an initialised kernel, wait for the order to go, then serve until shut down."""
    from ipykernel.kernelapp import IPKernelApp

    app = IPKernelApp.instance()
    app.parent_handle = os.getppid()
    app.initialize(["-f", connection_file])
    if "ipywidgets" in sys.modules:
        # It was imported before there was a kernel to tell of its comm targets.
        sys.modules["ipywidgets"].register_comm_target()
    # The completer and the first code compilation are paid here rather than by the page.
    app.shell.run_cell("None", silent=True, store_history=False)
    app.shell.execution_count = 1
    say(ready, {"event": "ready", "id": name, "pid": os.getpid()})
    order = read_line(go)
    os.close(go)
    os.close(ready)
    if order is None:
        os._exit(0)
    os.environ.update(order["env"])
    try:
        os.chdir(order["cwd"])
    except OSError:
        traceback.print_exc()
    app.start()


def read_line(descriptor: int) -> dict[str, Any] | None:
    """Read one JSON line from a pipe that carries only that line; None when it closes first."""
    data = b""
    while not data.endswith(b"\n"):
        part = os.read(descriptor, 65536)
        if not part:
            return None
        data += part
    return dict(json.loads(data))


def die_with_parent(parent: int) -> None:
    """Ask the kernel (of the operating system) to end this process when ``parent`` ends, also by SIGKILL."""
    try:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    except (OSError, AttributeError):
        return
    if os.getppid() != parent:
        os._exit(0)


class ForkServer:
    """The loop: read orders, fork, reap."""

    def __init__(self, out: int) -> None:
        self.out = out
        self.names: dict[int, str] = {}
        self.orders: dict[str, int] = {}

    def fork(self, name: str, connection_file: str) -> None:
        go_read, go_write = os.pipe()
        parent = os.getpid()
        pid = os.fork()
        if pid:
            os.close(go_read)
            self.names[pid] = name
            self.orders[name] = go_write
            return
        try:
            die_with_parent(parent)
            os.setsid()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            signal.set_wakeup_fd(-1)
            os.close(go_write)
            for other in self.orders.values():
                os.close(other)
            null = os.open(os.devnull, os.O_RDONLY)
            os.dup2(null, 0)
            ready = os.dup(self.out)
            os.close(self.out)
            become_kernel(connection_file, go_read, ready, name)
            os._exit(0)
        except SystemExit:
            os._exit(0)
        except BaseException as error:
            traceback.print_exc()
            try:
                say(self.out, {"event": "failed", "id": name, "reason": str(error)[:500]})
            finally:
                os._exit(1)

    def go(self, name: str, env: dict[str, str], cwd: str) -> None:
        pipe = self.orders.pop(name, None)
        if pipe is None:
            return
        try:
            data = (json.dumps({"env": env, "cwd": cwd}) + "\n").encode()
            while data:
                data = data[os.write(pipe, data) :]
        except BrokenPipeError:
            pass
        finally:
            os.close(pipe)

    def reap(self) -> None:
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            name = self.names.pop(pid, None)
            if name is None:
                continue
            pipe = self.orders.pop(name, None)
            if pipe is not None:
                os.close(pipe)
            say(self.out, {"event": "exit", "id": name, "status": os.waitstatus_to_exitcode(status)})

    def serve(self) -> None:
        wake_read, wake_write = os.pipe()
        os.set_blocking(wake_read, False)
        os.set_blocking(wake_write, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wake_write)
        pending = b""
        while True:
            readable, _, _ = select.select([0, wake_read], [], [])
            if wake_read in readable:
                os.read(wake_read, 4096)
                self.reap()
            if 0 not in readable:
                continue
            part = os.read(0, 65536)
            if not part:
                return
            pending += part
            *lines, pending = pending.split(b"\n")
            for line in lines:
                order = json.loads(line)
                if order["op"] == "fork":
                    self.fork(order["id"], order["connection_file"])
                elif order["op"] == "go":
                    self.go(order["id"], order["env"], order["cwd"])

    def end(self) -> None:
        for pid in list(self.names):
            try:
                os.kill(pid, signal.SIGTERM)
            except ProcessLookupError:
                continue


def main() -> None:
    """Warm up with the modules named in argv, then serve."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # This script's folder must not lend its modules to the app.
    sys.path.pop(0)
    # What a library prints must not land between our lines.
    out = os.dup(1)
    os.dup2(2, 1)
    warm_up(sys.argv[1:])
    gc.collect()
    gc.freeze()
    server = ForkServer(out)
    say(out, {"event": "warm"})
    try:
        server.serve()
    finally:
        server.end()


if __name__ == "__main__":
    main()
