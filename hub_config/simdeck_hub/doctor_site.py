"""What `simdeck doctor` looks at about accounts: service, group, launcher, sudo rule, what users can read."""

from __future__ import annotations

import grp
import json
import os
import pwd
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from simdeck_agent.settings import AgentSettings
from simdeck_clusters.cluster import Cluster
from simdeck_clusters.executor import Done, SudoExecutor, make_executor, run_process
from simdeck_clusters.launcher import install
from simdeck_clusters.settings import ClusterSettings
from simdeck_clusters.slurm import argv

from simdeck_hub.agent_settings import launcher as launcher_path
from simdeck_hub.doctor import Examination, Finding
from simdeck_hub.site_file import unix_user as whoami

INSTALL = "As root: python -m simdeck_clusters.launcher.install --help"


def cluster_of(examination: Examination, settings: ClusterSettings) -> Cluster:
    """Return a cluster as the hub asks it."""
    return Cluster(settings, make_executor(settings, str(launcher_path(examination.site))))


async def ask(examination: Examination, settings: ClusterSettings, words: list[str], seconds: float = 20.0) -> Done:
    """Run a command of Slurm's where the hub would run it."""
    executor = make_executor(settings, str(launcher_path(examination.site)))
    return await executor.run(argv.with_programs(words, settings.slurm_bin), timeout=seconds)


def members(group: str) -> list[str]:
    """Return the accounts that have ``group`` as one of theirs, as far as the machine lists them."""
    entry = grp.getgrnam(group)
    own = [account.pw_name for account in pwd.getpwall() if account.pw_gid == entry.gr_gid]
    return list(dict.fromkeys([*entry.gr_mem, *own]))


def person(examination: Examination) -> str | None:
    """Return the account to try things as: the one asked for, else the first user or member there is."""
    if examination.user is not None:
        return examination.user
    try:
        known = members(examination.site.service.group)
    except KeyError:
        return None
    return next((name for name in [*examination.site.users.names, *known] if name in known), None)


async def accounts(examination: Examination) -> list[Finding]:
    """Whether the service's account and the people's group are what they must be."""
    service, group = examination.site.service.user, examination.site.service.group
    found = []
    title = "Service account"
    try:
        uid = pwd.getpwnam(service).pw_uid
        if uid == 0:
            found.append(Finding("service-user", title, "failed", f"{service} is root", "Name another in [service]."))
        elif uid != os.getuid() and os.getuid() != 0:
            found.append(
                Finding("service-user", title, "warning", f"this runs as {whoami()}, the site as {service}",
                        "Run `simdeck doctor` as root, or as the service user: only then it tries what Simdeck tries.")
            )  # fmt: skip
        else:
            found.append(Finding("service-user", title, "ok", f"{service} (uid {uid})"))
    except KeyError:
        remedy = f"As root: useradd --system --user-group --shell /usr/sbin/nologin {service}"
        found.append(Finding("service-user", title, "failed", f"there is no account {service}", remedy))
    title = "People's group"
    try:
        people = members(group)
    except KeyError:
        found.append(
            Finding(
                "group", title, "failed", f"there is no group {group}", f"As root: groupadd {group}, then add people."
            )
        )
        return found
    wrong = [name for name in people if name in ("root", service)]
    if wrong:
        found.append(
            Finding(
                "group", title, "failed", f"{' and '.join(wrong)} must not be in {group}", "Take them out: gpasswd -d."
            )
        )
    elif not people:
        found.append(
            Finding("group", title, "warning", f"{group} lists no members, so Simdeck can act for nobody",
                    f"As root: usermod -aG {group} PERSON. (A directory service may hide its members.)")
        )  # fmt: skip
    else:
        found.append(Finding("group", title, "ok", f"{group} has {len(people)} members"))
    return found


async def launcher(examination: Examination) -> list[Finding]:
    """Whether launcher and configuration are root's alone, and say what the site file says."""
    places = install.Places(examination.site.service.prefix)
    faults = list(launcher_faults(places, examination))
    if faults:
        return [Finding("launcher", "Launcher", "failed", fault, INSTALL) for fault in faults]
    if places.program.read_text(encoding="utf-8").partition("\n")[2] != install.PROGRAM.read_text(encoding="utf-8"):
        return [Finding("launcher", "Launcher", "warning", f"{places.program} is of another version", INSTALL)]
    return [Finding("launcher", "Launcher", "ok", f"{places.program} is root's alone")]


