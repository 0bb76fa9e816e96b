"""Compares two scans, before and now, and gives the records that bring the difference back.

An object is identified by its address, which is the same in a copy of the process. A changed
object that is plain is filled again. Any other is made anew, and the objects that hold it are
filled again, too. Knows no namespace: a name is the key of a value.
"""

from collections.abc import Collection, Iterable, Set
from pickle import PickleBuffer
from typing import NamedTuple, cast

from .heap_scan import HeapScan, Now, holds_a_resource
from .object_data import Bytes, ObjectRecord, dump
from .object_kinds import kind_of


class Old(NamedTuple):
    """An object as it was. `fill`: the object is filled again. Else a new one is made."""

    record: ObjectRecord
    fill: bool
    places: tuple[int, ...]
    """The numbers of the array's pieces in the record's buffers. Equal pieces are left out."""


class Difference(NamedTuple):
    """All that brings the values back."""

    objects: dict[int, Old]
    roots: dict[str, bytes]
    """The old value, pickled, of each name whose value has to be a new object."""
    changed: tuple[str, ...]
    failed: dict[str, str]


def compare(look: HeapScan, now: Now) -> Difference:
    """Compare the scan from before, `look`, with the scan from now."""
    return _Comparison(look, now).difference()


def names_of(look: HeapScan, addresses: Iterable[int]) -> set[str]:
    """The names whose values contain any of these objects."""
    above = _above(look.refs, addresses)
    return {name for name, roots in look.roots.items() if not above.isdisjoint(roots)}


class _Comparison:
    """Two scans, and for each object whether it is the same and how it comes back."""

    def __init__(self, look: HeapScan, now: Now) -> None:
        self._look, self._now = look, now
        digests = dict(zip(now.addresses, now.digests, strict=True))
        self._differ = {a for a, digest in look.digests.items() if digests.get(a) != digest}
        self._types = {
            address: kind
            for address, kind in zip(now.addresses, now.types, strict=True)
            if address in self._differ or address in look.opaque
        }
        self._fill: set[int] = set()
        self._anew: set[int] = set()
        self._reasons: dict[int, str] = {}
        self._late = {**look.late, **dict.fromkeys(now.late, "too slow")}

    def difference(self) -> Difference:
        look = self._look
        barred = {
            each
            for each in _above(look.refs, look.opaque)
            if each not in look.opaque and holds_a_resource(look.nodes[each], look)
        }
        reached = self._reached(barred)
        for each in barred & reached & _above(look.refs, self._differ):
            self._reasons[each] = "holds an open file, a connection or the like"
        for each in (reached - barred) & (self._differ | look.opaque.keys()):
            self._judge(each)
        self._spread(reached - barred)
        objects = self._objects()
        failed = {
            name: kind_of(type(value)).why
            for name, value in look.values.items()
            if kind_of(type(value)).part
        }
        for reason in sorted({*self._reasons.values()}):
            of = [each for each, why in self._reasons.items() if why == reason]
            failed |= dict.fromkeys(names_of(look, of), reason)
        roots = {
            name: dump(self._look.values[name], look.nodes)[0]
            for name, held in look.roots.items()
            if name not in self._late and not self._anew.isdisjoint(held)
        }
        changed = (names_of(look, self._fill) | roots.keys()) - self._late.keys()
        return Difference(objects, roots, tuple(sorted(changed)), failed | self._late)

    def _reached(self, barred: Collection[int]) -> Set[int]:
        """The objects that may be brought back. One that only barred objects hold may not."""
        look = self._look
        if not (barred or self._late):
            return look.digests.keys()
        left = [each for name in look.roots.keys() - self._late for each in look.roots[name]]
        reached: set[int] = set()
        while left:
            each = left.pop()
            if each not in reached:
                reached.add(each)
                left += () if each in barred else look.refs.get(each, ())
        return reached & look.digests.keys()

    def _judge(self, each: int) -> None:
        look, value = self._look, self._look.nodes[each]
        kind: type = type(cast("object", value))
        present = self._types.get(each) == id(kind)
        if each in look.opaque or look.kind(value).way == "itself":
            if not present:
                self._anew.add(each)
            elif each in self._differ or self._is_told(each, value):
                self._reasons[each] = look.opaque[each]
        elif present and self._fillable(each):
            self._fill.add(each)
        else:
            self._anew.add(each)

    def _is_told(self, each: int, value: object) -> bool:
        """Whether it is reported: a change of it could not be seen, and it is a value."""
        kind = self._look.kind(value)
        return each in self._look.opaque and not (kind.seen or kind.part)

    def _fillable(self, each: int) -> bool:
        try:
            record = self._look.record(each)
        except Exception:  # pickled once, it cannot be pickled a second time
            return False
        before, after = (look.pieces.get(each, (0, ()))[0] for look in (self._look, self._now))
        return record.plain and (record.way != "array" or before == after)  # the same shape

    def _spread(self, among: Set[int]) -> None:
        """Add the objects that hold an object made anew, since they have to hold the new one."""
        refs, grown = self._look.refs, bool(self._anew)
        while grown:
            grown = False
            for each in reversed(refs):
                if each not in among or each in self._fill or each in self._anew:
                    continue
                if self._anew.isdisjoint(refs[each]):
                    continue
                if self._fillable(each):
                    self._fill.add(each)
                else:
                    self._anew.add(each)
                    grown = True

    def _objects(self) -> dict[int, Old]:
        objects: dict[int, Old] = {}
        for each in self._fill | self._anew:
            try:
                record = self._look.record(each)
            except Exception:
                self._reasons[each] = self._look.opaque.get(each, "is gone: code, or what holds it")
                continue
            fill, places = each in self._fill, tuple(range(len(record.buffers)))
            if fill and each in self._look.pieces and record.way == "array":
                before, after = self._look.pieces[each][1], self._now.pieces[each][1]
                places = tuple(i for i in places if before[i] != after[i])
            buffers: list[Bytes] = [PickleBuffer(record.buffers[i]) for i in places]
            objects[each] = Old(record._replace(buffers=buffers), fill, places)
        return objects


def _above(refs: dict[int, tuple[int, ...]], below: Iterable[int]) -> set[int]:
    """These objects and all objects that hold them, at any depth.

    A holder was mostly seen before the object it holds, so one pass backwards finds nearly all.
    """
    found, size = {*below}, -1
    while found and len(found) != size:
        size = len(found)
        for each in reversed(refs):
            if each not in found and not found.isdisjoint(refs[each]):
                found.add(each)
    return found
