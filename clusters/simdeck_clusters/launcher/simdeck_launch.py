"""simdeck-launch: what Simdeck's service may do as a user, and nothing else.

``sudo -n -u <user> -- <prefix>/libexec/simdeck-launch <verb> [plain arguments]``. sudo has made this process the user
before it begins, so everything here happens with that user's rights. The program is installed by itself, belongs to
root, and uses the standard library only; ``launch.json`` beside it is root's too. It takes a fixed set of verbs, checks
every argument against a pattern, passes on nothing of the caller's environment and runs no shell.

    agent [HUBNAME]                 start the user's agent on the listening socket that is standard input
    write NAME                      write files of ~/.simdeck/servers/NAME; standard input: {"files": {name: text}}
    sbatch NAME [CLUSTER]           submit the script on standard input; prints the job id
    sbatch-test NAME [CLUSTER]      ask when that script would start; submits nothing
    scancel ID [CLUSTER]            end the user's own job
    signal ID SIGNAL [CLUSTER]      send the signal to the job's batch script
    read NAME                       print {"log", "end", "files"} of ~/.simdeck/servers/NAME
    clean NAME                      remove ~/.simdeck/servers/NAME
    check                           print what `simdeck doctor` asks of this user's side

Exit status: 0 done; 1 failed; 2 refused; 124 a command took too long; else the status of Slurm's command.
"""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import re
import select
import socket
import stat
import subprocess
import sys
import time
from typing import Any, NamedTuple

FAILED, REFUSED, LATE = 1, 2, 124
INPUT_LIMIT = 1 << 20
FILES_LIMIT = 16
LOG_TAIL = 64 << 10
END_LIMIT = 64 << 10
AGENT_LOG_LIMIT = 5 << 20
LOG, END = "job.log", "end.json"
READY = b"ready\n"

NAME = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}"
FILE = r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}"
JOB = r"[1-9][0-9]{0,11}"
SIGNAL = r"HUP|INT|TERM|USR1|USR2"
CLUSTER = r"[A-Za-z0-9][A-Za-z0-9_-]{0,39}"
HUBNAME = r"[A-Za-z0-9_][A-Za-z0-9_.@+-]{0,127}"
# verb: (patterns of the arguments, how many of them must be given)
VERBS: dict[str, tuple[tuple[str, ...], int]] = {
    "agent": ((HUBNAME,), 0),
    "write": ((NAME,), 1),
    "sbatch": ((NAME, CLUSTER), 1),
    "sbatch-test": ((NAME, CLUSTER), 1),
    "scancel": ((JOB, CLUSTER), 1),
    "signal": ((JOB, SIGNAL, CLUSTER), 2),
    "read": ((NAME,), 1),
    "clean": ((NAME,), 1),
    "check": ((), 0),
}


class Refused(Exception):  # noqa: N818 - an outcome, not a fault
    """What was asked is not done; the sentence goes to standard error."""

    def __init__(self, sentence: str, status: int = REFUSED) -> None:
        super().__init__(sentence)
        self.status = status


class Account(NamedTuple):
    """The user this process runs as."""

    name: str
    uid: int
    home: str


class Config(NamedTuple):
    """``launch.json``."""

    service_uid: int
    minimum_uid: int
    path: str
    environment: dict[str, str]
    agent: list[str]
    clusters: dict[str, dict[str, str]]
    """Name → ``bin`` (folder of Slurm's commands) and ``conf`` (its ``SLURM_CONF``, may be empty)."""
    seconds: float
    """The longest a command of Slurm, or the start of an agent, may take."""


def main(argv: list[str]) -> int:
    """Do what ``argv`` (verb and arguments) says; return the exit status."""
    try:
        os.umask(0o077)
        config = read_config(os.path.join(os.path.dirname(os.path.abspath(__file__)), "launch.json"))
        account = who(config)
        verb, arguments = checked(argv)
        # The caller's working folder is the service's own: not even readable for the user.
        os.chdir(account.home)
        return perform(verb, arguments, account, config)
    except Refused as refused:
        status, sentence = refused.status, str(refused)
    except OSError as error:
        status, sentence = FAILED, f"{error.filename or 'it'}: {error.strerror or error}"
    print(f"simdeck-launch: {sentence}", file=sys.stderr)
    return status


def read_config(path: str) -> Config:
    """Read root's configuration; refuse one that somebody else could have written."""
    with open(path, "rb") as stream:
        info = os.fstat(stream.fileno())
        if info.st_uid != 0 or info.st_mode & 0o022:
            raise Refused(f"{path} must belong to root and be writable by root alone")
        return parse_config(stream.read())


