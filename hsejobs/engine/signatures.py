"""What a type checker knows of ``task.add`` and ``task.add_many``, from the task's own function.

Nothing here runs. A method's ``self`` cannot be matched against ``Concatenate`` (mypy gives up),
so both are declared as descriptors, which see the function that the task was made of.
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
    """A pydantic model."""

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
    """Options of ``add``."""

    job_id: str | None


class Add(Protocol[_In, R]):
    """``add`` of a task that needs a payload."""

    def __call__(self, payload: _In, **options: Unpack[AddKeywords]) -> Job[R]: ...


class AddAny(Protocol[_In, R]):
    """``add`` of a task whose payload may be left out, which is ``{}``."""

    def __call__(self, payload: _In = ..., **options: Unpack[AddKeywords]) -> Job[R]: ...


class AddMany(Protocol[_In, _Out]):
    """``add_many``."""

    def __call__(
        self,
        items: Iterable[_In],
        *,
        ids: Iterable[str] | None = None,
        **options: Unpack[AddManyKeywords],
    ) -> list[Job[_Out]]: ...


class _Takes(Protocol[_In, R]):
    """A task whose function has a first parameter."""

    @property
    def func(self) -> Callable[Concatenate[_In, ...], R]: ...


class _TakesNothing(Protocol[R]):
    """A task whose function can be called without any."""

    @property
    def func(self) -> Callable[[], R]: ...


class Adding:
    """``task.add``. A model's payload may also be a mapping, which is checked where it is added."""

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
    """``task.add_many``."""

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
