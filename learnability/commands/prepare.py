"""prepare: a source becomes a data set version in the cache."""

from learnability import jobs
from learnability.commands.arguments import Bar, cache_of, command, print_json
from learnability.prepare import prepare


def add(commands) -> None:
    own = command(
        commands,
        "prepare",
        run,
        "Decode every image of a source once and keep it as a data set in the cache; what cannot be used is listed with its reason.",
        "  python -m learnability prepare digits\n"
        "  python -m learnability prepare folder:photos --size 64 --fit pad --test 0.2\n"
        "  python -m learnability prepare parquet:train.parquet --name cifar10 --test parquet:test.parquet --limit 10000\n"
        "  python -m learnability prepare torchvision:CIFAR10\n"
        "A folder holds one folder a class; train/ test/ (val/) above them are taken as splits.",
    )
    own.add_argument("source", metavar="SOURCE", help="digits, torchvision:NAME, folder:PATH, parquet:PATH or csv:PATH")
    own.add_argument("--name", help="name of the data set: letters, digits, - and _ (default: from the source)")
    own.add_argument("--size", type=int, help="side of the square images in pixels, at least 32 (default: from the images, photographs 64)")
    own.add_argument("--fit", choices=("crop", "pad", "stretch"), default="crop", help="how other shapes become square (default crop)")
    own.add_argument("--limit", type=int, metavar="N", help="keep N train samples, the same share of every class")
    own.add_argument("--test", metavar="SOURCE|FRACTION", help="where test samples come from: another source, or a share of this one")
    own.add_argument("--image-column", metavar="NAME", help="Parquet, CSV: the column with the image (default: found by type)")
    own.add_argument("--label-column", metavar="NAME", help="Parquet, CSV: the column with the label (default: found by type)")
    own.add_argument("--if-missing", action="store_true", help="do nothing if the cache holds any data set already")
    own.add_argument("--queue", action="store_true", help="prepare in the background and return")
    own.add_argument("--json", action="store_true", help="for programs: what was prepared")


def run(args) -> int:
    cache = cache_of(args)
    if args.if_missing and (names := cache.dataset_names()):
        print(f"the cache holds {', '.join(names)}; nothing to prepare")
        return 0
    if args.queue:
        return _queue(args, cache)
    bar = Bar("prepare", "image")
    try:
        prepared = prepare(
            cache,
            args.source,
            name=args.name,
            size=args.size,
            fit=args.fit,
            limit=args.limit,
            test=args.test,
            image_column=args.image_column,
            label_column=args.label_column,
            progress=bar,
        )
    finally:
        bar.close()
    if args.json:
        print_json(prepared.to_json())
    else:
        print(prepared.summary())
        print(f"Next: python -m learnability train --data {prepared.name} --arch resnet20 vgg16 mobilenet")
    return 0


def _queue(args, cache) -> int:
    name = jobs.prepare(cache, args.source, **{option: getattr(args, option) for option in jobs.PREPARE_OPTIONS})
    print(f"{name}: queued. Its state: python -m learnability runs --watch")
    return 0
