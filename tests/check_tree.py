"""Holds the tree to docs/ARCHITECTURE.md: layers, names, sizes, and a place for every file.

    check_tree.py TREE          complaints, one a line; exit status 1 if there is any
    check_tree.py --self-test   each rule is broken once in a made-up tree, and must be noticed
"""
import collections
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

MIDDLE = {"source", "segment", "storage", "index"}
WORKERS = {"archiver", "replay"}

# What a folder may include besides its own headers. Folders of one line do not know each other.
MAY_INCLUDE = {"common": set()}
MAY_INCLUDE |= {folder: {"common"} for folder in MIDDLE}
MAY_INCLUDE |= {folder: {"common"} | MIDDLE for folder in WORKERS}
MAY_INCLUDE["server"] = {"common"} | MIDDLE | WORKERS
MAY_INCLUDE["cli"] = MAY_INCLUDE["server"] | {"server"}
PRODUCT = set(MAY_INCLUDE)
MAY_INCLUDE["bench"] = MAY_INCLUDE["cli"] | {"cli"}
MAY_INCLUDE["tests"] = MAY_INCLUDE["bench"]
MAY_INCLUDE["bench"] = MAY_INCLUDE["bench"] | {"tests"}  # benchmarks work on what tests build

# Drivers are named where a program is put together: who uses storage or source uses the interface.
DRIVER_HEADERS = {"storage/drivers.h": {"storage", "server", "cli"}, "source/source_drivers.h": {"source", "server", "cli"}}

# Libraries that one folder hides from all others.
LIBRARIES = {
    "lmdb.h": {"index"},
    "zstd": {"segment"},
    "avro": set(),                      # the oracle of the tests
    "curl/": {"common"},
    "openssl/": {"common"},
    "microhttpd.h": {"server"},
    "librdkafka/rdkafka_mock.h": {"server"},
    "librdkafka/": {"source", "server"},
}

TOP_FILES = {
    ".clang-format", ".gitattributes", ".gitignore", "CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "README.md", "SECURITY.md",
    "meson.build", "meson_options.txt",
}
# What kind of file belongs into which folder; the rest of the tree is C.
OTHER_SUFFIXES = {
    ".ci": {""}, "bench": {"", ".py", ".java", ".md", ".rs", ".toml", ".lock"}, "cli": {".py"}, "completions": {".bash"},
    "docs": {".md", ".scd", ".json", ".svg", ".in", ".conf", ".yml"}, "model": {".pml"}, "schemas": {".avsc", ".py"}, "scripts": {"", ".sh"},
}
FUNCTION_LINES = 80


def files_of(root):
    """Tracked files and new ones that git would not ignore; everything where there is no git, as in a tarball."""
    if (root / ".git").exists() and shutil.which("git"):
        listed = subprocess.run(["git", "-C", str(root), "-c", "safe.directory=*", "ls-files", "-z", "--cached", "--others",
                                 "--exclude-standard"], stdout=subprocess.PIPE, check=True).stdout.decode()
        paths = [root / name for name in listed.split("\0") if name]
        return sorted(path for path in paths if path.is_file())
    return sorted(path for path in root.rglob("*") if path.is_file() and not path.relative_to(root).parts[0].startswith("build")
                  and not {"__pycache__", "node_modules", ".git"} & set(path.parts))


def wrong_place(path):
    """Why a file (relative to the root) has no place, or None."""
    if len(path.parts) == 1:
        return None if path.name in TOP_FILES else "the top folder is for those files only that check_tree.py names"
    folder = path.parts[0]
    if folder == "tests" or path.name == "meson.build":
        return None
    if folder not in PRODUCT | set(OTHER_SUFFIXES):
        return f"folder {folder}/ has no place in the layers"
    if path.suffix in (".c", ".h"):
        return None if folder in MAY_INCLUDE else f"{folder}/ is not for C"
    allowed = OTHER_SUFFIXES.get(folder, set())
    return None if allowed is None or path.suffix in allowed else f"{folder}/ is not for files like this"


def wrong_include(folder, quoted, name, headers):
    """Why this #include is wrong, or None."""
    if not quoted:
        for beginning, owners in LIBRARIES.items():
            if name.startswith(beginning) and folder in PRODUCT:
                return None if folder in owners else f"<{name}> is for {', '.join(sorted(owners)) or 'tests'} only"
        return None
    if "/" not in name:
        return f"'{name}' must be named from the top: 'folder/{name}'"
    target = name.split("/")[0]
    if target != folder and target not in MAY_INCLUDE[folder]:
        return f"{folder}/ may not include {target}/"
    if name not in headers:
        return f"there is no '{name}'"
    if folder in PRODUCT and folder not in DRIVER_HEADERS.get(name, {folder}):
        return f"{folder}/ may not name drivers"
    return None


def long_functions(lines):
    """(line, length) of functions over the limit. The house style has both braces of a function in the first column."""
    begin = None
    for number, line in enumerate(lines, 1):
        if line == "{":
            begin = number
        elif line == "}" and begin is not None:
            if number - begin - 1 > FUNCTION_LINES:
                yield begin, number - begin - 1
            begin = None


def unused_sources(root, sources):
    """C files that no meson.build of their folder names. Tests are named there without 'test_', see tests/common."""
    texts = {}
    for path in sources:
        if path.suffix != ".c":
            continue
        folder = path.parent
        while folder != pathlib.Path(".") and not (root / folder / "meson.build").is_file():
            folder = folder.parent
        text = texts.setdefault(folder, "".join((root / place / "meson.build").read_text() for place in {folder, folder.parent}
                                                if (root / place / "meson.build").is_file()))
        relative = str(path.relative_to(folder)) if folder != pathlib.Path(".") else str(path)
        below_parent = str(path.relative_to(folder.parent)) if folder != pathlib.Path(".") else relative
        names = {relative, below_parent, path.name, path.stem, path.stem.removeprefix("test_")}
        if not any(f"'{name}'" in text for name in names):
            yield path