def parse_config(text: bytes) -> Config:
    try:
        raw = json.loads(text)
        return Config(
            service_uid=pwd.getpwnam(raw["service_user"]).pw_uid,
            minimum_uid=max(1, int(raw["minimum_uid"])),
            path=str(raw["path"]),
            environment={str(name): str(value) for name, value in raw["environment"].items()},
            agent=[str(word) for word in raw["agent"]],
            clusters={str(name): dict(entry) for name, entry in raw["clusters"].items()},
            seconds=float(raw["seconds"]),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise Refused(f"launch.json is not valid: {error!r}") from None


def who(config: Config) -> Account:
    """Return the user this runs as; refuse root, the service itself and the system's own accounts."""
    uid = os.getuid()
    if uid != os.geteuid() or os.getgid() != os.getegid():
        raise Refused("real and effective user must be the same")
    if uid == 0:
        raise Refused("not as root")
    if uid == config.service_uid:
        raise Refused("not as the service user")
    if uid < config.minimum_uid:
        raise Refused(f"not as an account of the system (uid below {config.minimum_uid})")
    try:
        entry = pwd.getpwuid(uid)
    except KeyError:
        raise Refused(f"uid {uid} has no account") from None
    return Account(entry.pw_name, uid, entry.pw_dir)


def checked(argv: list[str]) -> tuple[str, list[str]]:
    """Return verb and arguments; refuse whatever does not fit a pattern as a whole."""
    verb = argv[0] if argv else ""
    if verb not in VERBS:
        raise Refused(f"the verbs are {', '.join(VERBS)}")
    patterns, needed = VERBS[verb]
    arguments = argv[1:]
    if not needed <= len(arguments) <= len(patterns):
        raise Refused(f"{verb} takes {needed} to {len(patterns)} arguments")
    for number, (pattern, value) in enumerate(zip(patterns, arguments, strict=False), start=1):
        if not re.fullmatch(pattern, value, re.ASCII):
            raise Refused(f"argument {number} of {verb} is not valid")
    return verb, arguments


def perform(verb: str, arguments: list[str], account: Account, config: Config) -> int:
    """Carry out a checked request as ``account``."""
    first = arguments[0] if arguments else ""
    if verb == "agent":
        return start_agent(first or account.name, account, config)
    if verb == "write":
        return write(first, read_input(), account)
    if verb in ("sbatch", "sbatch-test"):
        script = read_input()
        folder = open_folder(("servers", first), account, make=True)
        os.close(folder)
        wanted = ["--test-only"] if verb == "sbatch-test" else ["--parsable"]
        wanted.append(f"--output={account.home}/.simdeck/servers/{first}/{LOG}")
        return slurm("sbatch", wanted, arguments[1:], account, config, script)
    if verb == "scancel":
        return slurm("scancel", [first], arguments[1:], account, config)
    if verb == "signal":
        return slurm("scancel", ["--batch", f"--signal={arguments[1]}", first], arguments[2:], account, config)
    if verb == "read":
        return say(read(first, account))
    if verb == "clean":
        return clean(first, account)
    return say(check(account, config))


def say(answer: dict[str, Any]) -> int:
    sys.stdout.buffer.write(json.dumps(answer).encode() + b"\n")
    sys.stdout.buffer.flush()
    return 0


def read_input(limit: int = INPUT_LIMIT) -> bytes:
    """Return standard input; refuse more than ``limit`` bytes."""
    text = sys.stdin.buffer.read(limit + 1)
    if len(text) > limit:
        raise Refused(f"standard input is larger than {limit} bytes")
    return text


# --- the user's folders: opened step by step, never through a link ---------------------------------------------------


def open_folder(parts: tuple[str, ...], account: Account, *, make: bool) -> int:
    """Return a descriptor of ``~/.simdeck/<parts>``: real folders of the user's own, closed to everybody else.

    Raises
    ------
    FileNotFoundError
        It is not there, and ``make`` is false.
    """
    here = os.open(account.home, os.O_RDONLY | os.O_DIRECTORY)
    seen = account.home
    try:
        if os.fstat(here).st_uid != account.uid:
            raise Refused(f"{seen} does not belong to {account.name}")
        for part in (".simdeck", *parts):
            if make:
                with contextlib.suppress(FileExistsError):
                    os.mkdir(part, 0o700, dir_fd=here)
            seen = f"{seen}/{part}"
            try:
                below = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=here)
            except FileNotFoundError:
                raise
            except OSError as error:
                raise Refused(f"{seen} is not a folder ({error.strerror})") from None
            os.close(here)
            here = below
            info = os.fstat(here)
            if info.st_uid != account.uid:
                raise Refused(f"{seen} does not belong to {account.name}")
            if stat.S_IMODE(info.st_mode) & 0o077:
                os.fchmod(here, 0o700)
    except BaseException:
        os.close(here)
        raise
    return here


