"""Python functions as steps of a workflow: what an app's author imports. Nothing here needs AiiDA.

``@step`` makes a function a job with provenance, ``@workflow`` a function that calls steps something people can run.
"""

from simdeck_workflows.steps.declare import Failure, Handle, Step, StepError, Workflow, step, workflow
from simdeck_workflows.steps.reporting import progress
from simdeck_workflows.steps.signature import Unit

__all__ = ["Failure", "Handle", "Step", "StepError", "Unit", "Workflow", "progress", "step", "workflow"]
