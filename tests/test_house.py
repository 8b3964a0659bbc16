"""The order of the source: imports, sizes of files and functions, the table of constants."""
import ast
import functools
import io
import pathlib
import re
import tokenize

import pytest

import levinv

ROOT = pathlib.Path(levinv.__file__).parent
TABLE = "levinv._tolerances"
FLOORS = 15                 # modules in the longest chain of imports; inside levinv.inverse:
FLOORS_OF_INVERSE = 8
LINES_OF_A_FILE = 450
LINES_OF_A_FUNCTION = 60

# Numbers that only shape what is shown, describe a format, or count what the machine has.
PRESENTATION = {
    # the models of statistics
    "levinv.models.likelihood": {"INVERSE_LINKS"},
    "levinv.weighting.composed": {"BINOMIAL"},
    "levinv.weighting.names": {"LINK_POWERS", "VARIANCES"},
    "levinv.weighting.protocol": {"INVERSE_SQUARE"},

    "levinv._parallel": {"CORES"},
    "levinv._screen": {"WIDTH"},
    "levinv.auditing.figures": {"DECIMALS", "MOST_DECIMALS"},
    "levinv.auditing.render.html": {"SHOWN_COEFFICIENTS", "SIZE", "SMALLEST_HEIGHT",
                                    "HEIGHT_OF_LINE"},
    "levinv.auditing.render.screen": {"SHOWN"},
    "levinv.auditing.render.text": {"LABEL_WIDTH", "SHOWN_COEFFICIENTS", "SHOWN_ROWS",
                                    "TARGETS", "SMALLEST_SAID", "LARGEST_SAID"},
    "levinv.cli.demo": {"WIDTH", "DECIMALS"},
    "levinv.cli.delimited": {"TRUTH"},
    "levinv.cli.tables": {"NAMED"},
    "levinv.cli.files": {"NAMED_SIGNS", "_HEADERS"},
    "levinv.cli.invert": {"NAMED_SIGNS", "SHOWN"},
    "levinv.cli.matrix_market": {"LAYOUTS", "MIRRORED", "SHORTEST"},
    "levinv.cli.progress": {"PROGRESS_DELAY", "PROGRESS_INTERVAL"},
    "levinv.inverse.shown": {"SHOWN", "ENDS", "NAMED"},
    "levinv.inverse.verdict.messages": {"NAMED"},
    "levinv.plot": {"ROWS", "COEFFICIENTS", "LEAST"},
}


def name_of(path):
    parts = ["levinv", *path.relative_to(ROOT).with_suffix("").parts]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {name_of(path): path for path in sorted(ROOT.rglob("*.py"))}
TREES = {name: ast.parse(path.read_text(encoding="utf-8")) for name, path in MODULES.items()}


def imported(name):
    """Modules of the package that a module imports, at its top, in functions or for its types.
    ``levinv`` itself imports its members when they are asked for: nothing.
    """
    found = set()
    for node in ast.walk(TREES[name]) if name != "levinv" else ():
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                package = name.split(".")
                last = len(package) - node.level + (MODULES[name].name == "__init__.py")
                base = ".".join([*package[:last], *filter(None, [node.module])])
            for alias in node.names:
                inner = f"{base}.{alias.name}"
                found.add(inner if inner in MODULES else base)
    return (found & MODULES.keys()) - {"levinv", name}


IMPORTS = {name: imported(name) for name in MODULES}


def longest_chain(names):
    """The longest chain of imports among these modules, highest first; fails at a circle."""
    above = []

    @functools.cache
    def below(name):
        assert name not in above, " imports ".join([*above[above.index(name):], name])
        above.append(name)
        chains = [below(other) for other in sorted(IMPORTS[name] & names)]
        above.pop()
        return (name, *max(chains, key=len, default=()))

    return max((below(name) for name in names), key=len)


def test_imports_have_no_circle():
    longest_chain(MODULES.keys())


@pytest.mark.parametrize("room, floors", [("levinv", FLOORS),
                                          ("levinv.inverse", FLOORS_OF_INVERSE)])
def test_floors(room, floors):
    names = frozenset(name for name in MODULES if f"{name}.".startswith(f"{room}."))
    chain = longest_chain(names)
    assert len(chain) <= floors, " imports ".join(chain)


def test_files_are_short():
    lines = {name: len(path.read_text(encoding="utf-8").splitlines())
             for name, path in MODULES.items()}
    assert not {name: n for name, n in lines.items() if n > LINES_OF_A_FILE}


def test_functions_are_short():
    long = {}
    for name, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                body = node.body[ast.get_docstring(node) is not None:]
                lines = body[-1].end_lineno - body[0].lineno + 1 if body else 0
                if lines > LINES_OF_A_FUNCTION:
                    long[f"{name}.{node.name}"] = lines
    assert not long


def bound(node):
    """Names in capitals that a statement binds."""
    targets = getattr(node, "targets", [getattr(node, "target", None)])
    if not isinstance(node, (ast.Assign, ast.AnnAssign)) or node.value is None:
        return []
    return [part.id for target in targets for part in ast.walk(target)
            if isinstance(part, ast.Name) and re.fullmatch(r"_?[A-Z][A-Z0-9_]*", part.id)]


def holds_a_number(value):
    """Whether an expression holds a number, but as a key of a table."""
    keys = {key for part in ast.walk(value) if isinstance(part, ast.Dict) for key in part.keys}
    return any(isinstance(part, ast.Constant) and type(part.value) in (int, float)
               for part in ast.walk(value) if part not in keys)


def derived(value):
    """Whether an expression uses the table."""
    return any(isinstance(part, ast.Name) and part.id in table() for part in ast.walk(value))


@pytest.mark.parametrize("name", [name for name in MODULES if name != TABLE])
def test_numbers_stand_in_the_table(name):
    """What follows from the table by a formula may stand where it is used."""
    numeric = {constant for node in TREES[name].body for constant in bound(node)
               if holds_a_number(node.value) and not derived(node.value)}
    assert not numeric - PRESENTATION.get(name, set())


def table():
    """Each constant of the table and its last line."""
    return {constant: node.end_lineno for node in TREES[TABLE].body for constant in bound(node)}


# The compiled kernels read the table when they are built; their sources are not in a wheel.
READ_BY_KERNELS = {"BATCH_DOUBT", "BATCH_EXTREME", "BATCH_ITERATIONS", "BATCH_ROUGHLY",
                   "BATCH_STARTS", "CHANGE_ROWS", "CHANGE_STEPS", "L1_BYTES", "LINEAR_MARGIN"}


@pytest.mark.parametrize("constant", sorted(table().keys() - READ_BY_KERNELS))
def test_each_constant_is_used(constant):
    # the table itself may derive one constant from another
    used = {node.id for node in ast.walk(TREES[TABLE])
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    for name, tree in TREES.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ImportFrom) and node.module in (TABLE, "_tolerances"):
                used |= {alias.name for alias in node.names}
            elif (isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name)
                  and node.value.id == "_tolerances" and name != TABLE):
                used.add(node.attr)
    assert constant in used


def test_each_constant_has_a_comment():
    """On its line or on the line below."""
    text = MODULES[TABLE].read_text(encoding="utf-8")
    commented = {token.start[0] for token in tokenize.generate_tokens(io.StringIO(text).readline)
                 if token.type == tokenize.COMMENT}
    assert not [name for name, line in table().items() if not commented & {line, line + 1}]


@pytest.mark.parametrize("name", [name for name, path in MODULES.items()
                                  if path.name == "__init__.py"])
def test_each_folder_says_what_is_in_it(name):
    assert ast.get_docstring(TREES[name])