def launcher_faults(places: install.Places, examination: Examination) -> Iterator[str]:
    """Yield what is wrong with the installed files, one sentence each."""
    for path, bits in ((places.program, 0o055), (places.config, 0o044)):
        if not path.is_file():
            yield f"{path} is not there"
            return
        if stat.S_IMODE(path.stat().st_mode) & bits != bits:
            yield f"users cannot {'run' if bits == 0o055 else 'read'} {path}"
        for part in (path, *path.parents):
            info = part.lstat()
            sticky = stat.S_ISDIR(info.st_mode) and info.st_mode & stat.S_ISVTX
            if info.st_uid != 0 or (info.st_mode & 0o022 and not sticky):
                yield f"somebody else than root can change {part}"
    try:
        config = json.loads(places.config.read_text(encoding="utf-8"))
        words, clusters, service = list(config["agent"]), set(config["clusters"]), config["service_user"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        yield f"{places.config} cannot be read: {error}"
        return
    if service != examination.site.service.user:
        yield f"{places.config} names the service user {service}, the site file {examination.site.service.user}"
    if str(examination.data.agent_settings) not in words:
        yield f"{places.config} starts agents with other settings than {examination.data.agent_settings}"
    wanted = {cluster.name for cluster in examination.site.clusters if cluster.executor == "sudo"}
    if wanted - clusters:
        yield f"{places.config} does not know the cluster {', '.join(sorted(wanted - clusters))}"


async def readable(examination: Examination) -> list[Finding]:
    """Whether what users' processes read can be reached and read by everybody."""
    data, prefix = examination.data, examination.site.service.prefix
    needed = [prefix / "env" / "bin" / "python", examination.checkout.backend_python]
    if data.agent_settings.exists():
        settings = AgentSettings.read(data.agent_settings)
        needed += [data.agent_settings, settings.uv, settings.backend_python]
        places = [Path(registry.url.removeprefix("file://")) for registry in settings.registries]
        needed += [path for path in places if path.is_absolute()]
        needed += [registry.root for registry in settings.registries if registry.root is not None]
    closed = closed_to_others(needed)
    name, title = "readable", "What users read"
    if closed:
        where = ", ".join(map(str, closed))
        return [Finding(name, title, "failed", f"not everybody can read {where}", f"As the owner: chmod o+rX {where}")]
    return [Finding(name, title, "ok", "everybody can read the environment, the settings and the registry")]


def closed_to_others(paths: Iterable[Path]) -> list[Path]:
    """Return what is missing, unreadable for others, or a folder others cannot pass through; links are followed."""
    closed: dict[Path, None] = {}
    for path in paths:
        for step in (path, path.resolve()):
            for part in reversed((step, *step.parents)):
                try:
                    mode = part.stat().st_mode
                except OSError:
                    closed[part] = None
                    break
                needed = 0o001 if part != step else 0o005 if stat.S_ISDIR(mode) else 0o004
                if mode & needed != needed:
                    closed[part] = None
                    break
    return list(closed)


async def sudoers(examination: Examination) -> list[Finding]:
    """Whether `visudo` takes the whole configuration, and the rule is in it. Root only."""
    name, title = "sudoers", "The sudo configuration"
    done = await run_process(["visudo", "-c"], timeout=20)
    if done.unreached:
        return [Finding(name, title, "failed", "visudo is missing", "Install sudo.")]
    if not done.ok:
        return [Finding(name, title, "failed", f"visudo refuses it: {done.message}", "Mend the line it names.")]
    program = str(launcher_path(examination.site))
    listed = await run_process(["sudo", "-n", "-l", "-U", examination.site.service.user], timeout=20)
    granted = [line.strip() for line in listed.out.splitlines() if line.strip().startswith("(")]
    if not any(line.endswith(program) and "NOPASSWD" in line for line in granted):
        return [Finding(name, title, "failed", f"no rule lets the service run {program}", INSTALL)]
    if len(granted) > 1:
        return [
            Finding(name, title, "warning", f"the service may do more than it needs: {'; '.join(granted)}",
                    "Take the other rules away: whoever gets into the service gets these rights.")
        ]  # fmt: skip
    return [Finding(name, title, "ok", f"visudo takes it; the service may run {granted[0]}")]


async def sudo_rule(examination: Examination) -> list[Finding]:
    """Whether the service can act for a person, and what that person's side looks like."""
    name, title = "sudo-rule", "Acting for a person"
    user = person(examination)
    if user is None:
        return [Finding(name, title, "skipped", "nobody to try it as", "Name somebody with --user.")]
    # Also where all clusters are reached over ssh: agents are started here.
    executor = SudoExecutor(str(launcher_path(examination.site)))
    done = await executor.run(argv.launch("check"), user=user, timeout=30)
    if done.ok:
        return list(side_findings(json.loads(done.out), user))
    group = examination.site.service.group
    remedy = f"Is {user} in the group {group}? Else install the rule. {INSTALL}" if "sudo:" in done.err else INSTALL
    return [Finding(name, title, "failed", f"as {user} it does not work: {done.message}", remedy)]


def side_findings(said: dict[str, object], user: str) -> Iterator[Finding]:
    """Yield what the launcher's `check` says of a person's side."""
    name, title = "sudo-rule", "Acting for a person"
    if said.get("folder_problem"):
        yield Finding(
            name, title, "failed", f"{user}'s folder cannot be used: {said['folder_problem']}",
            "~/.simdeck must be a folder of the person's own on a disk with space.",
        )  # fmt: skip
    elif not said.get("agent_runs") or said.get("unreadable"):
        unreadable = said.get("unreadable")
        which = ", ".join(map(str, unreadable)) if isinstance(unreadable, list) and unreadable else "the environment"
        yield Finding(
            name, title, "failed", f"{user} cannot read {which}", "Open it and the folders above: chmod o+rX."
        )
    else:
        yield Finding(name, title, "ok", f"the service can act for {user}; their things go to {said['home']}/.simdeck")
    sbatch = said.get("sbatch")
    for cluster, version in (sbatch if isinstance(sbatch, dict) else {}).items():
        if not str(version).startswith("slurm"):
            yield Finding(
                "programs", f"sbatch of {cluster}", "failed", f"{user} cannot run it: {version}",
                "Give the folder of Slurm's commands when installing the launcher (--slurm-bin).",
            )  # fmt: skip