def write(name: str, text: bytes, account: Account) -> int:
    """Write the given files, each whole or not at all, with mode 600."""
    contents = parse_files(text)
    folder = open_folder(("servers", name), account, make=True)
    try:
        for file, content in contents.items():
            temporary = f".{file}.{os.getpid()}"
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
            target = os.open(temporary, flags, 0o600, dir_fd=folder)
            try:
                with open(target, "wb") as stream:
                    stream.write(content)
                    stream.flush()
                    os.fsync(stream.fileno())
                os.rename(temporary, file, src_dir_fd=folder, dst_dir_fd=folder)
            except BaseException:
                os.unlink(temporary, dir_fd=folder)
                raise
    finally:
        os.close(folder)
    return 0


def parse_files(text: bytes) -> dict[str, bytes]:
    """Return file name → content of ``{"files": {name: text}}``; an object instead of a text is written as JSON."""
    try:
        files = json.loads(text)["files"]
        if not isinstance(files, dict) or not 0 < len(files) <= FILES_LIMIT:
            raise ValueError("files must be an object of 1 to 16 files")
        made = {}
        for name, content in files.items():
            if not re.fullmatch(FILE, name, re.ASCII):
                raise ValueError(f"{name[:40]!r} is not the name of a file")
            if not isinstance(content, str | dict):
                raise ValueError(f"{name} is neither a text nor an object")
            made[name] = (content if isinstance(content, str) else json.dumps(content)).encode()
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        # Never the content: what stands there is secret.
        reason = "no JSON" if isinstance(error, json.JSONDecodeError | UnicodeError) else error
        raise Refused(f"standard input is not valid: {reason}") from None
    return made


def read(name: str, account: Account) -> dict[str, Any]:
    """Return the end of the server's log, its end record (or null) and the names of its files."""
    try:
        folder = open_folder(("servers", name), account, make=False)
    except FileNotFoundError:
        return {"log": "", "end": None, "files": []}
    try:
        log = tail(LOG, folder, LOG_TAIL).decode("utf-8", "replace")
        end: Any = None
        with contextlib.suppress(ValueError, RecursionError):
            end = json.loads(tail(END, folder, END_LIMIT) or b"null")
        return {"log": log, "end": end if isinstance(end, dict) else None, "files": sorted(os.listdir(folder))[:100]}
    finally:
        os.close(folder)


def tail(name: str, folder: int, limit: int) -> bytes:
    """Return the last ``limit`` bytes of a plain file; nothing where there is none."""
    try:
        # A pipe that somebody put there must not hold us up.
        handle = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=folder)
    except OSError:
        return b""
    with open(handle, "rb") as stream:
        info = os.fstat(handle)
        if not stat.S_ISREG(info.st_mode):
            return b""
        stream.seek(max(0, info.st_size - limit))
        return stream.read(limit)


def clean(name: str, account: Account) -> int:
    """Remove the server's folder; what is gone already is well."""
    with contextlib.suppress(FileNotFoundError):
        servers = open_folder(("servers",), account, make=False)
        try:
            # fwalk goes by descriptors and enters no link.
            for _, folders, files, here in os.fwalk(name, topdown=False, follow_symlinks=False, dir_fd=servers):
                for entry in folders + files:
                    remove(entry, here)
            remove(name, servers)
        finally:
            os.close(servers)
    return 0


def remove(entry: str, folder: int) -> None:
    """Remove a file, a link, or an empty folder."""
    if stat.S_ISDIR(os.stat(entry, dir_fd=folder, follow_symlinks=False).st_mode):
        os.rmdir(entry, dir_fd=folder)
    else:
        os.unlink(entry, dir_fd=folder)


# --- commands --------------------------------------------------------------------------------------------------------


def environment(account: Account, config: Config) -> dict[str, str]:
    """Return the whole environment of what is run as the user: nothing of the caller's."""
    own = {"HOME": account.home, "USER": account.name, "LOGNAME": account.name, "SHELL": "/bin/sh"}
    return {"LANG": "C.UTF-8", **config.environment, "PATH": config.path, **own}


def slurm_command(command: str, chosen: list[str], config: Config) -> tuple[str, dict[str, str]]:
    """Return the absolute path of a Slurm command and what it needs in its environment."""
    name = chosen[0] if chosen else next(iter(config.clusters), "")
    if name not in config.clusters:
        raise Refused("launch.json names no such cluster")
    entry = config.clusters[name]
    conf = entry.get("conf", "")
    return f"{entry.get('bin', '/usr/bin')}/{command}", {"SLURM_CONF": conf} if conf else {}


