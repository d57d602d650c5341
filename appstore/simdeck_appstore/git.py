"""Git repositories as sources of releases, in the syntax of AiiDAlab's ``apps.yaml``.

======================================  ====================================================================
``git+https://host/repo.git``           the tip of the default branch
``…@rev``                               one branch, tag or commit (a branch is looked for before a tag)
``…@main:``                             every tag that is merged in ``main``
``…@main:v1.0..``, ``…@main:v1..v2``    the tags of that range: after ``v1`` and, with ``v2``, up to it
``…@main:v1.0^..``                      the same, with ``v1.0`` itself
``…@*:v1.0^..``                         a range over all branches (here a range must be given)
======================================  ====================================================================

``git+file:`` names a repository relative to the registry's folder. A tag is a version; tags that are no versions are
passed over with a warning. What is found is pinned to its commit. Repositories are mirrored beside the built registry,
so a second build fetches only what is new and one without network goes on with what it has.
"""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import unquote, urlsplit

from packaging.version import InvalidVersion, Version
from simdeck_common.problems import Problem

COMMIT = re.compile(r"^[0-9a-f]{40}$")
_REFERENCE = re.compile(r"^[A-Za-z0-9_][A-Za-z0-9_./+-]*$")
_SECONDS = 300.0


@dataclass(frozen=True)
class GitAddress:
    """A repository (``remote``: what git is given) and which of its commits are meant.

    ``tip`` is a branch, tag or commit, empty for the default branch, ``*`` for all branches. ``tags`` says that the
    tags merged in it are meant, limited by ``first`` (``included`` or not) and ``last`` where these are given.
    """

    text: str
    remote: str
    tip: str = ""
    tags: bool = False
    first: str = ""
    included: bool = False
    last: str = ""

    @property
    def base(self) -> str:
        """The address without what follows the repository."""
        return self.text.rpartition("@")[0] if "@" in urlsplit(self.text).path else self.text

    def pinned(self, commit: str) -> str:
        return f"{self.base}@{commit}"


@dataclass(frozen=True)
class Found:
    """One release: its commit, and its version where a tag says it."""

    commit: str
    version: str | None = None


def is_git(url: str) -> bool:
    return url.startswith("git+")


def parse(url: str, folder: Path) -> GitAddress:
    """Read an address; ``folder`` is the registry's, for ``git+file:``.

    Raises
    ------
    Problem
        ``source-invalid``: where it departs from the syntax; ``source-unsupported``: another scheme than https or file.
    """

    def refuse(reason: str) -> Problem:
        shown = re.sub(r"//[^/@]*@", "//…@", url)
        return Problem("source-invalid", url=shown, reason=reason)

    parts = urlsplit(url)
    path, at, selector = parts.path.rpartition("@")
    if not at:
        path, selector = parts.path, ""
    if parts.scheme == "git+https":
        if "@" in parts.netloc or parts.query or parts.fragment:
            raise refuse("it holds a user name, a query or a fragment; git addresses here have none")
        remote = f"https://{parts.netloc}{path}"
    elif parts.scheme == "git+file":
        remote = str((folder / unquote(path)).resolve())
        if not Path(remote).is_dir():
            raise refuse("there is no such repository")
    else:
        raise Problem(
            "source-unsupported", url=url, reason=f"git is read over https and from files, not {parts.scheme}"
        )
    address = GitAddress(text=url, remote=remote)
    if not selector:
        return address
    tip, colon, span = selector.partition(":")
    if tip != "*" and not _REFERENCE.match(tip):
        raise refuse(f"{tip!r} is no branch, tag or commit")
    address = replace(address, tip=tip, tags=bool(colon))
    if not span:
        if tip == "*":
            raise refuse("@* needs a range, for example @*:v1.0^..")
        return address
    first, dots, last = span.partition("..")
    if not dots:
        raise refuse(f"{span!r} is no range; write for example v1.0^..v2.0")
    included = first.endswith("^")
    first = first.removesuffix("^")
    for name in (first, last):
        if name and not _REFERENCE.match(name):
            raise refuse(f"{name!r} is no tag or commit")
    if not first and not last:
        raise refuse("the range has neither beginning nor end")
    return replace(address, first=first, included=included, last=last)


