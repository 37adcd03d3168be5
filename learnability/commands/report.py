"""report: a data set, its suspicious labels and the decisions about them in one HTML file."""

from pathlib import Path

from learnability.agreement import REPLICATES, check_replicates
from learnability.commands.arguments import cache_of, command
from learnability.commands.reports import checked_out, require_plotly, written


def add(commands) -> None:
    own = command(
        commands,
        "report",
        run,
        "Write one HTML file for a colleague: class balance, most suspicious labels with pictures, decisions so far, agreement.",
        "  python -m learnability report --data digits\n"
        "  python -m learnability report --data photos --out photos.html\n"
        "The file holds its pictures and charts and asks no server for anything.",
    )
    own.add_argument("--data", metavar="NAME", required=True, help="the data set")
    own.add_argument("--out", metavar="FILE", type=Path, help="default: report-NAME.html")
    own.add_argument("--recipe", metavar="KEY", help="recipe key of the scores (default: the newest on labels that were not planted)")
    own.add_argument("--replicates", type=int, default=REPLICATES, metavar="B", help=f"bootstrap replicates (default {REPLICATES})")


def run(args) -> int:
    require_plotly()
    from learnability.report.colleague import colleague_report

    check_replicates(args.replicates)
    cache = cache_of(args)
    cache.current(args.data)
    out = checked_out(args.out or Path(f"report-{args.data}.html"))
    written(out, colleague_report(cache, args.data, args.recipe, args.replicates))
    return 0
