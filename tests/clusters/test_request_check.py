"""The one check of what a person asks for: patterns, policies, live limits."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simdeck_clusters.models import Association, Gpu, Node, Partition, Reservation, Snapshot
from simdeck_clusters.request import ResourceRequest, allowance, check
from simdeck_clusters.settings import ClusterSettings, Environment, Policy, Preset, SiteResources
from simdeck_common.problems import Problem


def node(name="cn1", partitions=("normal", "gpu"), cores=16, memory=64000, gpus=()):
    return Node(name, name, name, frozenset({"IDLE"}), partitions, cores, 0, memory, 0, gpus)


def snapshot(**changes):
    values = {
        "cluster": "hpc",
        "taken": 1.0,
        "facts_taken": 1.0,
        "nodes": {
            "cn1": node(),
            "gn1": node("gn1", ("gpu",), 8, 32000, (Gpu("a100", 4), Gpu("v100", 2))),
        },
        "partitions": {
            "normal": Partition("normal", up=True, default=True, max_walltime_minutes=1440),
            "gpu": Partition("gpu", up=True, max_walltime_minutes=480),
            "secret": Partition("secret", up=True, hidden=True),
        },
    }
    return {"hpc": Snapshot(**{**values, **changes})}


def site(**changes):
    values = {"clusters": (ClusterSettings(name="hpc"),)}
    return SiteResources(**{**values, **changes})


def refused(raw, *, of=None, live=None, **who):
    with pytest.raises(Problem) as caught:
        check(raw, site=of or site(), snapshots=snapshot() if live is None else live, **who)
    return caught.value


def accepted(raw, *, of=None, live=None, **who):
    return check(raw, site=of or site(), snapshots=snapshot() if live is None else live, **who)


def test_nothing_given_is_the_default_partition_and_small():
    request = accepted({})
    assert (request.cluster, request.partition, request.cores, request.memory_mb) == ("hpc", "normal", 1, 2048)


def test_form_text_and_rest_numbers_mean_the_same():
    form = {"cores": "4", "memory": "4 GiB", "walltime": "2:00:00", "gpus": "", "account": "", "app": "molecule"}
    assert accepted(form) == accepted({"cores": 4, "memory_mb": 4096, "walltime_minutes": 120})


@pytest.mark.parametrize("gpus", ["a100:2", {"type": "a100", "count": 2}, {"type": "a100", "count": "2"}])
def test_gpus_may_be_written_as_text_or_object(gpus):
    assert accepted({"partition": "gpu", "gpus": gpus}).gpus.model_dump() == {"type": "a100", "count": 2}


def test_a_checked_request_is_accepted_again_as_it_is():
    request = accepted({"partition": "gpu", "gpus": "a100:1", "walltime": "1 h"})
    assert accepted(request.options()) == request


@pytest.mark.parametrize(
    ("raw", "field", "said"),
    [
        ({"partition": "secret"}, "partition", "gpu, normal"),
        ({"partition": "gpu\n#SBATCH --uid=0"}, "partition", "letters, digits"),
        ({"cores": 17}, "cores", "at most 16"),
        ({"cores": 0}, "cores", "at least 1"),
        ({"cores": "two"}, "cores", "whole number"),
        ({"memory": "65 GiB"}, "memory_mb", "at most 62.5 GiB"),
        ({"memory": "lots"}, "memory_mb", "4 GiB"),
        ({"walltime": "2-00:00"}, "walltime_minutes", "at most 1 d"),
        ({"walltime": "$(reboot)"}, "walltime_minutes", "2:00:00"),
        ({"partition": "gpu", "gpus": "h100:1"}, "gpus", "a100:4, v100:2"),
        ({"partition": "gpu", "gpus": "v100:3"}, "gpus", "at most 2"),
        ({"partition": "normal", "gpus": 1}, "gpus", "at most 0"),
        ({"gpus": {"type": "a100", "count": 1, "more": 1}}, "gpus", "a100:1"),
        ({"environment": "mine"}, "environment", "default"),
        ({"cluster": "other"}, "cluster", "hpc"),
        ({"reservation": "course"}, "reservation", "nothing"),
        ({"homedir": "/etc"}, "homedir", "Known options"),
        ({"preset": "none"}, "preset", "nothing"),
        ({"memory": "1G", "memory_mb": 2}, "memory_mb", "twice"),
        ({"account": ["a", "b"]}, "account", "letters, digits"),
        ({"cores": True}, "cores", "whole number"),
    ],
)
def test_a_refusal_names_the_field_and_what_is_allowed(raw, field, said):
    problem = refused(raw)
    assert problem.field == field
    assert said in f"{problem.detail} {problem.remedy}"


def test_cores_memory_and_gpus_must_fit_one_node_together():
    problem = refused({"partition": "gpu", "cores": 16, "gpus": "a100:1"})
    assert (problem.code, problem.field) == ("resources-no-node", "gpus")


def test_without_a_snapshot_limits_are_left_to_slurm_but_patterns_are_not():
    assert accepted({"partition": "anything", "cores": 500}, live={}).cores == 500
    assert refused({"partition": "a b"}, live={}).field == "partition"


def test_the_sites_own_limits_and_order_of_partitions_count():
    offered = ({"name": "gpu", "max_walltime_minutes": "1 h"}, {"name": "normal"})
    of = site(clusters=(ClusterSettings(name="hpc", partitions=offered),))
    assert accepted({}, of=of).partition == "gpu"
    assert refused({"walltime": 61}, of=of).field == "walltime_minutes"


def test_a_partition_that_is_down_is_not_chosen_by_default():
    parts = {"normal": Partition("normal", up=False, default=True), "gpu": Partition("gpu", up=True)}
    assert accepted({}, live=snapshot(partitions=parts)).partition == "gpu"


def test_a_preset_fills_in_what_is_not_given():
    of = site(presets=(Preset(name="big", title="Big", cores=8, memory="16 GiB", walltime="8:00:00"),))
    request = accepted({"preset": "big", "cores": 4}, of=of)
    assert (request.cores, request.memory_mb, request.walltime_minutes) == (4, 16384, 480)


def test_a_preset_of_another_group_cannot_be_chosen():
    of = site(presets=(Preset(name="big", title="Big", groups=("staff",)),))
    assert refused({"preset": "big"}, of=of, groups={"students"}).field == "preset"


def test_without_policies_everything_is_allowed():
    assert allowance((), {"anybody"}, "hpc") is not None


def test_with_policies_and_none_that_fits_nothing_is_allowed():
    of = site(policies=(Policy(groups=("staff",)),))
    problem = refused({}, of=of, groups={"students"})
    assert (problem.code, problem.field) == ("resources-not-allowed", "cluster")


def test_of_several_policies_each_fields_most_permissive_counts():
    policies = (
        Policy(groups=("students",), partitions=("normal",), max_cores=2, max_walltime="1 h", max_servers=1),
        Policy(groups=("course",), partitions=("gpu",), max_cores=8, max_walltime="30 min", max_servers=3),
    )
    merged = allowance(policies, {"students", "course"}, "hpc")
    assert merged is not None
    assert merged.partitions == {"normal", "gpu"}
    assert (merged.max_cores, merged.max_walltime_minutes, merged.max_servers) == (8, 60, 3)


def test_a_policy_without_a_limit_lifts_the_others():
    policies = (Policy(groups=("*",), max_cores=2), Policy(groups=("staff",)))
    merged = allowance(policies, {"staff"}, "hpc")
    assert merged is not None
    assert merged.max_cores is None


def test_policies_hold_for_every_field_of_a_request():
    of = site(
        policies=(
            Policy(
                partitions=("normal",),
                max_cores=2,
                max_memory="4 GiB",
                max_walltime="1 h",
                max_gpus=0,
                accounts=("chem",),
                qos=("low",),
            ),
        )
    )
    for raw, field in (
        ({"partition": "gpu"}, "partition"),
        ({"cores": 3}, "cores"),
        ({"memory": "5 GiB"}, "memory_mb"),
        ({"walltime": 61}, "walltime_minutes"),
        ({"account": "phys"}, "account"),
        ({"qos": "high"}, "qos"),
    ):
        assert refused(raw, of=of).field == field
    request = accepted({}, of=of)
    assert (request.account, request.qos, request.walltime_minutes) == ("chem", "low", 60)


ACCOUNTS = (
    Association("alice", "chem", qos=("normal", "long"), default_qos="normal", default=True),
    Association("alice", "phys", partition="gpu", qos=("normal",)),
    Association("bob", "bio", qos=("normal",)),
)


def test_an_account_must_be_the_callers_own_and_fit_the_partition():
    live = snapshot(associations=ACCOUNTS)
    assert accepted({"account": "chem"}, live=live, user="alice").account == "chem"
    assert accepted({"account": "phys", "partition": "gpu"}, live=live, user="alice").account == "phys"
    problem = refused({"account": "phys", "partition": "normal"}, live=live, user="alice")
    assert (problem.field, "chem" in problem.remedy, "bio" in problem.remedy) == ("account", True, False)


def test_a_qos_must_be_the_callers_own():
    live = snapshot(associations=ACCOUNTS)
    assert accepted({"qos": "long"}, live=live, user="alice").qos == "long"
    assert refused({"qos": "long"}, live=live, user="bob").field == "qos"


def test_a_reservation_must_be_open_to_the_caller():
    course = Reservation("course", 0.0, 9e9, users=frozenset({"alice"}), active=True)
    live = snapshot(reservations={"course": course})
    assert accepted({"reservation": "course"}, live=live, user="alice").reservation == "course"
    assert refused({"reservation": "course"}, live=live, user="bob").field == "reservation"


def test_an_environment_must_exist_on_the_cluster():
    of = site(
        clusters=(ClusterSettings(name="hpc", environments=("one",)),),
        environments=(Environment(name="one"), Environment(name="two")),
    )
    assert accepted({}, of=of).environment == "one"
    assert refused({"environment": "two"}, of=of).field == "environment"


def test_a_site_file_that_names_what_does_not_exist_is_refused_at_load():
    with pytest.raises(ValueError, match="no environment is called two"):
        site(clusters=(ClusterSettings(name="hpc", environments=("two",)),))
    with pytest.raises(ValueError, match="no cluster is called x"):
        site(presets=(Preset(name="p", title="P", cluster="x"),))
    with pytest.raises(ValueError, match="clusters that do not exist"):
        site(policies=(Policy(clusters=("x",)),))
    with pytest.raises(ValueError, match="ssh"):
        ClusterSettings(name="far", executor="ssh")
    with pytest.raises(ValueError, match="Extra inputs"):
        ClusterSettings(name="hpc", pol_seconds=3)


def test_while_no_partition_is_known_it_is_no_fault_of_the_request():
    unlisted = SiteResources.model_validate({"clusters": [{"name": "main"}]})
    with pytest.raises(Problem) as refused:
        check({}, site=unlisted, user="alice")
    assert refused.value.code == "cluster-unavailable"
    assert refused.value.field == "partition"


anything = st.one_of(
    st.text(max_size=40),
    st.integers(),
    st.floats(),
    st.booleans(),
    st.none(),
    st.lists(st.text(max_size=5), max_size=2),
    st.dictionaries(st.text(max_size=5), st.text(max_size=5), max_size=2),
)


@settings(max_examples=100, deadline=None)
@given(
    raw=st.dictionaries(
        st.sampled_from([*ResourceRequest.model_fields, "memory", "walltime", "preset"]), anything, max_size=6
    )
)
def test_whatever_is_given_is_checked_or_refused_with_a_field(raw):
    fields = set()
    for live in (snapshot(), {}):
        try:
            request = check(raw, site=site(), snapshots=live, user="alice")
        except Problem as problem:
            fields.add(problem.field)
        else:
            assert ResourceRequest.model_validate(request.model_dump()) == request
    assert None not in fields
