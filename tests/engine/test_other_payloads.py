"""Payloads that another release wrote: what a task reads, and what becomes of the rest."""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Annotated, Any, Literal

import pytest
from pydantic import BaseModel, ConfigDict, Field

from hsejobs.engine import JobHuey, adding, payloads
from hsejobs.errors import InvalidPayload
from hsejobs.store.description import TaskInfo


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Cat(Strict):
    kind: Literal["cat"]
    name: str


class Dog(Strict):
    kind: Literal["dog"]
    #: A tag that is also the name of a field.
    dog: int = 0


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")
    a: int = 0


class Order(Strict):
    pet: Annotated[Cat | Dog, Field(discriminator="kind")]
    either: Cat | Dog | None = None
    pets: list[Cat] = []
    named: dict[str, Dog] = {}
    pairs: tuple[Cat, int] | None = None
    free: Open | None = None
    inner: Order | None = None
    ship_to: str = Field("", alias="shipTo")


huey = JobHuey("orders")


@huey.task()
def order(payload: Order) -> None:
    """Takes an order."""


CAT: dict[str, Any] = {"kind": "cat", "name": "Tom"}
DOG: dict[str, Any] = {"kind": "dog", "dog": 5}


@pytest.mark.parametrize(
    ("known", "extra"),
    [
        ({"pet": CAT}, {"later": 1}),
        ({"pet": CAT, "shipTo": "x"}, {"ship_too": "y"}),
        ({"pet": CAT}, {"pet": {**CAT, "later": {"a": 1}}}),
        ({"pet": DOG}, {"pet": {**DOG, "later": 1}}),
        ({"pet": CAT, "either": DOG}, {"either": {**DOG, "later": 1}}),
        ({"pet": CAT, "pets": [CAT]}, {"pets": [{**CAT, "later": 1}]}),
        ({"pet": CAT, "named": {"a": DOG}}, {"named": {"a": {**DOG, "later": 1}}}),
        ({"pet": CAT, "pairs": [CAT, 1]}, {"pairs": [{**CAT, "later": 1}, 1]}),
        ({"pet": CAT, "inner": {"pet": DOG}}, {"inner": {"pet": {**DOG, "x": 1}, "y": 2}}),
    ],
)
def test_fields_of_a_newer_release(known: dict[str, Any], extra: dict[str, Any]) -> None:
    sent = {**known, **extra}
    with pytest.raises(InvalidPayload):
        order.data_of(sent)
    assert order.model_of(sent) == order.model_of(known)


def test_a_model_that_allows_fields_gets_them_beside_others_that_do_not() -> None:
    read = order.model_of({"pet": CAT, "free": {"a": 1, "b": 2}, "later": 1})
    assert read.free.model_extra == {"b": 2}


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"pet": CAT, "shipTo": 5, "later": 1}, "shipTo"),
        ({"pet": {"kind": "cow"}, "later": 1}, "pet"),
        ({"later": 1}, "pet"),
        ([], "payload"),
    ],
)
def test_values_that_are_not_valid_still_are_not(wrong: Any, field: str) -> None:
    with pytest.raises(InvalidPayload) as caught:
        order.model_of(wrong)
    assert caught.value.field == field
    assert "later" not in str(caught.value)


class Invoice(Strict):
    number: int
    lines: list[str]


@huey.task()
def invoice(payload: Invoice) -> None:
    """Sends an invoice."""


@invoice.upgrade
def number_as_text(old: dict[str, Any]) -> dict[str, Any]:
    """Until 1.1 a number was a text with a mark."""
    return {**old, "number": int(old.pop("number").removeprefix("No. "))}


@invoice.upgrade
def lines_as_list(old: dict[str, Any]) -> dict[str, Any]:
    """Until 1.2 the lines were one text."""
    return {**old, "lines": old.pop("text").splitlines()}


