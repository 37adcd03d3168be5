"""The plan of the house: who may import whom, and where the heavy libraries live."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FLOOR = {
    "learnability.errors": 0,
    "learnability.config": 1,
    "learnability.recording": 1,
    "learnability.agreement": 1,
    "learnability.curriculum": 1,
    "learnability.charts": 1,
    "learnability.metrics": 2,
    "learnability.datasets": 2,
    "learnability.sources": 2,
    "learnability.store": 3,
    "learnability.review": 4,
    "learnability.prepare": 4,
    "learnability.jobs": 4,
    "learnability.export": 4,
    "learnability.selections": 4,
    "learnability.report": 5,
    "learnability.reading": 4,
    "learnability.training": 4,
    "learnability.cluster": 5,
    "learnability.pictures": 5,
    "learnability.integrations": 5,
    "learnability.imports": 5,
    "learnability.experiments": 5,
    "ui": 6,
    "ui.frame": 7,
    "pages": 7,
    "learnability.__main__": 7,
    "learnability.commands": 6,
    "bench": 7,
    "app": 8,
}
TORCH = ("learnability.training", "learnability.integrations", "learnability.sources", "bench")
STREAMLIT = ("app", "pages", "ui")
FOLDERS = [path for folder in ("learnability", "ui", "pages", "bench") for path in sorted((ROOT / folder).rglob("*.py"))] + [
    ROOT / "app.py"
]
FORBIDDEN_NAMES = {"utils", "helpers", "common", "base", "manager", "util", "helper", "misc"}


def module_name(path: Path) -> str:
    return ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


def room(module: str) -> str | None:
    """The entry of FLOOR that a module belongs to: its longest prefix."""
    parts = module.split(".")
    for length in range(len(parts), 0, -1):
        if (name := ".".join(parts[:length])) in FLOOR:
            return name
    return None


def imports(path: Path, top_level: bool = False) -> set[str]:
    """Modules a file imports; `from a import b` counts as a.b where that is a module of ours."""
    tree = ast.parse(path.read_text())
    nodes = tree.body if top_level else ast.walk(tree)
    found = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                is_module = (ROOT / Path(*whole.split("."))).with_suffix(".py").exists() or (
                    ROOT / Path(*whole.split(".")) / "__init__.py"
                ).exists()
                found.add(whole if is_module else node.module)
    return found


def ours(module: str) -> bool:
    return module.split(".")[0] in {"learnability", "ui", "pages", "bench", "app"}


@pytest.mark.parametrize("path", FOLDERS, ids=module_name)
def test_imports_run_downhill(path):
    me = module_name(path)
    if me == "learnability":
        return
    mine = room(me)
    assert mine is not None, f"{me} has no floor: add it to FLOOR and to the plan in CONTRIBUTING.md"
    for other in filter(ours, imports(path)):
        if other == "learnability":
            continue
        theirs = room(other)
        assert theirs is not None, f"{me} imports {other}, which has no floor"
        same_folder = mine == theirs
        assert FLOOR[theirs] < FLOOR[mine] or same_folder, f"{me} (floor {FLOOR[mine]}) imports {other} (floor {FLOOR[theirs]})"


@pytest.mark.parametrize("path", FOLDERS, ids=module_name)
def test_heavy_libraries_stay_in_their_rooms(path):
    me = module_name(path)
    names = {module.split(".")[0] for module in imports(path)}
    if not me.startswith(TORCH):
        assert not names & {"torch", "torchvision"}, f"{me} imports torch"
    if not me.startswith(STREAMLIT):
        assert "streamlit" not in names, f"{me} imports streamlit"
    if not me.startswith("learnability.cluster"):
        assert "ray" not in names, f"{me} imports ray"
    if me.startswith("learnability.sources"):
        at_top = {module.split(".")[0] for module in imports(path, top_level=True)}
        assert not at_top & {"torch", "torchvision", "sklearn"}, f"{me} imports a heavy library at its top"
    if me.startswith(STREAMLIT):
        assert not any(module.startswith("learnability.training") for module in imports(path)), f"{me} calls training"
    assert not names & {"pickle", "cloudpickle", "joblib", "dill"}, f"{me} imports a pickle"


@pytest.mark.parametrize("path", FOLDERS, ids=module_name)
def test_names_say_what_is_inside(path):
    assert path.stem not in FORBIDDEN_NAMES


def test_no_circles():
    graph = {module_name(path): {other for other in imports(path, top_level=True) if ours(other)} for path in FOLDERS}
    done, stack = set(), []

    def visit(module):
        assert module not in stack, " -> ".join([*stack[stack.index(module) :], module])
        if module in done:
            return
        stack.append(module)
        for other in graph.get(module, ()):
            visit(other)
        done.add(stack.pop())

    for module in graph:
        visit(module)


@pytest.mark.parametrize("module", ["learnability", "learnability.reading", "learnability.__main__", "learnability.jobs", "ui.data"])
def test_importing_leaves_torch_out(module):
    if not (ROOT / Path(*module.split("."))).with_suffix(".py").exists() and not (ROOT / Path(*module.split("."))).is_dir():
        pytest.fail(f"{module} is missing")
    commands = "learnability.__main__.parser(); " if module == "learnability.__main__" else ""
    code = f"import sys, {module}; {commands}bad = {{'torch', 'torchvision', 'sklearn'}} & set(sys.modules); sys.exit(', '.join(bad) or 0)"
    outcome = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert outcome.returncode == 0, outcome.stderr


def test_the_engine_and_its_commands_need_nothing_of_the_dashboard():
    """Where it trains there may be no Streamlit, Plotly or pandas: the commands, the trainer and the engine are imported without them."""
    blocked = "import sys; sys.modules.update(dict.fromkeys(('streamlit', 'plotly', 'pandas')))"
    code = f"{blocked}; import learnability.__main__, learnability.training.run, learnability.jobs.worker; learnability.__main__.parser()"
    outcome = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert outcome.returncode == 0, outcome.stderr


def test_an_update_leaves_the_compiler_of_pytorch_out():
    """It takes two seconds to import, at the start of every trainer that is neither compiled nor deterministic."""
    code = """
import sys, torch
from learnability.training import devices, loop
with devices.numerics(threads=1, deterministic=False):
    layer = torch.nn.Linear(2, 2)
    optimizer = loop.SGD(layer.parameters(), lr=0.1, momentum=0.9, nesterov=True, fused=True)
    optimizer.zero_grad()
    layer(torch.ones(1, 2)).sum().backward()
    optimizer.step()
sys.exit("imported" if "torch._dynamo" in sys.modules else 0)
"""
    outcome = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert outcome.returncode == 0, outcome.stderr
