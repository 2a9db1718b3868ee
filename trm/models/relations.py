"""The mixer `relations`: a cell reads from the cells that its task relates to it, with weights shared by all cells."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from trm.errors import BadInput
from trm.models.config import MOST_WEIGHTS, ModelConfig
from trm.models.kernels.fused import add_norm, gated
from trm.models.layers import Linear
from trm.tasks.base import Groups, Offsets, Spec, lines

AROUND: Offsets = tuple((y, x) for y in (-1, 0, 1) for x in (-1, 0, 1) if (y, x) != (0, 0))
MOST_MEMBERS = 50_000_000  # cells times groups and neighbours; the matrices of them are dense


class RelationsMixer(nn.Module):
    """Gated features of a cell, of the cells at fixed offsets from it, of its groups, and of the whole board.

    [batch, cells, width] -> same. Each offset, each kind of groups, the cell itself and the board have a map of their
    own. Of a group and of the board a cell reads the sum, divided by the root of their size. Weights do not depend on
    the board's size. Where a task declares neither groups nor offsets, these are its rows, its columns and the eight
    cells around each.
    """

    index: Tensor  # [cells, offsets], the number of the cell there; `cells` beyond the edge

    def __init__(self, config: ModelConfig, spec: Spec) -> None:
        super().__init__()
        kinds, offsets = (*spec.groups, *spec.related), spec.offsets
        if not kinds and not offsets:
            kinds, offsets = lines(spec.height, spec.width), AROUND
        count = sum(map(len, kinds))
        if (count + len(offsets)) * spec.cells > MOST_MEMBERS:
            what = f"{count:,} groups and {len(offsets):,} neighbours on {spec.cells:,} cells"
            raise BadInput(f"mixer 'relations': {what} are too many")
        self.kinds, self.offsets = len(kinds), len(offsets)
        if (2 + self.kinds + self.offsets) * config.width**2 > MOST_WEIGHTS:
            raise BadInput(f"mixer 'relations' would have more than {MOST_WEIGHTS:,} weights; set a smaller width")
        self.w_features = Linear(config.width, 2 * config.width)
        self.w_related = Linear((2 + self.kinds + self.offsets) * config.width, config.width)
        here = torch.empty(0).device  # "meta" when costs are counted
        with torch.device("cpu"):
            index = neighbours(spec, offsets)
            members = [membership(kind, spec.cells) for kind in kinds]
        self.register_buffer("index", index.to(here), persistent=False)
        for number, member in enumerate(members):
            self.register_buffer(f"member{number}", member.to(here), persistent=False)

    def forward(self, h: Tensor) -> Tensor:
        batch, cells, width = h.shape
        features = gated(h, self.w_features.weight)
        whole = features.sum(1, keepdim=True) / cells**0.5
        parts = [features, whole.expand_as(features)]
        if self.offsets:
            padded = F.pad(features, (0, 0, 0, 1))  # a cell of zeros beyond the edge
            parts.append(padded[:, self.index.reshape(-1)].view(batch, cells, self.offsets * width))
        for number in range(self.kinds):
            member = getattr(self, f"member{number}").to(features.dtype).expand(batch, -1, -1)
            parts.append(torch.bmm(member.mT, torch.bmm(member, features)))
        return add_norm(h, self.w_related(torch.cat(parts, dim=-1)))


def neighbours(spec: Spec, offsets: Offsets) -> Tensor:
    """[cells, offsets], the number of the cell at each offset from each cell; `spec.cells` beyond the edge."""
    rows = torch.arange(spec.height).view(-1, 1, 1)
    columns = torch.arange(spec.width).view(1, -1, 1)
    down, across = torch.tensor(offsets, dtype=torch.long).reshape(-1, 2).unbind(1)
    y, x = rows + down, columns + across
    inside = (y >= 0) & (y < spec.height) & (x >= 0) & (x < spec.width)
    found = (y % spec.height) * spec.width + x % spec.width
    return (found if spec.wrap else found.where(inside, spec.cells)).reshape(spec.cells, len(offsets))


def membership(kind: Groups, cells: int) -> Tensor:
    """[groups, cells]: where a cell belongs to a group, one divided by the fourth root of the group's size, so that the
    sum that a cell reads is divided by the square root.
    """
    member = torch.zeros(len(kind), cells)
    for row, group in enumerate(kind):
        member[row, list(group)] = len(group) ** -0.25
    return member
