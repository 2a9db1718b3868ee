"""The family of ARC-AGI's benchmarks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trm.errors import BadInput
from trm.tasks.arc.sets import ArcSet, arc_set
from trm.tasks.arc.task import Arc, ArcPuzzles, evaluation_pairs, training_pairs
from trm.tasks.arc.text import VERSIONS
from trm.tasks.base import Part, Puzzles, Task
from trm.tasks.family import DataSettings, Family

if TYPE_CHECKING:
    from trm.tasks.sampler import Sampler


class ArcFamily(Family):
    name = "arc"
    votes = True

    def task_names(self) -> tuple[str, ...]:
        return tuple(VERSIONS)

    def task(self, name: str) -> Task:
        return Arc(name)

    def load_puzzles(self, task: Task, source: str, part: Part) -> Puzzles:
        sets = arc_set(task.spec.name, source)
        return training_pairs(sets.tasks) if part == "train" else evaluation_pairs(sets.answered(), sets.tasks)

    def training_set(self, task: Task, settings: DataSettings) -> Puzzles:
        from trm.tasks.arc.training import embeddings_each

        if settings.limit:
            raise BadInput("limit is not for ARC, whose pairs belong to tasks: leave it at 0")
        if settings.reveal.share:
            raise BadInput("reveal is not for ARC, whose answers have sizes of their own: --set reveal.share=0")
        sets = self.set_of(task, settings)
        remarks = tuple(f"{task.spec.name}: {line}" for line in sets.remarks(settings.arc.keep_leaks))
        return training_pairs(sets.tasks, embeddings_each(settings) - 1, remarks)

    def held_out(self, task: Task, settings: DataSettings) -> Puzzles:
        """The tests of the evaluation tasks."""
        from trm.tasks.arc.training import embeddings_each

        sets = self.set_of(task, settings)
        if not sets.answered():
            missing = f"no test answer in {settings.data} is known, so training cannot be checked"
            raise BadInput(f"{missing}: --set check_every=0")
        return evaluation_pairs(sets.answered(), sets.tasks, embeddings_each(settings) - 1)

    def sampler(self, task: Task, puzzles: Puzzles, settings: DataSettings) -> Sampler:
        """See `Family.sampler`. Raises BadInput if the model's table of puzzle embeddings has the wrong size."""
        from trm.tasks.arc.training import sampler_of

        assert isinstance(puzzles, ArcPuzzles)
        return sampler_of(puzzles, settings)

    def set_of(self, task: Task, settings: DataSettings) -> ArcSet:
        return arc_set(task.spec.name, settings.data, settings.arc.extra, settings.arc.keep_leaks)


FAMILY = ArcFamily()
