"""Pickles as data: their instructions build arrays and plain containers, and call nothing that a file names.

Python's unpickler calls what a file asks for, and numpy's `dtype` and `ndarray` take any state from it, pointers
included. Here each instruction is carried out by hand; arrays are of plain kinds, with exactly the bytes that their
shape needs, and what comes out is bounded in depth and in size. Instructions: PEP 307, 3154, 574 and `pickletools`.
"""

import codecs
import math
import pickletools
import re
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import IO, Any, NamedTuple

import numpy as np

DEPTH = 64  # containers within containers
_FREE, _SHARE = 16 << 20, 64  # bytes that any pickle may become, and that a byte of it may become besides
_LARGEST = 1 << 64  # an integer that some array can hold
_AXES, _EMPTY_AXIS = 32, 1 << 20  # axes of an array, and the length of one that has no elements
_PLAIN = re.compile(r"[<>=|]?(b1|[iu][1248]|f[248]|c8|c16|[SU][1-9]\d{0,8}|O[48]?)")
_EMPTY_TEXT = ("U0", "S0")  # of a scalar
_CORES = ("numpy.core", "numpy._core")


class Kept:
    """Stands in for an object of another library: it keeps its state and can do nothing."""

    state: Mapping[str, Any] = MappingProxyType({})


StandIn = Callable[[str, str], type[Kept] | None]  # what a pickle gets for a class, by module and name; None: refused


def load(handle: IO[bytes], stand_in: StandIn = lambda module, name: None, encoding: str = "ASCII") -> Any:
    """What the rest of an open file holds: numbers, strings, arrays, plain containers, and the stand-ins' objects.

    `encoding` is that of Python 2's strings. Raises ValueError or its like for anything else.
    """
    return _Machine(_Source(handle), stand_in, encoding).run()


def plain_dtype(code: str) -> np.dtype:
    """The numpy type of a code such as `<f4`: bool, integer, float, complex, text, bytes or object. Raises ValueError.

    Not among them are dates, structures and the long double, which neither torch nor a motion file has.
    """
    if not _PLAIN.fullmatch(code):
        raise ValueError(f"it holds an array of the kind {code[:40]!r}, which no motion file needs")
    return np.dtype(code.rstrip("48") if "O" in code else code)


def elements(shape: Any) -> int:
    """The number of elements of a shape. Raises ValueError for what is no plausible one."""
    plausible = isinstance(shape, tuple) and len(shape) <= _AXES
    if not plausible or any(type(length) is not int or length < 0 for length in shape):
        raise ValueError("it holds an array whose shape is none")
    count = math.prod(shape)
    if count == 0 and max(shape) > _EMPTY_AXIS:
        raise ValueError(f"it holds an array of the shape {shape}")
    return count


def sound(values: np.ndarray) -> np.ndarray:
    """Plain values read from a file, in this machine's byte order: truth as 0 or 1, text in Unicode.

    numpy trusts both: a byte of 2 in a mask makes it write past the end. Raises ValueError for text that is none.
    """
    if values.dtype.kind == "b":
        return values.view(np.uint8) != 0
    values = values.astype(values.dtype.newbyteorder("="), copy=False)
    if values.dtype.kind == "U":
        letters = np.ascontiguousarray(values).reshape(-1).view(np.uint32)
        if ((letters > 0x10FFFF) | ((letters >= 0xD800) & (letters < 0xE000))).any():
            raise ValueError("it holds text that is no Unicode")
    return values


class _Source:
    """The rest of a file, which refuses to be read beyond its end before anything is made for what would be read."""

    def __init__(self, handle: IO[bytes]):
        place = handle.tell()
        self.size = self.left = handle.seek(0, 2) - place
        self.handle = handle
        handle.seek(place)

    def read(self, count: int) -> bytes:
        if not 0 <= count <= self.left:
            raise ValueError("it ends too early")
        self.left -= count
        return self.handle.read(count)

    def readline(self) -> bytes:
        line = self.handle.readline()
        self.left -= len(line)
        return line


