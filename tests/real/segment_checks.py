"""What docs/FORMAT.md promises about one stored segment, checked from its bytes. Shares no code with hubvault.

Problems are texts in a list; a check never stops at the first one unless the rest would mean nothing.
"""

import hashlib
import json
import re
import typing

MAGIC = b"Obj\x01"
SYNC = 16
HEADER_KEY, CHECK_KEY = "hubvault.segment", "hubvault.check"
ENTRIES = {"avro.codec", "avro.schema", CHECK_KEY, HEADER_KEY}
SCHEMA_SHA256 = "984b7927da8582fdee40572884953f3e89a4982dafe1421d794f02873517818d"
CODECS = {"zstandard", "deflate", "null"}
CAUSES = {"retention", "compaction", "transaction", "truncation", "re-created", "unknown"}
FIELDS = ["format", "vault", "hub", "incarnation", "partition", "class", "policy", "created", "cut", "classes", "gaps", "lead", "missing", "schemas",
          "count", "min_timestamp", "max_timestamp", "merkle_root", "blocks_bytes", "blocks"]
NAME = re.compile(r"hub=(?P<hub>[A-Za-z0-9._-]{1,249})/incarnation=(?P<incarnation>[1-9][0-9]*)/partition=(?P<partition>0|[1-9][0-9]*)/"
                  r"(?P<first>[0-9]{20})(\.(?P<class>[a-z][a-z0-9-]{0,63}))?\.avro")


class Damaged(Exception):
    """So broken that nothing more can be said."""


class Segment(typing.NamedTuple):
    path: str
    header: dict
    sha256: str
    blocks: list            # (position, length, count, sha256) as found
    is_lead: bool


def varlong(data, at):
    """Avro long: zigzag, seven bits a byte, low ones first."""
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise Damaged(f"no number at byte {at}")
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at += 1
        shift += 7
        if byte < 0x80:
            return (value >> 1) ^ -(value & 1), at


def byte_string(data, at):
    length, at = varlong(data, at)
    if length < 0 or at + length > len(data):
        raise Damaged(f"{length} bytes at byte {at} of {len(data)}")
    return data[at:at + length], at + length


def front(data):
    """Metadata, sync marker, and where the blocks begin."""
    if data[:4] != MAGIC:
        raise Damaged("no Avro object container file")
    metadata, at = {}, 4
    while True:
        count, at = varlong(data, at)
        if count == 0:
            return metadata, data[at:at + SYNC], at + SYNC
        if count < 0:
            _, at = varlong(data, at)
        for _ in range(abs(count)):
            key, at = byte_string(data, at)
            if key.decode() in metadata:
                raise Damaged(f"two entries {key!r} in the file metadata")
            metadata[key.decode()], at = byte_string(data, at)


def blocks_of(data, at, sync):
    """(position, length, count, SHA-256) of each block: everything from its count to its sync marker."""
    start, found = at, []
    while at < len(data):
        begin = at
        count, at = varlong(data, at)
        _, at = byte_string(data, at)
        if data[at:at + SYNC] != sync:
            raise Damaged(f"no sync marker at byte {at}")
        at += SYNC
        found.append((begin - start, at - begin, count, hashlib.sha256(data[begin:at]).hexdigest()))
    return found


def merkle_root(hashes):
    """RFC 6962 section 2.1."""
    if not hashes:
        return hashlib.sha256(b"").digest()
    if len(hashes) == 1:
        return hashlib.sha256(b"\0" + hashes[0]).digest()
    split = 1 << (len(hashes) - 1).bit_length() - 1
    return hashlib.sha256(b"\1" + merkle_root(hashes[:split]) + merkle_root(hashes[split:])).digest()


def load(path, data, problems):
    """A segment under its name (below segments/) with everything that can be checked without the events."""
    def bad(text):
        problems.append(f"{path}: {text}")

    parts = NAME.fullmatch(path)
    metadata, sync, start = front(data)
    if set(metadata) != ENTRIES:
        raise Damaged(f"file metadata {sorted(metadata)}")
    header = json.loads(metadata[HEADER_KEY])
    if list(header) != FIELDS:
        raise Damaged(f"fields of the header: {list(header)}")
    check_front(metadata, sync, header, bad)
    for field, expected in (("hub", parts["hub"]), ("incarnation", int(parts["incarnation"])), ("partition", int(parts["partition"]))):
        if header[field] != expected:
            bad(f"header says {field} {header[field]}")
    if header["cut"][0] != int(parts["first"]):
        bad(f"header says that the cut begins at {header['cut'][0]}")
    is_lead = header["lead"] is None
    if is_lead != (parts["class"] is None) or (not is_lead and header["class"] != parts["class"]):
        bad(f"class {header['class']}, lead {header['lead']} do not fit the name")
    found = blocks_of(data, start, sync)
    check_blocks(header, found, len(data) - start, bad)
    check_ranges(header, bad)
    return Segment(path, header, hashlib.sha256(data).hexdigest(), found, is_lead)


