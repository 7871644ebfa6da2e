"""The types of ``task.add`` and ``task.add_many``, derived from the task's function.

Nothing here runs. mypy cannot match a method's ``self`` against ``Concatenate``, so both are
declared as descriptors, which see the task's function.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, Concatenate, Protocol, Self, TypedDict, TypeVar, Unpack, overload

from hsejobs.handle import Job

Payload = TypeVar("Payload")
_In = TypeVar("_In", contravariant=True)
R = TypeVar("R", covariant=True)
_Out = TypeVar("_Out")


class _Model(Protocol):
    @classmethod
    def model_validate(cls, obj: Any, /) -> Self: ...


Model = TypeVar("Model", bound=_Model)


class AddManyKeywords(TypedDict, total=False):
    """Options of ``add_many`` and ``add``; ``delay``, ``backoff`` and ``timeout`` in seconds."""

    organization_id: str | None
    user_id: str | None
    priority: int | None
    delay: float | None
    attempts: int | None
    backoff: float | None
    timeout: float | None


class AddKeywords(AddManyKeywords, total=False):
    job_id: str | None


class Add(Protocol[_In, R]):
    """``add`` of a task that needs a payload."""

    def __call__(self, payload: _In, **options: Unpack[AddKeywords]) -> Job[R]: ...


class AddAny(Protocol[_In, R]):
    """``add`` of a task whose payload may be left out: it is then ``{}``."""

    def __call__(self, payload: _In = ..., **options: Unpack[AddKeywords]) -> Job[R]: ...


class AddMany(Protocol[_In, _Out]):
    def __call__(
        self,
        items: Iterable[_In],
        *,
        ids: Iterable[str] | None = None,
        **options: Unpack[AddManyKeywords],
    ) -> list[Job[_Out]]: ...


class _Takes(Protocol[_In, R]):
    """A task whose function takes a payload."""

    @property
    def func(self) -> Callable[Concatenate[_In, ...], R]: ...


class _TakesNothing(Protocol[R]):
    """A task whose function can be called without arguments."""

    @property
    def func(self) -> Callable[[], R]: ...


class Adding:
    """``task.add``. Instead of a model, the payload may be a mapping, which is checked at run time."""

    @overload
    def __get__(
        self, task: _Takes[Model, R], owner: Any
    ) -> AddAny[Model | Mapping[str, Any] | None, R]: ...
    @overload
    def __get__(self, task: _Takes[Payload, R], owner: Any) -> Add[Payload, R]: ...
    @overload
    def __get__(
        self, task: _TakesNothing[R], owner: Any
    ) -> AddAny[Mapping[str, Any] | None, R]: ...
    def __get__(self, task: Any, owner: Any) -> Any:
        raise NotImplementedError


class AddingMany:
    @overload
    def __get__(
        self, task: _Takes[Model, _Out], owner: Any
    ) -> AddMany[Model | Mapping[str, Any] | None, _Out]: ...
    @overload
    def __get__(self, task: _Takes[Payload, _Out], owner: Any) -> AddMany[Payload, _Out]: ...
    @overload
    def __get__(
        self, task: _TakesNothing[_Out], owner: Any
    ) -> AddMany[Mapping[str, Any] | None, _Out]: ...
    def __get__(self, task: Any, owner: Any) -> Any:
        raise NotImplementedError