def lost_mutants(root, path):
    """Mutants whose text is not in the product any more: scripts/mutants would fail, which is rarely run."""
    for mutant in json.loads((root / path).read_text()):
        file = root / mutant["file"]
        found = file.read_text(encoding="utf-8").count(mutant["old"]) if file.is_file() else 0
        if found != 1:
            yield f"{path}: the text of '{mutant['name']}' is {found} times in {mutant['file']}"


def complaints(root):
    paths = [path.relative_to(root) for path in files_of(root)]
    sources = [path for path in paths if path.suffix in (".c", ".h")]
    headers = {str(path) for path in sources if path.suffix == ".h"}
    same_name = collections.defaultdict(list)

    for path in paths:
        reason = wrong_place(path)
        if reason:
            yield f"{path}: {reason}"
    for path in sources:
        same_name[path.name].append(str(path))
        folder = path.parts[0]
        if folder not in MAY_INCLUDE:
            continue
        lines = (root / path).read_text(encoding="utf-8").splitlines()
        for number, line in enumerate(lines, 1):
            match = re.match(r'\s*#\s*include\s*(["<])([^">]+)[">]', line)
            reason = wrong_include(folder, match[1] == '"', match[2], headers) if match else None
            if reason:
                yield f"{path}:{number}: {reason}"
        for number, length in long_functions(lines):
            yield f"{path}:{number}: a function of {length} lines; more than {FUNCTION_LINES} nobody reviews"
    for name, places in sorted(same_name.items()):
        if len(places) > 1:
            yield f"{name}: the name is used twice: {', '.join(places)}"
    for path in unused_sources(root, sources):
        yield f"{path}: no meson.build names it, so nobody builds it"
    for path in paths:
        if path.name == "mutants.json":
            yield from lost_mutants(root, path)


# One broken rule each: the file that breaks it, its text, and a part of the complaint.
BROKEN = [
    ("common/a.c", '#include "index/index.h"\n', "common/ may not include index/"),
    ("storage/a.c", '#include "segment/block.h"\n', "storage/ may not include segment/"),
    ("archiver/a.c", '#include "replay/r.h"\n', "archiver/ may not include replay/"),
    ("server/a.c", '#include "cli/c.h"\n', "server/ may not include cli/"),
    ("replay/a.c", '#include "storage/drivers.h"\n', "may not name drivers"),
    ("index/a.c", '#include "index.h"\n', "must be named from the top"),
    ("index/a.c", '#include "index/none.h"\n', "there is no 'index/none.h'"),
    ("replay/a.c", "#include <lmdb.h>\n", "<lmdb.h> is for index only"),
    ("archiver/a.c", "#include <avro.h>\n", "<avro.h> is for tests only"),
    ("common/a.c", "int\nf(void)\n{\n" + "    f();\n" * 81 + "}\n", "a function of 81 lines"),
    ("common/storage.h", "", "the name is used twice"),
    ("common/extra.c", "", "no meson.build names it"),
    ("misc/a.c", "", "has no place in the layers"),
    ("notes.txt", "", "the top folder is for"),
    ("scripts/a.c", "", "scripts/ is not for C"),
    ("common/notes.txt", "", "is not for files like this"),
    ("tests/x/mutants.json", '[{"name": "m", "file": "index/index_internal.h", "old": "is gone"}]', "the text of 'm' is 0 times"),
]
SOUND = {
    "README.md": "", "scripts/test": "", "common/meson.build": "'a.c'", "common/buf.h": "", "segment/block.h": "", "index/index.h": "",
    "storage/meson.build": "'a.c', 'storage.c'", "storage/storage.h": '#include "common/buf.h"\n', "storage/drivers.h": "",
    "storage/storage.c": "int\nf(void)\n{\n" + "    f();\n" * 80 + "}\n", "index/index_internal.h": "#include <lmdb.h>\n",
    "replay/r.h": '#include "storage/storage.h"\n#include <stdio.h>\n', "cli/c.h": '#include "storage/drivers.h"\n',
    "index/meson.build": "'a.c'", "archiver/meson.build": "'a.c'", "replay/meson.build": "'a.c'", "server/meson.build": "'a.c'",
    "tests/x/meson.build": "foreach name : ['thing']", "tests/x/test_thing.c": '#include "cli/c.h"\n#include <lmdb.h>\n',
    "tests/x/data.bin": "", "build/a.c": "", "build-test/gcc/meson-private/x": "", "common/__pycache__/x.pyc": "",
}


def self_test():
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder)
        for name, text in SOUND.items():
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
        found = list(complaints(root))
        assert not found, f"a sound tree: {found}"
        for name, text, wanted in BROKEN:
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(text)
            found = list(complaints(root))
            assert len(found) >= 1 and any(wanted in complaint for complaint in found), f"{name}: wanted '{wanted}', got {found}"
            (root / name).unlink()
    print(f"{len(BROKEN)} broken rules noticed")


if sys.argv[1] == "--self-test":
    self_test()
    sys.exit(0)
all_found = list(complaints(pathlib.Path(sys.argv[1]).resolve()))
print("\n".join(all_found))
sys.exit(bool(all_found))
