"""Which functions a script reaches: a static call graph by names and imports.

Nodes are functions, methods, classes and module-level tables. A node is reached when reachable code
calls it or names it. A method is reached when its class is and reachable code uses its name as an
attribute, on whatever object: the count is an upper bound. The same holds for the functions of a
module that is passed on as a value, and of those that a package imports by `import_module`.
A module's own statements run when anything in it is reached; a table of functions counts only once
reachable code names the table. Annotations reach nothing. Functions inside functions belong to the
outer one.
"""
import ast
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
CALLED_BY_TORCH = ("forward", "backward")
Node = tuple[str, str]      # module; "function", "Class", "Class.method", "TABLE", or "" (the rest)


@dataclass
class Module:
    """A parsed file: its definitions, and what its imports mean."""
    name: str
    path: Path
    tree: ast.Module
    lines: list[str]
    nodes: dict[str, list[ast.AST]] = field(default_factory=lambda: {"": []})
    aliases: dict[str, tuple[str, str]] = field(default_factory=dict)

    def __post_init__(self):
        for statement in self.tree.body:
            self._define(statement)
        for node in ast.walk(self.tree):
            if isinstance(node, ast.ImportFrom) and node.module:
                for alias in node.names:
                    self.aliases[alias.asname or alias.name] = node.module, alias.name
            elif isinstance(node, ast.Import):
                for alias in node.names:
                    self.aliases[alias.asname or alias.name.split(".")[0]] = alias.name, ""

    def _define(self, statement: ast.stmt) -> None:
        if isinstance(statement, FUNCTIONS):
            self.nodes[statement.name] = [statement]
        elif isinstance(statement, ast.ClassDef):
            methods = [part for part in statement.body if isinstance(part, FUNCTIONS)]
            rest = [part for part in statement.body if part not in methods]
            self.nodes[statement.name] = [*statement.decorator_list, *statement.bases, *rest]
            for method in methods:
                self.nodes.setdefault(f"{statement.name}.{method.name}", []).append(method)
        else:
            names = _assigned(statement)
            for name in names:
                self.nodes.setdefault(name, []).append(statement)
            if not names:
                self.nodes[""].append(statement)

    @cached_property
    def functions(self) -> dict[str, ast.AST]:
        """Every function and method by name; of a property's getter and setter the first."""
        return {name: parts[0] for name, parts in self.nodes.items()
                if parts and isinstance(parts[0], FUNCTIONS)}

    def members(self, of: str) -> list[str]:
        """The names of the methods of a class; for "", those of the module's definitions."""
        if not of:
            return [name for name in self.nodes if name and "." not in name]
        return [name.partition(".")[2] for name in self.nodes if name.startswith(f"{of}.")]


def _assigned(statement: ast.stmt) -> list[str]:
    """The names that a module-level statement gives a value."""
    if isinstance(statement, ast.Assign):
        targets = statement.targets
    elif isinstance(statement, ast.AnnAssign):
        targets = [statement.target]
    else:
        return []
    return [node.id for target in targets for node in ast.walk(target)
            if isinstance(node, ast.Name)]


def read(root: Path, rooms: tuple[str, ...]) -> dict[str, Module]:
    """Every module below the folders `rooms` of `root`, by its dotted name."""
    modules = {}
    for path in sorted(path for room in rooms for path in (root / room).rglob("*.py")):
        name = ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")
        text = path.read_text(encoding="utf-8")
        modules[name] = Module(name, path, ast.parse(text), text.splitlines())
    return modules


def imports(module: Module, names: set[str]) -> set[str]:
    """Those of `names`, modules, that a module imports, inside functions too."""
    found = set()
    for node in ast.walk(module.tree):
        if isinstance(node, ast.ImportFrom) and node.module:
            for alias in node.names:
                part = f"{node.module}.{alias.name}"
                found.add(part if part in names else node.module)
        elif isinstance(node, ast.Import):
            found.update(alias.name for alias in node.names)
    return (found & names) - {module.name}


def reached(modules: dict[str, Module], script: str) -> set[Node]:
    """Every function and method that the module `script` reaches."""
    return _Walk(modules).run((script, ""))