def slurm(
    command: str, words: list[str], chosen: list[str], account: Account, config: Config, script: bytes = b""
) -> int:
    """Run a Slurm command on the ``chosen`` cluster (default: the first); its output and status are ours."""
    program, extra = slurm_command(command, chosen, config)
    try:
        done = subprocess.run(
            [program, *words],
            input=script,
            env=environment(account, config) | extra,
            timeout=config.seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        # The service cannot end a sudo of root's, so the limit must be kept here.
        raise Refused(f"{command} did not end within {config.seconds:g} seconds", LATE) from None
    return done.returncode if done.returncode >= 0 else FAILED


def start_agent(hub_user: str, account: Account, config: Config) -> int:
    """Start the agent, detached, on the socket that is standard input; return once it serves.

    The agent takes three words of ours: who it serves, whose connections it takes, and the descriptor it writes
    ``ready`` to.
    """
    must_listen(0)
    folder = open_folder(("agent",), account, make=True)
    with open(open_log(folder), "ab") as log:
        begin = log.tell()
        ready, theirs = os.pipe()
        argv = [*config.agent, "--user", hub_user, "--peer-uid", str(config.service_uid), "--ready-fd", str(theirs)]
        process = subprocess.Popen(
            argv,
            stdout=log,
            stderr=log,
            pass_fds=(theirs,),
            cwd=account.home,
            env=environment(account, config),
            start_new_session=True,
        )
    os.close(theirs)
    if await_ready(ready, config.seconds):
        return 0
    try:
        process.wait(0.5)
        reason = last_line(folder, begin) or f"it ended with status {process.returncode} and no word"
    except subprocess.TimeoutExpired:
        # It hangs: left alone it would hold the user's lock for ever.
        process.kill()
        reason = f"it did not answer within {config.seconds:g} seconds"
    raise Refused(reason, FAILED)


def must_listen(handle: int) -> None:
    """Refuse a standard input that is not a listening Unix socket."""
    try:
        with socket.socket(fileno=os.dup(handle)) as given:
            if given.family == socket.AF_UNIX and given.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN):
                return
    except OSError:
        pass
    raise Refused("standard input is not a listening Unix socket")


def open_log(folder: int) -> int:
    """Return a descriptor of the agent's log; one that has grown is moved aside."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_NONBLOCK
    handle = os.open("agent.log", flags, 0o600, dir_fd=folder)
    info = os.fstat(handle)
    if not stat.S_ISREG(info.st_mode):
        raise Refused("agent.log is not a plain file")
    if info.st_size <= AGENT_LOG_LIMIT:
        return handle
    os.close(handle)
    os.rename("agent.log", "agent.log.1", src_dir_fd=folder, dst_dir_fd=folder)
    return os.open("agent.log", flags, 0o600, dir_fd=folder)


def await_ready(handle: int, seconds: float) -> bool:
    """Say whether ``ready`` was written to the pipe in time; its end without a word is a no."""
    deadline = time.monotonic() + seconds
    said = b""
    while not said.endswith(READY):
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([handle], [], [], left)[0]:
            return False
        some = os.read(handle, 64)
        if not some:
            return False
        said += some
    return True


def last_line(folder: int, begin: int) -> str:
    """Return the last line that says something in what was logged since ``begin``."""
    with open(os.open("agent.log", os.O_RDONLY | os.O_NOFOLLOW, dir_fd=folder), "rb") as stream:
        stream.seek(max(begin, os.fstat(stream.fileno()).st_size - 4096))
        lines = stream.read(4096).decode("utf-8", "replace").split("\n")
    return next((line.strip()[:300] for line in reversed(lines) if line.strip()), "")


def check(account: Account, config: Config) -> dict[str, Any]:
    """Return what the user's side looks like, for `simdeck doctor`."""
    folder: str | None = None
    try:
        os.close(open_folder((), account, make=True))
    except (OSError, Refused) as error:
        folder = str(error)
    commands = {}
    for name in config.clusters:
        program, extra = slurm_command("sbatch", [name], config)
        try:
            done = subprocess.run(
                [program, "--version"],
                capture_output=True,
                env=environment(account, config) | extra,
                timeout=10,
                check=False,
            )
            commands[name] = (done.stdout or done.stderr).decode("utf-8", "replace").strip()[:200]
        except (OSError, subprocess.SubprocessError) as error:
            commands[name] = f"{program}: {error}"
    return {
        "user": account.name,
        "uid": account.uid,
        "home": account.home,
        "folder_problem": folder,
        "sbatch": commands,
        "agent_runs": os.access(config.agent[0], os.X_OK) if config.agent else False,
        "unreadable": [word for word in config.agent if word.startswith("/") and not os.access(word, os.R_OK)],
        "time": time.time(),
    }


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
