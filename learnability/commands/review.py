"""review: what has been decided about samples, and what to look at next."""

import dataclasses

import numpy as np

from learnability import review
from learnability.commands.arguments import at_least_one, cache_of, command, print_json, table, user
from learnability.errors import InputError, NotFound
from learnability.store.datasets import open_dataset
from learnability.store.identity import identities

_SCORES = ("suspicion", "aum", "consensus_prediction", "consensus_share")


def add(commands) -> None:
    own = command(
        commands,
        "review",
        run,
        "Show how far the review of labels is, which pairs of classes are mixed up, and which samples to look at next; decide and undo.",
        "  python -m learnability review --data digits\n"
        "  python -m learnability review --data digits --verdict relabel --class 9 --keys 00000005 00000069 --why 'clearly a nine'\n"
        "  python -m learnability review --data digits --merge 1 7\n"
        "  python -m learnability review --data digits --list\n"
        "  python -m learnability review --data digits --undo 3f9c01ab22d4\n"
        "  python -m learnability review --data digits --make-labels && python -m learnability train --data digits --labels reviewed-1\n"
        "A class or key that begins with - is written --class=-dash, --keys=-dash/1.png (--keys may be given again).\n"
        "Decisions are kept by key and picture in the cache, reviews/NAME.jsonl, one line an action; nothing there is ever edited.",
    )
    own.add_argument("--data", metavar="NAME", required=True, help="the data set")
    own.add_argument(
        "--run", metavar="GROUP|RUN", dest="group", help="whose scores decide what is suspicious (default: the newest ordinary group)"
    )
    own.add_argument("--top", type=at_least_one, default=10, metavar="N", help="lines to show of each list (default 10)")
    what = own.add_mutually_exclusive_group()
    what.add_argument("--list", action="store_true", help="the log: the last actions with their ids, who, when and why")
    what.add_argument("--verdict", choices=review.VERDICTS, help="decide about the samples of --keys, as one action")
    what.add_argument("--merge", nargs=2, metavar=("CLASS", "INTO"), help="relabel every sample of a class, as one action")
    what.add_argument("--undo", metavar="ID", help="take back one action as a whole")
    what.add_argument("--make-labels", action="store_true", help="make the label version reviewed-N of what is decided now")
    own.add_argument("--keys", nargs="+", action="extend", metavar="KEY", help="with --verdict: the samples")
    own.add_argument("--class", metavar="CLASS", dest="class_name", help="with --verdict relabel: the class, also a new one")
    own.add_argument("--by", metavar="WHO", help="who decides (default: your user name)")
    own.add_argument("--why", default="", metavar="TEXT", help="the reason, kept with the action")
    own.add_argument("--json", action="store_true", help="for programs: the same as one object")


def run(args) -> int:
    cache = cache_of(args)
    original = open_dataset(cache, args.data)
    if (args.keys is not None or args.class_name is not None) and args.verdict is None:
        raise InputError("--keys and --class: expected --verdict with them, for example --verdict keep --keys KEY.")
    if args.make_labels:
        version = review.label_version_from_reviews(cache, args.data)
        return _tell(args, {"labels": version}, f"{version}. Next: python -m learnability train --data {args.data} --labels {version}")
    if args.list:
        return _list(args, review.read_log(cache, args.data))
    if args.verdict or args.merge or args.undo:
        action = _acted(args, cache, original)
        done = f"undid {action.undo}" if action.undo else f"{action.verdict} {len(action.samples):,} samples"
        return _tell(args, _as_dict(action), f"{done}: action {action.id}")
    return _overview(args, cache, original)


def _acted(args, cache, original) -> review.Action:
    told = {"by": args.by or user(), "why": args.why}
    if args.undo:
        return review.undo(cache, args.data, args.undo, **told)
    if args.merge:
        return review.merge_class(cache, args.data, *args.merge, **told)
    if not args.keys:
        raise InputError(f"--verdict {args.verdict}: expected --keys with the samples it is for.")
    version = identities(original)
    return review.decide(cache, args.data, version.samples(version.find(args.keys)), args.verdict, class_name=args.class_name, **told)