class _Walk:
    def __init__(self, modules: dict[str, Module]):
        self.modules = modules
        self.tops = {name.split(".")[0] for name in modules}
        self.seen: set[Node] = set()
        self.waiting: list[Node] = []
        self.attributes: set[str] = set()
        self.values: set[Node] = set()      # modules that code passes on

    def run(self, start: Node) -> set[Node]:
        self._reach(start)
        while self.waiting:
            while self.waiting:
                self._enter(self.waiting.pop())
            self._reach_members()
        return {(module, name) for module, name in self.seen
                if name in self.modules[module].functions}

    def _reach(self, node: Node) -> None:
        if node not in self.seen:
            self.seen.add(node)
            self.waiting.append(node)

    def _enter(self, node: Node) -> None:
        module = self.modules[node[0]]
        self._reach((module.name, ""))
        for part in module.nodes[node[1]]:
            local = _bound(part) if isinstance(part, FUNCTIONS) else set()
            self._note_values(module, part, local)
            for used in _uses(part):
                if (target := self._meaning(module, used, local)) is not None:
                    self._reach(target)
                    if isinstance(used, ast.Attribute) and used.attr != target[1]:
                        self.attributes.add(used.attr)      # Class.method
                elif isinstance(used, ast.Attribute) and not self._foreign(module, used, local):
                    self.attributes.add(used.attr)

    def _note_values(self, module: Module, part: ast.AST, local: set[str]) -> None:
        """Note the modules that code names as values, not to use an attribute of theirs."""
        for name in _bare_names(part):
            if name.id == "import_module":
                self.values |= {(other, "") for other in self.modules
                                if other.rpartition(".")[0] == module.name}
            elif (target := self._meaning(module, name, local)) is not None and not target[1]:
                self.values.add(target)

    def _reach_members(self) -> None:
        """Reach by name what is used of reached classes and passed modules, or called by Python."""
        for module, name in sorted(self.seen | self.values):
            if name or (module, name) in self.values:
                for member in self.modules[module].members(name):
                    if (member in self.attributes
                            or name and (member in CALLED_BY_TORCH or member[:2] == "__")):
                        self._reach((module, f"{name}.{member}".strip(".")))

    def _meaning(self, module: Module, used: ast.expr, local: set[str]) -> Node | None:
        """The node that a name, or an attribute of an imported module, stands for."""
        if isinstance(used, ast.Name):
            return None if used.id in local else self._look_up(module.name, used.id)
        path = []
        while isinstance(used, ast.Attribute):
            path.insert(0, used.attr)
            used = used.value
        if not isinstance(used, ast.Name) or used.id in local:
            return None
        owner, name = module.aliases.get(used.id, ("", ""))
        full = [part for part in (*owner.split("."), name, *path) if part]
        for cut in range(len(full) - 1, 0, -1):
            if (stem := ".".join(full[:cut])) in self.modules:
                return self._look_up(stem, full[cut])
        return None

    def _foreign(self, module: Module, used: ast.Attribute, local: set[str]) -> bool:
        """Whether an attribute belongs to something imported from outside, such as np.load."""
        value = used.value
        while isinstance(value, ast.Attribute):
            value = value.value
        if not isinstance(value, ast.Name) or value.id in local:
            return False
        owner, _ = module.aliases.get(value.id, ("", ""))
        return bool(owner) and owner.split(".")[0] not in self.tops

    def _look_up(self, module: str, name: str) -> Node | None:
        """The node called `name` in a module, followed through re-exports."""
        for _ in range(len(self.modules)):
            if name in self.modules[module].nodes:
                return module, name
            owner, inner = self.modules[module].aliases.get(name, ("", ""))
            if (part := f"{owner}.{inner}".strip(".")) in self.modules:
                return part, ""
            if owner not in self.modules:
                return None
            module, name = owner, inner
        return None


def _uses(part: ast.AST) -> Iterator[ast.expr]:
    """The names and attributes that code uses, annotations left out."""
    if isinstance(part, (ast.Name, ast.Attribute)):
        yield part
    for name, value in ast.iter_fields(part):
        if name not in ("annotation", "returns"):
            for child in value if isinstance(value, list) else [value]:
                if isinstance(child, ast.AST):
                    yield from _uses(child)


def _bare_names(part: ast.AST) -> list[ast.Name]:
    """The names in code that stand for themselves, not before a dot."""
    before_dots = {id(node.value) for node in ast.walk(part) if isinstance(node, ast.Attribute)}
    return [node for node in ast.walk(part)
            if isinstance(node, ast.Name) and id(node) not in before_dots]


def _bound(function: ast.AST) -> set[str]:
    """The names that a function binds itself: parameters and variables."""
    return {node.arg if isinstance(node, ast.arg) else node.id for node in ast.walk(function)
            if isinstance(node, ast.arg)
            or isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
