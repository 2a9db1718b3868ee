"""The base of typed settings. They are frozen, and no way of making them skips validation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, ValidationError, model_validator

from trm.errors import BadInput
from trm.numbers import LARGEST, LARGEST_SEED, shown

if TYPE_CHECKING:
    from typing_extensions import Self


class Settings(BaseModel):
    """Frozen settings, equal and hashable by value. Unknown names, infinity, NaN and absurd numbers are refused.

    So is text that no JSON can hold: the name of a file whose bytes are not UTF-8.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    @model_validator(mode="after")
    def refuse_absurd_values(self) -> Self:
        for name, value in self:
            most = LARGEST_SEED if name == "seed" else LARGEST
            for part in value if isinstance(value, tuple) else (value,):
                if isinstance(part, int | float) and abs(part) > most:
                    raise ValueError(f"setting {name} must be at most {most} in size, not {shown(part)}")
                if isinstance(part, str) and part.encode("utf-8", "replace").decode() != part:
                    raise ValueError(f"setting {name} is not UTF-8 text: {shown(part)}; rename the file")
        return self

    @classmethod
    def validated(cls, values: Mapping[str, Any]) -> Self:
        """Settings from plain values, such as those of a file. Raises BadInput, one line that says what is wrong."""
        try:
            return cls.model_validate(values)
        except ValidationError as error:
            raise BadInput(explain(error)) from None

    def changed(self, **values: Any) -> Self:
        """These settings with `values` in place of their own, checked as a whole. Raises BadInput as `validated`.

        Use it instead of pydantic's `model_copy`, which checks nothing.
        """
        return self.validated({**dict(self), **values})


def explain(error: ValidationError) -> str:
    """The first error in one line, with the setting's name, except where a rule about several settings names them."""
    first = error.errors()[0]
    own_rule = first["type"] == "value_error"  # raised by a validator of ours
    reason = str(first["ctx"]["error"]) if own_rule else first["msg"].lower()
    single = isinstance(first["input"], str | int | float | bool | None)
    if own_rule and not single:
        return reason
    name = "setting " + ".".join(map(str, first["loc"]))
    return f"{name}={shown(first['input'])}: {reason}" if single else f"{name}: {reason}"