def check_front(metadata, sync, header, bad):
    if metadata["avro.codec"].decode() not in CODECS:
        bad(f"codec {metadata['avro.codec']}")
    if hashlib.sha256(metadata["avro.schema"]).hexdigest() != SCHEMA_SHA256:
        bad("the schema is another one")
    if metadata[HEADER_KEY].decode() != json.dumps(header, separators=(",", ":")):
        bad("the header is not written as canonical JSON")
    digest = hashlib.sha256(metadata["avro.codec"] + metadata["avro.schema"] + metadata[HEADER_KEY] + sync).hexdigest()
    if metadata[CHECK_KEY].decode() != digest:
        bad(f"{CHECK_KEY} is not {digest}")
    if header["format"] != 1:
        bad(f"format {header['format']}")
    if header["lead"] is None and ((header["class"] == "none") != (header["count"] == 0) or header["missing"]):
        bad(f"a lead of class {header['class']} with {header['count']} events and {header['missing']} missing")
    if header["schemas"] != sorted(set(header["schemas"])):
        bad("schemas are not in order")


def check_blocks(header, found, size, bad):
    listed = header["blocks"]
    if [(position, length, count, digest) for position, length, _, count, _, _, digest in listed] != found:
        bad("block table and blocks differ in position, length, count or SHA-256")
    if header["blocks_bytes"] != size:
        bad(f"blocks_bytes {header['blocks_bytes']}, but there are {size}")
    root = merkle_root([bytes.fromhex(digest) for _, _, _, digest in found]).hex()
    if header["merkle_root"] != root:
        bad(f"merkle_root is not {root}")
    if header["count"] != sum(block[2] for block in found):
        bad(f"count {header['count']} is not the sum over the blocks")
    times = [time for block in listed for time in block[4:6]] or [0]
    if (header["min_timestamp"], header["max_timestamp"]) != (min(times), max(times)):
        bad("min_timestamp or max_timestamp does not follow from the blocks")


def check_ranges(header, bad):
    first, end = header["cut"]
    if not 0 <= first < end:
        bad(f"cut {header['cut']}")
    for name in ("gaps", "missing"):
        last = first
        for begin, stop, cause in header[name]:
            if not last <= begin < stop <= end or cause not in CAUSES:
                bad(f"{name}: {[begin, stop, cause]}")
            last = stop
    names = [name for name, _ in header["classes"]]
    if names != sorted(set(names)) or (header["lead"] is None and header["class"] in names):
        bad(f"classes {names}, own {header['class']}")
    pieces = [(begin, stop) for begin, stop, _ in header["gaps"]]
    for _, ranges in header["classes"]:
        pieces += [tuple(piece) for piece in ranges]
    pieces.sort()
    for (_, before), (begin, _) in zip(pieces, pieces[1:]):
        if begin < before:
            bad(f"class map and gaps overlap at {begin}")
    if header["lead"] is not None and header["class"] not in names:
        bad(f"class {header['class']} is not in its own class map")


def without(ranges, taken):
    """Ranges less other ranges; both ascending."""
    left = []
    for begin, end in ranges:
        for gone_begin, gone_end in taken:
            if gone_end <= begin or gone_begin >= end:
                continue
            if begin < gone_begin:
                left.append((begin, gone_begin))
            begin = max(begin, gone_end)
        if begin < end:
            left.append((begin, end))
    return left


def own_ranges(header):
    """Offsets that this segment has to hold."""
    if header["lead"] is None:
        taken = sorted([(begin, end) for begin, end, _ in header["gaps"]]
                       + [tuple(piece) for _, ranges in header["classes"] for piece in ranges])
        return without([tuple(header["cut"])], taken)
    promised = [tuple(piece) for name, ranges in header["classes"] if name == header["class"] for piece in ranges]
    return without(promised, [(begin, end) for begin, end, _ in header["missing"]])


def check_events(segment, offsets, times, problems):
    """The decoded events against the header: own offsets, and first offset and times of each block."""
    def bad(text):
        problems.append(f"{segment.path}: {text}")

    at = 0
    for begin, end in own_ranges(segment.header):
        here = offsets[at:at + end - begin]
        if len(here) != end - begin or here[0] != begin or here[-1] != end - 1 or any(b - a != 1 for a, b in zip(here, here[1:])):
            bad(f"its events are not those of {begin} to {end}")
            break
        at += end - begin
    if at != len(offsets):
        bad(f"{len(offsets)} events, {at} of them expected")
    at = 0
    for _, _, first, count, low, high, _ in segment.header["blocks"]:
        if offsets[at:at + 1] != [first] or (min(times[at:at + count]), max(times[at:at + count])) != (low, high):
            bad(f"the block of offset {first} does not begin there, or its times are others")
        at += count