def _list(args, log: review.Log) -> int:
    rows = [{**_as_dict(action), "undone": log.undone.get(action.id)} for action in log.actions[-args.top :]]
    if args.json:
        print_json({"actions": rows, "problems": log.problems})
        return 0
    for row in rows:
        tags = [f"+{tag}" for tag in row["tags_added"]] + [f"-{tag}" for tag in row["tags_removed"]]
        row["what"] = f"undo {row['undo']}" if row["undo"] else " ".join([row["verdict"] or "", *tags]).strip()
        row["samples"] = row["samples"] or ""
    print(table(rows, ["id", "when", "by", "what", "class", "samples", "undone", "why"]) if rows else "Nothing decided yet.")
    _print_problems(log)
    return 0


def _overview(args, cache, original) -> int:
    log = review.read_log(cache, args.data)
    resolved = review.resolve(review.state(log), identities(original))
    progress = review.progress(resolved, original)
    told = {**dataclasses.asdict(progress), "changed": len(resolved.changed), "gone": len(resolved.gone), "problems": log.problems}
    try:
        told |= _suspects(args, cache, original, resolved)
        why_none = None
    except NotFound as error:
        if args.group is not None:
            raise
        why_none = str(error)
    if args.json:
        print_json(told)
        return 0
    counts = ", ".join(f"{count} {verdict}" for verdict, count in progress.verdicts.items() if count) or "none"
    print(f"{args.data}: {progress.decided:,} of {original.N:,} train samples decided ({counts}), {progress.left:,} left.")
    if progress.last:
        print(f"Of the last {progress.last} decided, {progress.errors} were real errors: dropped, or given another class.")
    if resolved.changed:
        print(f"{len(resolved.changed)} decisions were about pictures that have changed since; they do not count here.")
    if why_none:
        print(why_none)
    else:
        print(f"\nLabel and most frequent wrong class, by {told['group']}:")
        print(table(told["pairs"], ["label", "wrong", "count", "left", "size"]))
        print("\nMost suspicious, undecided:")
        print(table(told["queue"], ["key", "label", "rather", "suspicion"]))
    _print_problems(log)
    return 0


def _suspects(args, cache, original, resolved) -> dict:
    found = review.group_scores(cache, args.data, args.group, _SCORES)
    if found.dataset.fingerprint != original.fingerprint:
        raise NotFound(f"the runs of {found.id} belong to an earlier version of data set {args.data!r}. Train on the new one first.")
    decided_N = resolved.codes[found.sample_ids_N] > 0
    wrong_N = review.wrong_class(found.scores["consensus_prediction"], found.scores["consensus_share"])
    suspicion_N, names = found.mean_N("suspicion"), found.dataset.class_names
    rows = review.queue(suspicion_N, found.mean_N("aum"), found.sample_ids_N, decided_N)[: args.top]
    pairs = review.pairs(found.labels_N, wrong_N, decided_N).slice(0, args.top).to_pylist()
    return {
        "group": found.id,
        "pairs": [{**pair, "label": names[pair["label"]], "wrong": names[pair["wrong"]]} for pair in pairs],
        "queue": [
            {
                "sample_id": int(found.sample_ids_N[row]),
                "key": found.dataset.keys[found.sample_ids_N[row]],
                "label": names[found.labels_N[row]],
                "rather": names[wrong_N[row]] if wrong_N[row] >= 0 else None,
                "suspicion": None if np.isnan(suspicion_N[row]) else round(float(suspicion_N[row]), 4),
            }
            for row in rows
        ],
    }


def _as_dict(action: review.Action) -> dict:
    told = dataclasses.asdict(action) | {"samples": len(action.samples)}
    told["class"] = told.pop("class_name")
    return told


def _tell(args, content: dict, text: str) -> int:
    print_json(content) if args.json else print(text)
    return 0


def _print_problems(log: review.Log) -> None:
    for problem in log.problems:
        print(f"note: {problem}")
