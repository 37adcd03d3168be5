"""The same jobs on a Ray cluster: a worker here asks Ray for places, one a run, and each place trains its run on its node.

Queue, states, run folders, logs and wishes to stop are those of `jobs`, in a cache that every node sees at the same path. A place is
a Ray actor with one GPU or, on a cluster without GPUs, as many CPUs as the run has threads. It ends with this worker or with its
node, and its trainer with it; the run then goes on from its last commit in another place. No process id counts here: processes of
other machines mean nothing on this one. The run's lock is the last guard against training one twice.

Ray is imported when a worker connects, and nowhere else.
"""

from learnability.cluster.worker import work

__all__ = ["work"]
