"""Fill the templates of templates.json, which hold every document that the sandbox makes up.

A text "$NAME ARGUMENT ..." is a value drawn at each filling, such as "$uuid" or "$int 1 8" (`_DRAWS`);
"@SECTION/NAME" is another template, and {NAME} inside a text is what the name stands for. An object with
one of these keys is drawn as a whole:

    {"$one_of": [T, ...]}             one of several
    {"$sample": [LOW, HIGH, VALUES]}  so many of these values, each once
    {"$list": [LOW, HIGH, T]}         so many elements; inside, `previous` names the element before
    {"$for": [NAME, CONDITIONS, T]}   an element for each `item` of a named list that meets the conditions
    {"$each": [NAME, FIRST, REST]}    a field for each `key` in a named list, counted from 1 by `place`
    {"$if": [CONDITIONS, T, OTHER]}   one of two

In any other object "..." adds the fields of its value, "$let" draws values that names stand for from then
on, and "?" holds rows of [CONDITION, ..., FIELDS], whose fields are added where all conditions hold. A
condition is a chance from 0 to 1, or a name that must stand for something true.

Values are drawn in the order in which a template is written: moving a field changes every made-up account.
"""

import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

from scalesync.sandbox.documents import Doc


@dataclass(slots=True)
class Draw:
    """One filling: where random numbers come from, and what the names in the template stand for."""

    rng: random.Random
    names: Doc


Filler = Callable[[Draw], Any]

TEMPLATES: Doc = json.loads(Path(__file__).with_name("templates.json").read_text("utf-8"))


def fill(path: str, rng: random.Random, **names: Any) -> Any:
    """Return the template SECTION/NAME filled by `rng`. Raises KeyError for an unknown one.

    Constant parts are the same objects each time: change nothing but the outermost object.
    """
    return _template(path)(Draw(rng, names))


@cache
def _template(path: str) -> Filler:
    section, _, name = path.partition("/")
    return _compiled(TEMPLATES[section][name])


def _compiled(template: Any) -> Filler:
    """Return what fills a template without looking at its structure again, which takes twice as long."""
    if not _varies(template):
        return lambda _draw: template
    if isinstance(template, str):
        return _text(template)
    if isinstance(template, list):
        elements = [_compiled(part) for part in template]
        return lambda draw: [element(draw) for element in elements]
    (key, parts), *others = template.items()
    if others or key not in _OPERATORS:
        return _object(template)
    operator, plain = _OPERATORS[key]
    return operator(*parts[:plain], *map(_compiled, parts[plain:]))


def _varies(template: Any) -> bool:
    if isinstance(template, dict):
        return any(key[0] in "$?." or _varies(part) for key, part in template.items())
    if isinstance(template, list):
        return any(map(_varies, template))
    return isinstance(template, str) and (template[:1] in {"$", "@"} or "{" in template)


def _text(text: str) -> Filler:
    if text[0] == "@":
        return _template(text[1:])
    if text[0] != "$":
        return lambda draw: text.format_map(draw.names)
    name, *words = text[1:].split(" ")
    return _DRAWS[name](*map(_argument, words))


def _argument(word: str) -> Any:
    try:
        return json.loads(word)
    except ValueError:
        return word


def _object(template: Doc) -> Filler:
    steps = [(key, key[0], _rows(part) if key == "?" else _compiled(part)) for key, part in template.items()]

    def mixed(draw: Draw) -> Doc:
        made: Doc = {}
        for key, sign, part in steps:
            if sign in "?.":
                made.update(part(draw))
            elif sign == "$":
                draw.names.update(part(draw))
            else:
                made[key] = part(draw)
        return made

    plain = [(key, part) for key, sign, part in steps if sign not in "?.$"]
    return mixed if len(plain) < len(steps) else lambda draw: {key: part(draw) for key, part in plain}


def _rows(rows: Sequence[Any]) -> Filler:
    compiled = [(_condition(row[0]), _compiled(row[1])) for row in rows]

    def filled(draw: Draw) -> Doc:
        made: Doc = {}
        for holds, fields in compiled:
            if holds(draw):
                made.update(fields(draw))
        return made

    return filled