@dataclass
class Mirrors:
    """Bare copies of repositories below ``root``, each fetched at most once in this object's life."""

    root: Path
    warnings: list[str] = field(default_factory=list)
    _fresh: dict[str, Path] = field(default_factory=dict)

    def releases(self, address: GitAddress) -> list[Found]:
        """Return the commits the address means, oldest first.

        Raises
        ------
        Problem
            ``source-invalid``: the repository cannot be fetched (and was never), or has no such branch, tag or commit.
        """
        mirror = self._mirror(address)
        if not address.tags:
            commit = self._commit(mirror, address, address.tip)
            return [Found(commit, self._tag_of(mirror, address.tip))]
        inside = set(self._range(mirror, address))
        found: list[tuple[Version, Found]] = []
        for tag, commit in self._tags(mirror):
            if commit not in inside:
                continue
            try:
                found.append((Version(tag), Found(commit, tag)))
            except InvalidVersion:
                self.warnings.append(f"{address.base}: the tag {tag} is no version and is passed over")
        if not found:
            raise Problem("source-invalid", url=address.text, reason="it has no tag there that is a version")
        return [release for _, release in sorted(found, key=lambda pair: pair[0])]

    def export(self, address: GitAddress, target: Path) -> None:
        """Write the tree of the address's (pinned) commit to the tar file ``target``."""
        mirror = self._mirror(address)
        commit = self._commit(mirror, address, address.tip)
        done = _git(mirror, "archive", "--format=tar", f"--output={target}", commit)
        if done.returncode:
            raise Problem("source-invalid", url=address.text, reason=_said(done))

    def _mirror(self, address: GitAddress) -> Path:
        if address.remote in self._fresh:
            return self._fresh[address.remote]
        mirror = self.root / f"{hashlib.sha256(address.remote.encode()).hexdigest()[:24]}.git"
        known = (mirror / "fetched").exists()
        if (
            known
            and COMMIT.match(address.tip)
            and not _git(mirror, "cat-file", "-e", f"{address.tip}^{{commit}}").returncode
        ):
            # A commit never changes: nothing has to be fetched for it.
            return mirror
        if not (mirror / "HEAD").exists():
            mirror.mkdir(parents=True, exist_ok=True)
            _git(mirror, "init", "--quiet", "--bare")
        done = _git(
            mirror, "fetch", "--quiet", "--prune", "--force", "--no-auto-gc", address.remote,
            "+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*",
        )  # fmt: skip
        if done.returncode:
            if not known:
                raise Problem("source-invalid", url=address.text, reason=f"it cannot be fetched ({_said(done)})")
            self.warnings.append(f"{address.base} cannot be fetched ({_said(done)}); what was fetched before is used")
        else:
            self._note_default_branch(mirror, address)
            (mirror / "fetched").touch()
        self._fresh[address.remote] = mirror
        return mirror

    def _note_default_branch(self, mirror: Path, address: GitAddress) -> None:
        done = _git(mirror, "ls-remote", "--symref", address.remote, "HEAD")
        match = re.search(r"^ref: (refs/heads/\S+)\tHEAD$", done.stdout, re.MULTILINE)
        if match:
            _git(mirror, "symbolic-ref", "HEAD", match[1])

    def _commit(self, mirror: Path, address: GitAddress, name: str) -> str:
        candidates = [f"refs/heads/{name}", f"refs/tags/{name}"] if name else ["HEAD"]
        if COMMIT.match(name):
            candidates = [name]
        elif re.fullmatch(r"[0-9a-f]{7,39}", name):
            candidates.append(name)
        for candidate in candidates:
            done = _git(mirror, "rev-parse", "--verify", "--quiet", "--end-of-options", f"{candidate}^{{commit}}")
            if not done.returncode:
                return done.stdout.strip()
        what = name or "default branch"
        raise Problem("source-invalid", url=address.text, reason=f"the repository has no {what}")

    def _range(self, mirror: Path, address: GitAddress) -> list[str]:
        if address.last:
            start = [self._commit(mirror, address, address.last)]
        elif address.tip == "*":
            start = ["--branches"]
        else:
            start = [self._commit(mirror, address, address.tip)]
        without = []
        if address.first:
            commit = self._commit(mirror, address, address.first)
            parents = _git(mirror, "rev-list", "--parents", "--max-count=1", commit).stdout.split()[1:]
            without = [f"^{one}" for one in (parents if address.included else [commit])]
        done = _git(mirror, "rev-list", *start, *without)
        if done.returncode:
            raise Problem("source-invalid", url=address.text, reason=_said(done))
        listed = done.stdout.split()
        if address.last and address.tip != "*":
            branch = set(_git(mirror, "rev-list", self._commit(mirror, address, address.tip)).stdout.split())
            listed = [commit for commit in listed if commit in branch]
        return listed

    def _tags(self, mirror: Path) -> list[tuple[str, str]]:
        """Return (tag, commit) of every tag; an annotated one leads to the commit it names."""
        form = "%(refname:strip=2)%09%(objecttype)%09%(objectname)%09%(*objecttype)%09%(*objectname)"
        found = []
        for line in _git(mirror, "for-each-ref", f"--format={form}", "refs/tags").stdout.splitlines():
            tag, kind, name, inner_kind, inner = line.split("\t")
            if kind == "commit":
                found.append((tag, name))
            elif inner_kind == "commit":
                found.append((tag, inner))
        return found

    def _tag_of(self, mirror: Path, name: str) -> str | None:
        """Return ``name`` where it is a tag (and no branch) that is a version."""
        if not name or not _git(mirror, "show-ref", "--verify", "--quiet", f"refs/heads/{name}").returncode:
            return None
        if _git(mirror, "show-ref", "--verify", "--quiet", f"refs/tags/{name}").returncode:
            return None
        try:
            Version(name)
        except InvalidVersion:
            return None
        return name


def _has(mirror: Path, commit: str) -> bool:
    return _git(mirror, "cat-file", "-e", f"{commit}^{{commit}}").returncode == 0


def _git(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run git in a bare repository: no question asked, nobody's configuration, no helper programs but https's own."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    env |= {
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_ALLOW_PROTOCOL": "https:file",
        "GIT_DIR": str(folder),
        "LC_ALL": "C",
    }
    safe = ["-c", "safe.directory=*", "-c", "core.hooksPath=/dev/null", "-c", "core.fsmonitor=false"]
    try:
        return subprocess.run(
            ["git", *safe, *arguments], env=env, cwd=folder, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, errors="replace", timeout=_SECONDS, check=False,
        )  # fmt: skip
    except FileNotFoundError:
        return subprocess.CompletedProcess(arguments, 127, "", "git is not installed")
    except subprocess.TimeoutExpired:
        return subprocess.CompletedProcess(arguments, 124, "", f"git did not end within {_SECONDS:.0f} s")


def _said(done: subprocess.CompletedProcess[str]) -> str:
    lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
    return (lines[-1] if lines else f"git ended with {done.returncode}").rstrip(".")[:300]
