"""A loss of power, as far as it can be played with processes that are merely killed.

The processes of a campaign keep a journal (kill_storage.c) of what they named in the vault and what they synced. What was not synced
by anybody since may be gone after a loss of power, and the worst case is played here: all of it goes. Names that were given before the
bytes were synced lead to an empty file. Nothing is taken away that was surely synced; where a sync began at about the same time as
the naming, it counts as synced. The index is not touched here: LMDB syncs by itself, and "an older copy is put back" covers less
than that.
"""

import collections
import pathlib
import shutil


class Journal:
    """All journals of one vault, read on from where the last reading ended."""

    def __init__(self, folder):
        self.folder = pathlib.Path(folder)
        self.read_to = collections.defaultdict(int)
        self.synced = {}                # folder -> begin of its newest sync
        self.names = {}                 # path -> (time, inode), not known to be synced
        self.folders = {}               # path -> time
        self.unsynced_bytes = {}        # path -> inode
        self.answered = set()           # puts that were answered "created"

    def read(self):
        for file in sorted(self.folder.glob("journal-*")):
            with open(file, "rb") as journal:
                journal.seek(self.read_to[file])
                data = journal.read()
            whole = data[:data.rfind(b"\n") + 1]
            self.read_to[file] += len(whole)
            for line in whole.decode().splitlines():
                kind, time, number, path = line.split(" ", 3)
                self._note(kind, int(time), int(number), path)

    def _note(self, kind, time, number, path):
        if kind == "S":
            self.synced[path] = max(self.synced.get(path, 0), time)
        elif kind == "L":
            self.names[path] = (time, number)
        elif kind == "D":
            self.folders[path] = time
        elif kind == "U":
            self.unsynced_bytes[path] = number
        elif kind == "A":
            self.answered.add(path)

    def _is_synced(self, path, time):
        return self.synced.get(str(pathlib.Path(path).parent), -1) >= time

    def settle(self):
        """Whatever was done so far counts as synced."""
        self.read()
        self.names.clear()
        self.folders.clear()
        self.unsynced_bytes.clear()

    def forget_synced(self):
        self.names = {path: at for path, at in self.names.items() if not self._is_synced(path, at[0])}
        self.folders = {path: time for path, time in self.folders.items() if not self._is_synced(path, time)}


def _has_inode(path, inode):
    try:
        return path.lstat().st_ino == inode
    except OSError:
        return False


def lose_power(journal):
    """Take away what was not synced. What went, and the promises that this broke: paths of puts that had been answered."""
    journal.read()
    journal.forget_synced()
    gone, broken = [], []
    for path in sorted(journal.folders):
        if pathlib.Path(path).is_dir():
            gone += [str(file) for file in pathlib.Path(path).rglob("*") if file.is_file()]
            shutil.rmtree(path)
    for path, (_, inode) in sorted(journal.names.items()):
        if _has_inode(pathlib.Path(path), inode):
            pathlib.Path(path).unlink()
            gone.append(path)
    for path, inode in sorted(journal.unsynced_bytes.items()):
        file = pathlib.Path(path)
        if _has_inode(file, inode):
            file.chmod(0o600)
            file.write_bytes(b"")
            file.chmod(0o444)
            broken.append(f"{path}: named before its bytes were synced")
    broken += [f"{path}: the put was answered, and the name was not synced" for path in gone if path in journal.answered]
    journal.settle()
    return gone, broken
