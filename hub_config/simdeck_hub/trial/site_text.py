"""The trial's site file: the one an administrator would write for a cluster like this."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

TEMPLATE = """\
# Written by `make site`; goes away with the trial. A real site's file looks the same.

[site]
name = "Simdeck trial"

[hub]
port = {port}
# Where compute nodes reach this machine.
node_address = {address}

[users]
names = {users}
admins = {admins}

[service]
user = {service}
group = {group}
prefix = {prefix}

[auth]
kind = "one-time"

[servers]
kind = "slurm"

{clusters}[[environments]]
name = "default"
title = "Standard"

[[presets]]
name = "small"
title = "Small"
summary = "One core, an hour"
partition = "normal"
cores = 1
memory = "1 GiB"
walltime = "1:00:00"

[[presets]]
name = "large"
title = "Large"
summary = "Four cores, four hours"
partition = "normal"
cores = 4
memory = "4 GiB"
walltime = "4:00:00"
{extra}"""

CLUSTER = """\
[[clusters]]
name = {name}
title = {title}
executor = "sudo"
slurm_conf = {slurm_conf}
poll_seconds = 2
facts_seconds = 10

[[clusters.partitions]]
name = "normal"
title = "Normal"
summary = "Both nodes, a day at most"

[[clusters.partitions]]
name = "debug"
title = "Short tests"
summary = "One node, half an hour at most"

[[clusters.partitions]]
name = "gpu"
title = "GPUs"
summary = "Two make-believe GPUs"

[[clusters.partitions]]
name = "preempt"
title = "Leftovers"
summary = "Ends, and starts again, when others need the nodes"

"""


def site_toml(
    *, users: Sequence[str], service: str, group: str, address: str, port: int, prefix: Path,
    clusters: Mapping[str, Path], extra: str = "",
) -> str:  # fmt: skip
    """Return the site file's text; the first user looks after the site. ``clusters``: each one's `slurm.conf`."""
    values = {
        "users": list(users), "admins": list(users[:1]), "service": service, "group": group, "address": address,
        "prefix": str(prefix),
    }  # fmt: skip
    quoted = {name: json.dumps(value) for name, value in values.items()}
    first = next(iter(clusters))
    blocks = [
        CLUSTER.format(
            name=json.dumps(name), slurm_conf=json.dumps(str(conf)),
            title=json.dumps("Trial cluster" if name == first else f"Trial cluster {name}"),
        )
        for name, conf in clusters.items()
    ]  # fmt: skip
    return TEMPLATE.format(port=port, clusters="".join(blocks), extra=f"\n{extra}" if extra else "", **quoted)