class _Maker(NamedTuple):
    """What stands for a function or class that arrays are pickled with; it is called by REDUCE."""

    make: Callable[..., Any]


@dataclass
class _Type:
    """Stands in for numpy's `dtype` until an array takes it."""

    code: str
    order: str = "="

    def build(self, state: Any) -> None:
        _, order, *parts = state
        if order not in ("<", ">", "=", "|") or any(part is not None for part in parts[:3]):
            raise ValueError("it holds an array of a structured kind, which no motion file needs")
        self.order = order

    def plain(self) -> np.dtype:
        return plain_dtype(self.order + self.code)


def _type(code: Any, *_: Any) -> _Type:
    if code not in _EMPTY_TEXT:
        plain_dtype(code)
    return _Type(code.lstrip("<>=|"))


def _uncalled(*_: Any) -> None:
    raise ValueError("it calls what it may only name")


_NDARRAY, _OBJECT = _Maker(_uncalled), _Maker(_uncalled)


def _reconstruct(kind: Any, *_: Any) -> np.ndarray:
    if kind is not _NDARRAY:
        raise ValueError("it makes an array of an unknown class")
    return np.empty(0, np.int8)


def _values(kind: Any, data: Any, count: int) -> np.ndarray:
    """Elements [count] from exactly as many bytes as they take."""
    dtype = kind.plain() if isinstance(kind, _Type) else None
    if dtype is None or dtype.hasobject:
        raise ValueError("it holds an array of no plain kind")
    data = data.encode("latin-1") if isinstance(data, str) else data
    if not isinstance(data, bytes | bytearray) or len(data) != count * dtype.itemsize:
        raise ValueError(f"an array of {count} elements of {dtype.itemsize} bytes does not have that many")
    return sound(np.frombuffer(data, dtype))


def _scalar(kind: Any, data: Any) -> Any:
    if isinstance(kind, _Type) and kind.code in _EMPTY_TEXT and not data:
        return np.str_() if kind.code == "U0" else np.bytes_()
    return _values(kind, data, 1)[0]


def _frombuffer(data: Any, kind: Any, shape: Any, order: Any) -> np.ndarray:
    values = _values(kind, data, elements(shape)).copy()
    return values.reshape(shape[::-1]).T if order == "F" else values.reshape(shape)


def _fill(array: Any, state: Any) -> None:
    """Give an array of `_reconstruct` its content: ([version,] shape, dtype, in columns, data).

    An array of objects holds no other directly: numpy frees those one within the other, which overflows the stack.
    """
    shape, kind, columns, data = state[-4:]
    count = elements(shape)
    if isinstance(kind, _Type) and kind.code.startswith("O"):
        if type(data) is not list or len(data) != count:
            raise ValueError(f"an array of {count} objects does not have that many")
        if any(isinstance(each, np.ndarray) and (each.dtype.hasobject or each is array) for each in data):
            raise ValueError("it holds arrays of objects within each other")
        array.__setstate__((1, shape, np.dtype(object), bool(columns), data))
    else:
        values = _values(kind, data, count)
        array.__setstate__((1, shape, values.dtype, bool(columns), values.tobytes()))


def _encode(text: Any, encoding: Any = "latin1") -> bytes:
    if not isinstance(text, str) or encoding not in ("latin1", "latin-1"):
        raise ValueError("it encodes text in an unknown way")
    return text.encode("latin-1")


def _reconstructor(kind: Any, *_: Any) -> Kept:
    return _kept(kind, ())


def _no_bytes() -> bytes:
    """The way of the first protocols to write no bytes."""
    return b""


def _set(items: Any = ()) -> set[Any]:
    return set(map(_key, items))


def _kept(kind: Any, arguments: Any) -> Kept:
    if not (isinstance(kind, type) and issubclass(kind, Kept)) or arguments:
        raise ValueError("it makes an object of an unknown class")
    return kind()


