"""Counts that describe the shape of the package, as a Markdown table with one column per checkout.

    python tools/house.py [CHECKOUT ..]

A room is a folder of the package or a module at its top; a floor is the number of rooms on the longest chain of imports
that ends there. `__init__.py` files of three lines or fewer are not counted as files.
"""

import ast
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from statistics import median

PACKAGE = "recbole_llmfashion"
SHORT_INIT = 3  # lines of an __init__.py that holds no code
BRANCHES = (ast.If, ast.For, ast.AsyncFor, ast.While, ast.ExceptHandler, ast.IfExp, ast.comprehension, ast.match_case)
Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Module:
    """One Python file of the package.

    Args:
        place: path inside the package without suffix, `data/catalogue`.
        text: content of the file.
    """

    place: str
    text: str

    @cached_property
    def tree(self) -> ast.Module:
        """Its syntax tree."""
        return ast.parse(self.text)

    @property
    def lines(self) -> int:
        """Number of lines."""
        return self.text.count("\n")

    @property
    def room(self) -> str:
        """Its folder, or its own name at the top of the package."""
        folder, _, name = self.place.rpartition("/")
        return folder or name

    @property
    def is_init(self) -> bool:
        """Whether it is an `__init__.py`."""
        return self.place.rpartition("/")[2] == "__init__"

    def functions(self) -> list[Function]:
        """All functions and methods, nested ones included."""
        return [node for node in ast.walk(self.tree) if isinstance(node, Function)]


def read_modules(package: Path) -> list[Module]:
    """All modules of a package folder, by place."""
    files = sorted(package.rglob("*.py"))
    return [Module(file.relative_to(package).with_suffix("").as_posix(), file.read_text("utf-8")) for file in files]


def complexity(function: Function) -> int:
    """Cyclomatic complexity: 1, and 1 per branch, loop, handler, comprehension and further operand of and / or.

    >>> complexity(ast.parse("def f(a, b):\\n if a and b: return 1\\n return [x for x in b if x]").body[0])
    5
    """
    total = 1
    for node in ast.walk(function):
        total += isinstance(node, BRANCHES)
        total += len(node.values) - 1 if isinstance(node, ast.BoolOp) else 0
        total += len(node.ifs) if isinstance(node, ast.comprehension) else 0
    return total


def parameters(function: Function) -> list[ast.arg]:
    """The parameters without self and cls."""
    arguments = function.args
    named = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    extra = [argument for argument in (arguments.vararg, arguments.kwarg) if argument]
    return [argument for argument in named if argument.arg not in ("self", "cls")] + extra


def imported_places(module: Module, known: Mapping[str, str]) -> set[str]:
    """The places of the package's modules that a module imports, at any depth of its code.

    Args:
        module: the importing module.
        known: dotted name inside the package = place.
    """
    names: set[str] = set()
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    places = set()
    for name in names:
        first, *parts = name.split(".")
        while parts and ".".join(parts) not in known:
            parts.pop()
        if first == PACKAGE and parts:
            places.add(known[".".join(parts)])
    return places - {module.place}


def components(arrows: Mapping[str, set[str]]) -> list[set[str]]:
    """Strongly connected components, each before those that import it (Tarjan 1972)."""
    order: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    done: list[set[str]] = []

    def visit(node: str) -> None:
        order[node] = lowest[node] = len(order)
        stack.append(node)
        for other in sorted(arrows[node]):
            if other not in order:
                visit(other)
                lowest[node] = min(lowest[node], lowest[other])
            elif other in stack:
                lowest[node] = min(lowest[node], order[other])
        if lowest[node] == order[node]:
            at = stack.index(node)
            done.append(set(stack[at:]))
            del stack[at:]

    for node in sorted(arrows):
        if node not in order:
            visit(node)
    return done


def floors(arrows: Mapping[str, set[str]]) -> int:
    """Number of components on the longest chain of arrows.

    >>> floors({"cli": {"data"}, "data": {"errors"}, "errors": set()})
    3
    """
    floor: dict[str, int] = {}
    for component in components(arrows):
        below = {other for node in component for other in arrows[node]} - component
        floor.update(dict.fromkeys(component, 1 + max((floor[other] for other in below), default=0)))
    return max(floor.values(), default=0)


def quantiles(values: Iterable[int], *shares: float) -> str:
    """Median where the share is 0.5, otherwise the value at that share of the sorted values; the maximum at 1.

    >>> quantiles([1, 2, 3, 4, 100], 0.5, 0.9, 1)
    '3 / 100 / 100'
    """
    ordered = sorted(values) or [0]
    at = (
        median(ordered) if share == 0.5 else ordered[min(int(share * len(ordered)), len(ordered) - 1)]
        for share in shares
    )
    return " / ".join(f"{value:,.0f}" for value in at)


def share(part: int, whole: int) -> str:
    """A percentage."""
    return f"{100 * part / whole:.0f} %" if whole else "-"


def counts(checkout: Path) -> dict[str, str]:
    """The counts of one checkout, by name."""
    modules = read_modules(checkout / PACKAGE)
    files = [module for module in modules if not (module.is_init and module.lines <= SHORT_INIT)]
    return {
        **_size_counts(files),
        **_text_counts(files, modules),
        **_complexity_counts(files),
        **_room_counts(modules),
        **_test_counts(checkout, modules),
    }