@pytest.mark.parametrize(
    "old",
    [
        {"number": "No. 7", "text": "a\nb"},
        {"number": 7, "text": "a\nb"},
        {"number": 7, "text": "a\nb", "later": 1},
        {"number": 7, "lines": ["a", "b"]},
    ],
)
def test_each_older_release_finds_its_way(old: dict[str, Any]) -> None:
    before = dict(old)
    assert invoice.model_of(old) == Invoice(number=7, lines=["a", "b"])
    assert old == before, "the stored payload is not changed"


@pytest.mark.parametrize(
    ("old", "problem"),
    [
        ({"number": "hunter2", "text": "a"}, "the upgrade number_as_text failed: ValueError"),
        ({"number": "No. 7"}, "the upgrade lines_as_list failed: KeyError"),
    ],
)
def test_an_upgrade_that_fails_is_named_and_its_values_are_not(
    old: dict[str, Any], problem: str
) -> None:
    with pytest.raises(InvalidPayload, match=problem) as caught:
        invoice.model_of(old)
    assert "hunter2" not in str(caught.value)


def test_what_an_upgrade_returns_is_checked() -> None:
    huey = JobHuey("checked")

    @huey.task()
    def task(payload: Invoice) -> None:
        """Sends an invoice."""

    @task.upgrade
    def returns_nothing(old: dict[str, Any]) -> Any:
        return None if old.get("nothing") else {"number": "x", "lines": []}

    with pytest.raises(InvalidPayload, match="returns_nothing must return a dict"):
        task.model_of({"nothing": 1})
    with pytest.raises(InvalidPayload, match="even after the upgrade returns_nothing") as caught:
        task.model_of({})
    assert caught.value.problems[1][0] == "number"


def test_a_producer_with_older_code_goes_by_the_description() -> None:
    own = JobHuey("goods")

    @own.task()
    def ship(payload: Cat) -> None:
        """Ships it."""

    @ship.before_add
    def refuses_bad_names(cat: Cat) -> None:
        if cat.name == "bad":
            raise InvalidPayload("name", "is bad")

    info = own.describe()
    (task,) = info.tasks
    assert adding.target_beside(own, info, None, None) is ship.target
    assert task.schema is not None
    schema = copy.deepcopy(task.schema)
    schema["properties"]["pin"] = {"type": "integer"}
    info.tasks = [replace(task, schema=schema, secret=["pin"]), TaskInfo("x.fresh")]
    target = adding.target_beside(own, info, None, "a key")
    assert target.read({**CAT, "pin": 5}) == ({**CAT, "pin": 5}, "")
    assert target.seal is not None
    assert "$sealed" in str(target.seal({"pin": 5}))
    for wrong, field in (
        ({**CAT, "later": 1}, "later"),
        ({**CAT, "pin": "x"}, "pin"),
        ({"kind": "cat", "name": "bad", "pin": 5}, "name"),
        ({"kind": "cat", "pin": 5}, "name"),
    ):
        with pytest.raises(InvalidPayload) as caught:
            target.read(wrong)
        assert caught.value.field == field
    assert adding.target_beside(own, info, "fresh", None).name == "x.fresh"


class Own(BaseModel):
    """A model whose methods are its own: they are asked."""

    day: str

    @classmethod
    def model_validate(cls, obj: Any, **options: Any) -> Any:
        return super().model_validate({"day": str(obj["day"]).strip()}, **options)

    def model_dump(self, **options: Any) -> dict[str, Any]:
        return {**super().model_dump(**options), "checked": True}


def test_the_stored_form_is_what_the_model_writes() -> None:
    order = {"pet": {"kind": "dog", "dog": "3"}, "shipTo": "here"}
    instance, data = payloads.validate(Order, order)
    assert data == {"pet": {"kind": "dog", "dog": 3}, "shipTo": "here"}
    assert data == payloads.stored(instance)
    assert instance == Order.model_validate(order)
    instance, data = payloads.validate(Own, {"day": " Monday "})
    assert (instance.day, data) == ("Monday", {"day": "Monday", "checked": True})