_NAMES: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): _NDARRAY,
    ("numpy", "dtype"): _Maker(_type),
    ("_codecs", "encode"): _Maker(_encode),
    **{(f"{core}.multiarray", "_reconstruct"): _Maker(_reconstruct) for core in _CORES},
    **{(f"{core}.multiarray", "scalar"): _Maker(_scalar) for core in _CORES},
    **{(f"{core}.numeric", "_frombuffer"): _Maker(_frombuffer) for core in _CORES},
}
# What the pickles of other libraries' objects ask for, beside their classes.
_OF_OBJECTS: dict[tuple[str, str], Any] = {
    **{(module, "_reconstructor"): _Maker(_reconstructor) for module in ("copy_reg", "copyreg")},
    **{(module, "object"): _OBJECT for module in ("__builtin__", "builtins")},
    **{(module, "set"): _Maker(_set) for module in ("__builtin__", "builtins")},
    **{(module, "bytes"): _Maker(_no_bytes) for module in ("__builtin__", "builtins")},
}


def _key(value: Any) -> Any:
    """A key of a dict or member of a set: no container, for whose hash a deep one overflows the stack."""
    if isinstance(value, tuple) and len(value) <= _AXES and not any(isinstance(part, tuple) for part in value):
        return tuple(map(_key, value))
    if not isinstance(value, str | bytes | int | float | np.generic | None):
        raise ValueError(f"it has a key of the kind {type(value).__name__}")
    return value


class _Machine:
    """The stack and the memory that a pickle's instructions work on. Each method is an instruction of that name."""

    def __init__(self, source: _Source, stand_in: StandIn, encoding: str):
        self.source, self.stand_in, self.encoding = source, stand_in, encoding
        self.stack: list[Any] = []
        self.marks: list[int] = []
        self.memo: dict[int, Any] = {}
        self.unfilled: dict[int, np.ndarray] = {}

    def run(self) -> Any:
        read, instructions = self.source.read, _INSTRUCTIONS
        try:
            while (code := read(1)) != b".":
                if code not in instructions:
                    raise ValueError(f"it has the instruction {code!r}, which no motion file needs")
                argument, act = instructions[code]
                act(self, argument(self.source) if argument else None)
            value = self.stack.pop()
        except (IndexError, KeyError, TypeError, AttributeError) as error:
            raise ValueError("its instructions do not fit together") from error
        _Scale(_FREE + _SHARE * self.source.size).weigh(value)
        return value

    def push(self, value: Any) -> None:
        if isinstance(value, int) and not -_LARGEST < value < _LARGEST:
            raise ValueError("it holds an integer of more than 64 bits")
        if isinstance(value, str) and not value.isascii():
            value.encode()  # text with lone surrogates is refused here
        self.stack.append(value)

    def old_text(self, value: str) -> None:
        """A string of Python 2: bytes, given as Latin-1."""
        self.stack.append(value if self.encoding == "latin1" else value.encode("latin-1").decode(self.encoding))

    def from_mark(self) -> list[Any]:
        place = self.marks.pop()
        items = self.stack[place:]
        del self.stack[place:]
        return items

    def pop(self, _: None) -> None:
        if self.marks and self.marks[-1] == len(self.stack):
            self.marks.pop()
        else:
            self.stack.pop()

    def mark(self, _: None) -> None:
        self.marks.append(len(self.stack))

    def pop_mark(self, _: None) -> None:
        self.from_mark()

    def dup(self, _: None) -> None:
        self.stack.append(self.stack[-1])

    def list(self, _: None) -> None:
        self.stack.append(self.from_mark())

    def tuple(self, _: None) -> None:
        self.stack.append(tuple(self.from_mark()))

    def dict(self, _: None) -> None:
        made: Any = {}
        _put(made, self.from_mark())
        self.stack.append(made)

    def frozenset(self, _: None) -> None:
        self.stack.append(frozenset(map(_key, self.from_mark())))

    def append(self, _: None) -> None:
        value = self.stack.pop()
        _extend(self.stack[-1], [value])

    def appends(self, _: None) -> None:
        items = self.from_mark()
        _extend(self.stack[-1], items)

    def setitem(self, _: None) -> None:
        value, key = self.stack.pop(), self.stack.pop()
        _put(self.stack[-1], [key, value])

    def setitems(self, _: None) -> None:
        items = self.from_mark()
        _put(self.stack[-1], items)

    def additems(self, _: None) -> None:
        items = self.from_mark()
        if type(self.stack[-1]) is not set:
            raise ValueError("it adds members to what is no set")
        self.stack[-1].update(map(_key, items))

    def put(self, place: int) -> None:
        self.memo[place] = self.stack[-1]

    def memoize(self, _: None) -> None:
        self.memo[len(self.memo)] = self.stack[-1]

    def get(self, place: int) -> None:
        self.stack.append(self.memo[place])

    def global_(self, path: str) -> None:
        module, name = path.split(" ", 1)
        self.stack.append(self.named(module, name))

    def stack_global(self, _: None) -> None:
        name, module = self.stack.pop(), self.stack.pop()
        self.stack.append(self.named(module, name))

    def named(self, module: str, name: str) -> Any:
        """What stands for a class or function."""
        if not isinstance(module, str) or not isinstance(name, str):
            raise ValueError("it asks for something that has no name")
        found = _NAMES.get((module, name)) or _OF_OBJECTS.get((module, name)) or self.stand_in(module, name)
        if found is None:
            raise ValueError(f"it asks for {module}.{name}, which no motion file needs")
        return found

    def reduce(self, _: None) -> None:
        arguments, maker = self.stack.pop(), self.stack.pop()
        if type(arguments) is not tuple:
            raise ValueError("its instructions do not fit together")
        made: Any = maker.make(*arguments) if isinstance(maker, _Maker) else _kept(maker, arguments)
        if isinstance(maker, _Maker) and maker.make is _reconstruct:
            self.unfilled[id(made)] = made
        self.stack.append(made)

    def inst(self, path: str) -> None:
        arguments = self.from_mark()
        self.stack.append(_kept(self.named(*path.split(" ", 1)), arguments))

    def obj(self, _: None) -> None:
        kind, *arguments = self.from_mark()
        self.stack.append(_kept(kind, arguments))

    def build(self, _: None) -> None:
        state = self.stack.pop()
        target = self.stack[-1]
        if isinstance(target, Kept):
            target.state = state if isinstance(state, dict) else {}
        elif isinstance(target, _Type):
            target.build(state)
        else:
            if isinstance(state[-1], list) and any(id(each) in self.unfilled for each in state[-1]):
                raise ValueError("it holds arrays of objects within each other")
            _fill(self.unfilled.pop(id(target)), state)


