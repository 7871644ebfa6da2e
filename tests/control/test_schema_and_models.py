"""The checker accepts all that a pydantic model accepts: it guards queues with code elsewhere."""

from __future__ import annotations

import datetime
import decimal
import enum
import uuid
from typing import Annotated, Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ConfigDict, Field, JsonValue, ValidationError
from pydantic.alias_generators import to_camel

from hsejobs.control.schema import problems
from hsejobs.engine.payloads import json_schema


class Size(enum.Enum):
    SMALL = "s"
    LARGE = "l"


class Level(enum.IntEnum):
    LOW = 1
    HIGH = 2


class Cat(BaseModel):
    kind: Literal["cat"]
    lives: int = 9


class Dog(BaseModel):
    model_config = ConfigDict(extra="forbid")
    kind: Literal["dog"]
    good: bool


class Tree(BaseModel):
    value: int
    leaves: list[Tree] = []


class Wide(BaseModel):
    """One field of each kind that payloads have."""

    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)

    whole_number: int = 0
    number: float = 0
    truth: bool = False
    text: str = ""
    short_text: Annotated[str, Field(min_length=1, max_length=3, pattern="^[a-z]+$")] = "a"
    lenient_pattern: Annotated[str, Field(pattern=r"^\s*[!-~][ -~]{0,199}\s*$")] = "a"
    percent: Annotated[int, Field(ge=0, le=100)] = 0
    above: Annotated[float, Field(gt=0, lt=10)] = 1
    even: Annotated[int, Field(multiple_of=2)] = 0
    size: Size = Size.SMALL
    level: Level = Level.LOW
    choice: Literal["a", 1, None] = "a"
    many: Annotated[list[int], Field(min_length=1, max_length=3)] = [1]
    some: set[int] = set()
    pair: tuple[int, str] = (0, "")
    counts: dict[str, int] = {}
    by_number: dict[int, float] = {}
    maybe: int | None = None
    either: int | str | list[bool] = 0
    pet: Annotated[Cat | Dog, Field(discriminator="kind")] = Cat(kind="cat")
    tree: Tree = Tree(value=0)
    day: datetime.date = datetime.date(2026, 1, 1)
    moment: datetime.datetime | None = None
    took: datetime.timedelta = datetime.timedelta()
    id: uuid.UUID | None = None
    price: decimal.Decimal = decimal.Decimal(0)
    anything: Any = None
    json_value: JsonValue = None


NAMES = [
    spelled for name, info in Wide.model_fields.items() for spelled in {name, info.alias or name}
]
SCHEMA: Any = json_schema(Wide)
ATOMS = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 120),
    st.just(2**70),
    st.floats(-3, 120),
    st.sampled_from(
        [
            1.0,
            0.0,
            1e300,
            "",
            " ",
            "a",
            "abc",
            "abcd",
            "A",
            "s",
            "l",
            "cat",
            "dog",
            "5",
            " 7 ",
            "+5",
            "1_000",
            "1e3",
            "5.0",
            "0.5",
            ".5",
            "inf",
            "nan",
            "infinity",
            "true",
            "TRUE",
            "Yes",
            "off",
            "1",
            "0",
            "t",
            "2026-01-31",
            "2026-01-31T08:00:00Z",
            "P1D",
            "12:30:00",
            "5fa0c17b-e94d-4286-9d0c-000000000000",
            "\u0663",
            "x" * 250,
            "a b\n",
            "\u00e9",
        ]
    ),
    st.text(max_size=5),
)
KEYS = st.sampled_from(["kind", "lives", "good", "value", "leaves", "1", "a", "x-1"])
VALUES = st.recursive(
    ATOMS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=6,
)
PETS = st.fixed_dictionaries(
    {"kind": st.sampled_from(["cat", "dog"])}, optional={"lives": ATOMS, "good": ATOMS}
)


@given(name=st.sampled_from(NAMES), value=VALUES | PETS)
def test_what_a_model_takes_is_not_refused(name: str, value: Any) -> None:
    try:
        Wide.model_validate({name: value})
    except ValidationError:
        return
    assert problems({name: value}, SCHEMA) == []


@pytest.mark.parametrize(
    ("payload", "field"),
    [
        ({"wholeNumber": "many"}, "wholeNumber"),
        ({"whole_number": []}, "whole_number"),
        ({"shortText": "ABC"}, "shortText"),
        ({"percent": 101}, "percent"),
        ({"above": 10}, "above"),
        ({"size": "m"}, "size"),
        ({"many": [1, "x"]}, "many[1]"),
        ({"pair": [1, 2]}, "pair[1]"),
        ({"counts": {"a": "x"}}, "counts.a"),
        ({"pet": {"kind": "dog", "good": True, "bad": 1}}, "pet.bad"),
        (
            {"tree": {"value": 1, "leaves": [{"value": 1, "leaves": [{}]}]}},
            "tree.leaves[0].leaves[0].value",
        ),
        ({"truth": "perhaps"}, "truth"),
    ],
)
def test_what_it_refuses_is_named_at_any_depth(payload: dict[str, Any], field: str) -> None:
    with pytest.raises(ValidationError):
        Wide.model_validate(payload)
    assert [place for place, _ in problems(payload, SCHEMA)] == [field]
