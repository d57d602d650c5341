"""Why a job waits, in a person's words: Slurm's reason to a sentence and what to do."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from simdeck_clusters.reason_words import FAMILIES, FIXED, RESOURCES, SCOPES, UNKNOWN

_RESOURCE = "|".join(sorted(RESOURCES, key=len, reverse=True))

# What stands after "Assoc" or "QOS" (or, for limits of an account within a QoS, alone), and its family.
_SHAPES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern.replace("RES", f"(?P<resource>{_RESOURCE})")), family)
    for pattern, family in (
        (r"GrpJobs(?:Limit)?", "grp_jobs"),
        (r"GrpSubmitJobs(?:Limit)?", "grp_submit"),
        (r"GrpWall(?:Limit)?", "grp_wall"),
        (r"GrpRESRunMinutes(?:Limit)?", "grp_run_minutes"),
        (r"GrpRESMinutes(?:Limit)?", "grp_minutes"),
        (r"GrpRES(?:Limit)?", "grp"),
        (r"MaxWallDurationPerJob(?:Limit)?", "wall_per_job"),
        (r"MaxJobs(?:PerUser)?(?:Limit)?", "user_jobs"),
        (r"MaxSubmitJobs?(?:PerUser)?(?:Limit)?", "user_submit"),
        (r"MaxJobsPerAccount", "account_jobs"),
        (r"MaxSubmitJobsPerAccount", "account_submit"),
        (r"MaxRESMinutesPerJob(?:Limit)?", "minutes_per_job"),
        (r"MaxRESPerJob(?:Limit)?", "per_job"),
        (r"MaxRESPerNode(?:Limit)?", "per_node"),
        (r"MaxRESPerUser(?:Limit)?", "per_user"),
        (r"MaxRESPerAccount(?:Limit)?", "per_account"),
        (r"MinRES(?:NotSatisfied)?", "min"),
    )
)
_SCOPED = re.compile(r"(Assoc|QOS)?((?:Grp|Max|Min)[A-Za-z]+)")


@dataclass(frozen=True)
class Explanation:
    """Why, in one sentence, and what to do; ``known`` is false when it only repeats Slurm's word."""

    reason: str
    sentence: str
    remedy: str
    known: bool = True


@lru_cache(maxsize=1024)
def explain(reason: str) -> Explanation:
    """Return what Slurm's ``reason`` means. Text that Slurm adds after a comma ("UnavailableNodes:cn1") is kept."""
    whole = " ".join(reason.split()).strip("()")[:300]
    word, _, rest = whole.partition(",")
    word = word.strip()
    if whole.startswith("Nodes required for job are DOWN"):
        word, rest = whole.replace(" ", "_"), ""
    if re.search(r"reserved for maintenance|\bmaint\b", rest, re.IGNORECASE):
        word, rest = "Maintenance", ""
    words = FIXED.get(word or "None") or FIXED.get(word.replace(" ", "_")) or _limit(word)
    if words is None:
        return Explanation(whole, UNKNOWN[0].format(reason=whole), UNKNOWN[1], known=False)
    sentence = words[0]
    nodes = re.search(r"UnavailableNodes:\s*([A-Za-z0-9_.,\[\]\-]+)", rest)
    if nodes is not None:
        sentence = f"{sentence} Not available: {nodes[1]}."
    return Explanation(whole, sentence, words[1])


def _limit(word: str) -> tuple[str, str] | None:
    scoped = _SCOPED.fullmatch(word)
    if scoped is None:
        return None
    # Limits named without a scope ("MaxCpuPerAccount") are the QoS's.
    scope = SCOPES[scoped[1] or "QOS"]
    for shape, family in _SHAPES:
        if matched := shape.fullmatch(scoped[2]):
            what, less = RESOURCES.get(matched.groupdict().get("resource") or "", ("", ""))
            values = {"scope": scope, "Scope": scope[0].upper() + scope[1:], "what": what, "less": less}
            sentence, remedy = FAMILIES[family]
            return _fluent(sentence.format(**values)), _fluent(remedy.format(**values))
    return None


def _fluent(sentence: str) -> str:
    """Say "as many cores", "fewer nodes", where the thing is counted."""
    counted = r"(?=cores|GPUs|nodes|software licences|licences|billing units)"
    sentence = re.sub(rf"\bas much {counted}", "as many ", sentence)
    sentence = re.sub(r"\b(as much|more) a resource", r"\1 of a resource", sentence)
    return re.sub(rf"\bless {counted}", "fewer ", sentence)