def _size_counts(files: list[Module]) -> dict[str, str]:
    functions = [function for file in files for function in file.functions()]
    lengths = [(function.end_lineno or 0) - function.lineno + 1 for function in functions]
    annotated = [f for f in functions if f.returns and all(argument.annotation for argument in parameters(f))]
    return {
        "files": f"{len(files):,}",
        "lines": f"{sum(file.lines for file in files):,}",
        "file length median / p90 / max": quantiles((file.lines for file in files), 0.5, 0.9, 1),
        "functions": f"{len(functions):,}",
        "function length median / p90 / max": quantiles(lengths, 0.5, 0.9, 1),
        "parameters median / p90 / max": quantiles((len(parameters(f)) for f in functions), 0.5, 0.9, 1),
        "fully annotated": share(len(annotated), len(functions)),
    }


def _text_counts(files: list[Module], modules: list[Module]) -> dict[str, str]:
    functions = [function for file in files for function in file.functions()]
    public = [function for function in functions if not function.name.startswith("_")]
    classes = [node for file in files for node in ast.walk(file.tree) if isinstance(node, ast.ClassDef)]
    documented: list[int] = [
        sum(ast.get_docstring(node) is not None for node in nodes)
        for nodes in (functions, classes, [file.tree for file in files], public)
    ]
    of_all = [
        share(documented[0], len(functions)),
        share(documented[1], len(classes)),
        share(documented[2], len(files)),
    ]
    examples = [file.text.count(">>> ") for file in files if ">>> " in file.text]
    inits = [module for module in modules if module.is_init]
    return {
        "public functions with a docstring": share(documented[3], len(public)),
        "all functions / classes / modules with a docstring": " / ".join(of_all),
        "`>>>` examples (files)": f"{sum(examples)} ({len(examples)})",
        "packages whose `__init__` names a public API": f"{sum('__all__' in i.text for i in inits)} of {len(inits)}",
    }


def _complexity_counts(files: list[Module]) -> dict[str, str]:
    values = [complexity(function) for file in files for function in file.functions()]
    return {
        "cyclomatic complexity p90 / p99 / max": quantiles(values, 0.9, 0.99, 1),
        "functions above complexity 10 / 12": f"{sum(v > 10 for v in values)} / {sum(v > 12 for v in values)}",
    }


def _room_counts(modules: list[Module]) -> dict[str, str]:
    named = [module for module in modules if not module.is_init]
    known = {module.place.replace("/", "."): module.place for module in named}
    arrows = {module.place: imported_places(module, known) for module in named}
    room_of = {module.place: module.room for module in named}
    rooms: dict[str, set[str]] = {room: set() for room in room_of.values()}
    for place, others in arrows.items():
        rooms[room_of[place]] |= {room_of[other] for other in others} - {room_of[place]}
    at_top = [module.place for module in named if "/" not in module.place]
    folders = {module.place.split("/")[0] for module in modules if "/" in module.place}
    sizes: dict[str, int] = {}
    for module in modules:
        folder = module.place.rpartition("/")[0]
        sizes[folder] = sizes.get(folder, 0) + 1
    circles = [component for component in components(arrows) if len(component) > 1]
    return {
        "modules at the top beside `__init__` / folders there": f"{len(at_top)} / {len(folders)}",
        "files in the fullest folders": ", ".join(map(str, sorted(sizes.values(), reverse=True)[:5])),
        "rooms": str(len(rooms)),
        "floors of imports": str(floors(rooms)),
        "arrows between rooms": str(sum(map(len, rooms.values()))),
        "circles of modules": str(len(circles)),
    }


def _test_counts(checkout: Path, modules: list[Module]) -> dict[str, str]:
    tests = read_modules(checkout / "tests")
    functions = [f for test in tests for f in test.functions() if f.name.startswith("test_")]
    named = [module for module in modules if not module.is_init]
    mirrored = {test.place for test in tests} & {_test_place(module.place) for module in named}
    lines, own = sum(test.lines for test in tests), sum(module.lines for module in modules)
    readme = checkout / "README.md"
    return {
        "test functions / a module": f"{len(functions):,} / {len(functions) / max(len(named), 1):.1f}",
        "modules with a test file of their name in the mirrored place": (
            f"{share(len(mirrored), len(named))} ({len(mirrored)} of {len(named)})"
        ),
        "test lines / package lines": f"{lines / max(own, 1):.2f}",
        "README lines": str(len(readme.read_text("utf-8").splitlines()) if readme.is_file() else 0),
    }


def _test_place(place: str) -> str:
    folder, slash, name = place.rpartition("/")
    return f"{folder}{slash}test_{name}"


def table(columns: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    """The lines of the Markdown table; columns by title."""
    yield f"| count | {' | '.join(columns)} |"
    yield "|---|" + "---:|" * len(columns)
    for name in next(iter(columns.values())):
        yield f"| {name} | {' | '.join(column[name] for column in columns.values())} |"


def main(arguments: list[str]) -> int:
    """Prints the table of the checkouts, the current folder where none is given."""
    checkouts = [Path(argument).resolve() for argument in arguments or ["."]]
    for checkout in checkouts:
        if not (checkout / PACKAGE).is_dir():
            print(f"{checkout}: expected a checkout with a folder {PACKAGE}", file=sys.stderr)
            return 2
    print("\n".join(table({checkout.name: counts(checkout) for checkout in checkouts})))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