def _condition(text: float | str) -> Callable[[Draw], bool]:
    if not isinstance(text, str):
        return lambda draw: text == 1 or draw.rng.random() < text
    name, _, chance = text.partition(" ")
    # No chance is drawn behind a name that stands for nothing.
    return lambda draw: bool(draw.names[name]) and (not chance or draw.rng.random() < float(chance))


def _list(low: int, high: int, element: Filler) -> Filler:
    def filled(draw: Draw) -> list[Any]:
        made: list[Any] = []
        for _ in range(draw.rng.randint(low, high)):
            # Set anew before each element, because a list inside the element before used the name too.
            draw.names["previous"] = made[-1] if made else None
            made.append(element(draw))
        return made

    return filled


def _for(name: str, condition: float | str, element: Filler) -> Filler:
    holds = _condition(condition)
    return lambda draw: [element(draw) for draw.names["item"] in draw.names[name] if holds(draw)]


def _each(name: str, first: Filler, rest: Filler | None = None) -> Filler:
    def filled(draw: Draw) -> Doc:
        made: Doc = {}
        for place, key in enumerate(draw.names[name], start=1):
            draw.names.update(key=key, place=place)
            made[key] = (rest or first if made else first)(draw)
        return made

    return filled


def _if(condition: float | str, one: Filler, other: Filler) -> Filler:
    holds = _condition(condition)
    return lambda draw: one(draw) if holds(draw) else other(draw)


def _edges(draw: Draw) -> list[Doc]:
    """Connect each of the named `vertices` with the next."""
    return [
        {"x1": one["x"], "y1": one["y"], "x2": two["x"], "y2": two["y"], "type": "edge"}
        for one, two in pairwise(draw.names["vertices"])
    ]


_OPERATORS: dict[str, tuple[Callable[..., Filler], int]] = {
    "$one_of": (lambda *parts: lambda draw: draw.rng.choice(parts)(draw), 0),
    "$if": (_if, 1),
    "$list": (_list, 2),
    "$for": (_for, 2),
    "$each": (_each, 1),
}
"""What compiles an object of one of these keys, and how many of its parts are no templates themselves."""

_DRAWS: dict[str, Callable[..., Filler]] = {
    "get": lambda name: lambda draw: draw.names[name],
    "choice": lambda name: lambda draw: draw.rng.choice(draw.names[name]),
    "sample": lambda name, low, high=0: (
        lambda draw: draw.rng.sample(TEMPLATES[name], draw.rng.randint(low, high) if high else low)
    ),
    "template": lambda section, name: lambda draw: _template(f"{section}/{draw.names[name]}")(draw),
    "uuid": lambda: lambda draw: new_uuid(draw.rng),
    "url": lambda folder: lambda draw: folder + new_uuid(draw.rng),
    "hex": lambda bits, before, after="": (
        lambda draw: f"{before}{draw.rng.getrandbits(bits):0{bits // 4}x}{after}"
    ),
    "words": lambda count: lambda draw: words(draw.rng, count),
    "int": lambda low, high: lambda draw: draw.rng.randint(low, high),
    "choices": lambda below, count: lambda draw: draw.rng.choices(range(below), k=count),
    "random": lambda: lambda draw: draw.rng.random(),
    "float": lambda low, high: lambda draw: draw.rng.uniform(low, high),
    "number": lambda top: lambda draw: number(draw.rng, top),
    "edges": lambda: _edges,
}
"""What compiles a text of that name, given its arguments."""


def new_uuid(rng: random.Random) -> str:
    """Return a random version 4 UUID."""
    text = f"{rng.getrandbits(128):032x}"
    return f"{text[:8]}-{text[8:12]}-4{text[13:16]}-a{text[17:20]}-{text[20:]}"


def number(rng: random.Random, top: float) -> float:
    """Return a coordinate below `top`: half of them whole, half of them long floats (recorded)."""
    value = rng.random() * top
    return int(value) if value % 1 < 0.5 else value


def words(rng: random.Random, count: int) -> str:
    """Return a text of `count` words, separated by blanks."""
    return " ".join(rng.choices(TEMPLATES["words"], k=count))
