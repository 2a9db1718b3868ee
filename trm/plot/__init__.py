"""Pictures: the trace of an answer as a plot or as an animation, and the accuracy of a model.

matplotlib (plots) and Pillow (animations) are imported when needed.
"""

from __future__ import annotations

from trm.plot.animations import animation, check_animation
from trm.plot.figures import COLOURS, accuracy, check, new_figure, plain, save
from trm.plot.steps import shown_steps
from trm.plot.traces import draw, trace

__all__ = [
    "COLOURS",
    "accuracy",
    "animation",
    "check",
    "check_animation",
    "draw",
    "new_figure",
    "plain",
    "save",
    "shown_steps",
    "trace",
]
