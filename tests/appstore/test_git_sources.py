"""Git repositories as sources of releases: AiiDAlab's syntax on real repositories."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
from simdeck_appstore.build import build_registry
from simdeck_appstore.git import Found, GitAddress, Mirrors, parse
from simdeck_common.problems import Problem
from synthetic import write_app, write_source, write_stand_in


def git(folder: Path, *arguments: str) -> str:
    env = dict(os.environ, GIT_CONFIG_GLOBAL=os.devnull, GIT_CONFIG_NOSYSTEM="1")
    for who in ("AUTHOR", "COMMITTER"):
        env |= {f"GIT_{who}_NAME": "Ada", f"GIT_{who}_EMAIL": "ada@example.org"}
    done = subprocess.run(["git", *arguments], cwd=folder, env=env, capture_output=True, text=True, check=True)
    return done.stdout.strip()


def release(folder: Path, version: str, tag: str | None = "", *, annotated: bool = False) -> str:
    write_app(folder, "wave", version)
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", version)
    if tag is not None:
        git(folder, "tag", *(["-a", "-m", version] if annotated else []), tag or f"v{version}")
    return git(folder, "rev-parse", "HEAD")


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """main: v1.0.0, v1.1.0 (annotated), v2.0.0, an untagged tip; branch old: v1.0.1; and a tag that is no version."""
    folder = tmp_path_factory.mktemp("git") / "wave"
    folder.mkdir()
    git(folder, "init", "--quiet", "--initial-branch=main")
    release(folder, "1.0.0")
    git(folder, "checkout", "--quiet", "-b", "old")
    release(folder, "1.0.1")
    git(folder, "checkout", "--quiet", "main")
    release(folder, "1.1.0", annotated=True)
    git(folder, "tag", "nightly")
    release(folder, "2.0.0")
    release(folder, "2.1.0.dev0", None)
    return folder


def versions(repository: Path, tmp_path: Path, selector: str) -> list[str | None]:
    mirrors = Mirrors(tmp_path / "mirrors")
    return [one.version for one in mirrors.releases(parse(f"git+file:wave{selector}", repository.parent))]


@pytest.mark.parametrize(
    ("selector", "expected"),
    [
        ("", [None]),
        ("@main", [None]),
        ("@v1.1.0", ["v1.1.0"]),
        ("@main:", ["v1.0.0", "v1.1.0", "v2.0.0"]),
        ("@old:", ["v1.0.0", "v1.0.1"]),
        ("@main:v1.0.0..", ["v1.1.0", "v2.0.0"]),
        ("@main:v1.0.0^..", ["v1.0.0", "v1.1.0", "v2.0.0"]),
        ("@main:v1.1.0^..v2.0.0", ["v1.1.0", "v2.0.0"]),
        ("@main:..v1.1.0", ["v1.0.0", "v1.1.0"]),
        ("@*:v1.0.0..", ["v1.0.1", "v1.1.0", "v2.0.0"]),
        ("@*:v1.0.0^..", ["v1.0.0", "v1.0.1", "v1.1.0", "v2.0.0"]),
    ],
)
def test_an_address_means_the_releases_that_its_selector_says(
    repository: Path, tmp_path: Path, selector: str, expected: list[str | None]
) -> None:
    assert versions(repository, tmp_path, selector) == expected


def test_a_branch_is_looked_for_before_a_tag_of_the_same_name(repository: Path, tmp_path: Path) -> None:
    copy = tmp_path / "wave"
    git(tmp_path, "clone", "--quiet", str(repository), "wave")
    git(copy, "branch", "v1.0.0", "origin/main")
    (found,) = Mirrors(tmp_path / "mirrors").releases(parse("git+file:wave@v1.0.0", tmp_path))
    assert found == Found(git(copy, "rev-parse", "origin/main"), None)


def test_a_tag_that_is_no_version_is_passed_over_with_a_warning(repository: Path, tmp_path: Path) -> None:
    mirrors = Mirrors(tmp_path / "mirrors")
    mirrors.releases(parse("git+file:wave@main:", repository.parent))
    assert mirrors.warnings == ["git+file:wave: the tag nightly is no version and is passed over"]


@pytest.mark.parametrize(
    ("url", "code", "words"),
    [
        ("git+ssh://host.example/app", "source-unsupported", "not git+ssh"),
        ("git+file:missing", "source-invalid", "no such repository"),
        ("git+https://me:secret@host.example/app", "source-invalid", "user name"),
        ("git+file:wave@--upload-pack=x", "source-invalid", "is no branch"),
        ("git+file:wave@main:v1", "source-invalid", "is no range"),
        ("git+file:wave@main:..", "source-invalid", "neither beginning nor end"),
        ("git+file:wave@main:-x..", "source-invalid", "is no tag"),
        ("git+file:wave@*", "source-invalid", "needs a range"),
        ("git+file:wave@*:", "source-invalid", "needs a range"),
        ("git+file:wave@gone", "source-invalid", "has no gone"),
        ("git+file:wave@main:v9..", "source-invalid", "has no v9"),
    ],
)
def test_an_address_that_cannot_be_followed_is_refused_with_the_reason(
    repository: Path, tmp_path: Path, url: str, code: str, words: str
) -> None:
    with pytest.raises(Problem) as refused:
        Mirrors(tmp_path / "mirrors").releases(parse(url, repository.parent))
    assert refused.value.code == code
    assert words in refused.value.detail
    assert "secret" not in refused.value.detail


def test_the_base_of_an_address_is_what_stands_before_the_selector() -> None:
    address = GitAddress("git+https://host.example/a@main:v1..", "https://host.example/a")
    assert address.pinned("0" * 40) == f"git+https://host.example/a@{'0' * 40}"


def test_every_tagged_release_of_a_repository_is_built_and_a_second_build_takes_all_over(
    repository: Path, tmp_path: Path
) -> None:
    source = write_source(tmp_path / "source", {"wave": [f"git+file:{repository}@main:"]})
    stand_in = write_stand_in(tmp_path / "simdeck")
    report = build_registry(source, tmp_path / "registry", simdeck=stand_in)
    assert (report.problems, report.built) == ([], ["wave 1.0.0", "wave 1.1.0", "wave 2.0.0"])
    again = build_registry(source, tmp_path / "registry", simdeck=stand_in)
    assert (again.built, again.reused, again.changed) == ([], ["wave 1.0.0", "wave 1.1.0", "wave 2.0.0"], False)


def test_a_repository_that_is_away_leaves_what_was_fetched_before_in_use(repository: Path, tmp_path: Path) -> None:
    copy = tmp_path / "wave"
    git(tmp_path, "clone", "--quiet", "--bare", str(repository), "wave")
    address = parse("git+file:wave@main:", tmp_path)
    before = Mirrors(tmp_path / "mirrors").releases(address)
    (copy / "HEAD").unlink()
    mirrors = Mirrors(tmp_path / "mirrors")
    assert mirrors.releases(address) == before
    assert "what was fetched before is used" in mirrors.warnings[0]


def test_one_broken_repository_leaves_the_other_releases_of_its_app(repository: Path, tmp_path: Path) -> None:
    source = write_source(tmp_path / "source", {"wave": [f"git+file:{repository}@v1.0.0", "git+file:nowhere"]})
    report = build_registry(source, tmp_path / "registry", simdeck=write_stand_in(tmp_path / "simdeck"))
    assert report.built == ["wave 1.0.0"]
    assert [problem.source for problem in report.problems] == ["git+file:nowhere"]
