"""The queue of this machine: runs and preparations that train in the background, whatever becomes of page, server or shell.

    launch(cache, configs, device="auto", threads=None, together=1)  -> [(run id, whether it is new), ...]; starts a worker
    prepare(cache, source, **options)                    -> prepare-<8 hex digits>; its data name is "" below
    stop, resume, delete, move_up (cache, data, name)    each may be asked twice; delete gives the bytes freed
    stop_all(cache), resume_interrupted(cache, names)
    status(cache)                                        -> Status: cheap, for every two seconds
    state(cache, data, name), states(cache, data)        -> JobState: state, reason, progress, what may be asked of it
    preparations(cache), interrupted(cache)              -> [JobState]
    log_tail(cache, data, name, lines)                   -> plain text
    estimate(cache, configs, device)                     -> Estimate: runs, seconds, bytes, what they rest on
    presets(cache, data), plan_for_budget(cache, data, seconds)   -> Plan with its configs
    notes(cache, data), write_note(cache, data, key, name, note)  names and notes of recipes and groups
    disk_used(cache), device_choices()

Nothing here imports PyTorch: runs are started as `python -m learnability trainer`, each in a process group of its own.
A device is cpu, cuda:<i>, mps, or a Ray cluster, ray:<address>: its runs wait in the same queue, and `learnability.cluster` works on them.
"""

from learnability.jobs.control import PREPARE_OPTIONS, delete, find, launch, move_up, prepare, resume, resume_interrupted, stop, stop_all
from learnability.jobs.costs import Estimate, estimate
from learnability.jobs.derivation import JobState
from learnability.jobs.devices import choices as device_choices
from learnability.jobs.disk import used as disk_used
from learnability.jobs.overview import Status, interrupted, log_tail, preparations, state, states, status, worker_log
from learnability.jobs.plans import Plan, plan_for_budget, presets
from learnability.jobs.recipe_notes import notes, write_note
from learnability.jobs.timeouts import Timeouts

__all__ = [
    "PREPARE_OPTIONS",
    "Estimate",
    "JobState",
    "Plan",
    "Status",
    "Timeouts",
    "delete",
    "device_choices",
    "disk_used",
    "estimate",
    "find",
    "interrupted",
    "launch",
    "log_tail",
    "move_up",
    "notes",
    "plan_for_budget",
    "prepare",
    "preparations",
    "presets",
    "resume",
    "resume_interrupted",
    "state",
    "states",
    "status",
    "stop",
    "stop_all",
    "worker_log",
    "write_note",
]