def _extend(target: Any, items: list[Any]) -> None:
    if type(target) is not list:
        raise ValueError("it appends to what is no list")
    target.extend(items)


def _put(target: Any, items: list[Any]) -> None:
    if type(target) is not dict or len(items) % 2:
        raise ValueError("it sets the items of what is no dict")
    target.update(zip(map(_key, items[::2]), items[1::2], strict=True))


class _Scale:
    """Weighs a value with all that it holds, each as often as it is held: small files can name one list many times."""

    def __init__(self, limit: int):
        self.limit = limit
        self.known: dict[int, tuple[int, int]] = {}

    def weigh(self, value: Any, depth: int = 0) -> tuple[int, int]:
        """About how many bytes it takes written out, and how deep it is.

        Raises ValueError for what is too large or too deep, holds itself, or is neither data nor a container.
        """
        if value is None or isinstance(value, int | float | complex | np.generic):
            return 8, 0
        if isinstance(value, str | bytes | bytearray):
            return 8 + len(value), 0
        weight, height = self.known.get(id(value), (0, 0))
        if not weight:
            weight = 8 + (value.nbytes if isinstance(value, np.ndarray) else 0)
            for part in _parts(value) if depth < DEPTH else ():
                more, below = self.weigh(part, depth + 1)
                weight, height = weight + more, max(height, below + 1)
                if weight > self.limit:
                    raise ValueError("it holds the same things so often that they would fill the memory")
            self.known[id(value)] = weight, height
        if depth + height >= DEPTH:
            raise ValueError(f"it is nested more than {DEPTH} deep, or holds itself")
        return weight, height


