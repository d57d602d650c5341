"""The site's families of pseudopotentials as AiiDA's groups in a user's profile: made and renewed without a question.

A group that changed gives its label to a new one and keeps what it held, since results point to it. Called with the
worker's lock held.
"""

from __future__ import annotations

import io
import logging

from simdeck_common.layout import UserHome

from simdeck_workflows import pseudopotentials
from simdeck_workflows.pseudopotentials import RunFamily

LOG = logging.getLogger(__name__)
EXTRA = "simdeck_family"
"""Extra of a group that we made: the digest of what the site file's folder held."""


def provision(home: UserHome) -> None:
    """Make the profile's families those of the site; a group of the user's own is left alone.

    Nothing but a query is done where nothing has changed: aiida-pseudo is imported only to make a group.
    """
    offered = pseudopotentials.read(pseudopotentials.file_of(home))
    if not offered:
        return
    from aiida import orm

    asked = orm.QueryBuilder().append(
        orm.Group, filters={"label": {"in": [one.family for one in offered]}}, project=["label", "extras"]
    )
    known = {label: (extras or {}).get(EXTRA) for label, extras in asked.all()}
    for one in offered:
        if one.members and (one.family not in known or known[one.family] not in (None, one.digest)):
            _make(one, replace=one.family in known)


def _make(family: RunFamily, *, replace: bool) -> None:
    from aiida import orm
    from aiida.plugins import DataFactory, GroupFactory

    file_type, nodes = DataFactory("pseudo.upf"), []
    for one in family.members:
        try:
            nodes.append(file_type.get_or_create(io.BytesIO(one.path.read_bytes()), filename=one.path.name))
        except (OSError, ValueError) as error:
            # The site's folder has changed since it was read: what is there now is for the next start of the site.
            LOG.warning("the family %s is left as it is: %s: %s", family.family, one.path, error)
            return
    if replace:
        old = orm.QueryBuilder().append(orm.Group, filters={"label": family.family}).one()[0]
        old.label = f"{family.family}-{old.pk}"
    group = GroupFactory("pseudo.family.cutoffs")(label=family.family, description=family.title or family.family)
    group.store()
    group.add_nodes([node if node.is_stored else node.store() for node in nodes])
    told = {
        one.element: {"cutoff_wfc": one.cutoff, "cutoff_rho": one.density_cutoff} for one in family.members
    }  # fmt: skip
    group.set_cutoffs(told, "normal", unit="Ry")
    group.base.extras.set(EXTRA, family.digest)