def _parts(value: Any) -> Iterable[Any]:
    """What a container holds."""
    if isinstance(value, list | tuple | set | frozenset):
        return value
    if isinstance(value, dict):
        return [part for item in value.items() for part in item]
    if isinstance(value, np.ndarray):
        return value.ravel().tolist() if value.dtype.hasobject else ()
    if isinstance(value, Kept):
        return (value.state,) if value.state else ()
    raise ValueError("it holds a class or function where data should be")


def _read_old_text(source: Any) -> str:
    """The argument of STRING, a quoted string with escapes, as Latin-1."""
    line = source.readline().strip()
    if len(line) < 2 or line[:1] != line[-1:] or line[:1] not in (b"'", b'"'):
        raise ValueError("it holds a string without quotes")
    with warnings.catch_warnings(action="ignore"):
        return codecs.escape_decode(line[1:-1])[0].decode("latin-1")


def _constant(make: Callable[[], Any]) -> Callable[[_Machine, None], None]:
    return lambda machine, _: machine.stack.append(make())


def _last(count: int) -> Callable[[_Machine, None], None]:
    """TUPLE1 to TUPLE3."""

    def act(machine: _Machine, _: None) -> None:
        items = tuple(machine.stack[-count:])
        if len(items) < count:
            raise IndexError
        machine.stack[-count:] = [items]

    return act


_PUSHED = (
    "INT BININT BININT1 BININT2 LONG LONG1 LONG4 FLOAT BINFLOAT UNICODE SHORT_BINUNICODE BINUNICODE BINUNICODE8 "
    "SHORT_BINBYTES BINBYTES BINBYTES8 BYTEARRAY8"
).split()
_ACTIONS: dict[str, Callable[[_Machine, Any], None]] = {
    **dict.fromkeys(_PUSHED, _Machine.push),
    **dict.fromkeys(("STRING", "BINSTRING", "SHORT_BINSTRING"), _Machine.old_text),
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT"), _Machine.put),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), _Machine.get),
    **dict.fromkeys(("PROTO", "FRAME"), lambda machine, _: None),
    **dict.fromkeys(("REDUCE", "NEWOBJ"), _Machine.reduce),
    "NONE": _constant(lambda: None), "NEWTRUE": _constant(lambda: True), "NEWFALSE": _constant(lambda: False),
    "EMPTY_LIST": _constant(list), "EMPTY_TUPLE": _constant(tuple), "EMPTY_DICT": _constant(dict),
    "EMPTY_SET": _constant(set), "TUPLE1": _last(1), "TUPLE2": _last(2), "TUPLE3": _last(3),
    "MARK": _Machine.mark, "POP": _Machine.pop, "POP_MARK": _Machine.pop_mark, "DUP": _Machine.dup,
    "LIST": _Machine.list, "TUPLE": _Machine.tuple, "DICT": _Machine.dict, "FROZENSET": _Machine.frozenset,
    "APPEND": _Machine.append, "APPENDS": _Machine.appends, "SETITEM": _Machine.setitem,
    "SETITEMS": _Machine.setitems, "ADDITEMS": _Machine.additems, "MEMOIZE": _Machine.memoize,
    "GLOBAL": _Machine.global_, "STACK_GLOBAL": _Machine.stack_global, "INST": _Machine.inst, "OBJ": _Machine.obj,
    "BUILD": _Machine.build,
}  # fmt: skip
_INSTRUCTIONS: dict[bytes, tuple[Callable[[Any], Any] | None, Callable[[_Machine, Any], None]]] = {
    each.code.encode("latin-1"): (
        _read_old_text if each.name == "STRING" else each.arg.reader if each.arg else None,
        _ACTIONS[each.name],
    )
    for each in pickletools.opcodes
    if each.name in _ACTIONS
}
