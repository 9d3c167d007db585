"""Graph attention, heterogeneous stacking graph attention (HS-GAL) and graph pooling.

Jung et al., 2022, section 3.
"""
import torch
from torch import Tensor, nn
from torch.nn import functional as F


def _attention_vector(features: int) -> nn.Parameter:
    vector = nn.Parameter(torch.empty(features, 1))
    nn.init.xavier_normal_(vector)
    return vector


def _pairwise(nodes: Tensor) -> Tensor:
    """(B, N, C) → (B, N, N, C): the product of every pair of nodes."""
    return nodes.unsqueeze(2) * nodes.unsqueeze(1)


def _normalise(nodes: Tensor, bn: nn.BatchNorm1d) -> Tensor:
    """Batch norm over all nodes of all graphs, then SELU."""
    return F.selu(bn(nodes.flatten(0, 1)).view_as(nodes))


class GraphAttentionLayer(nn.Module):
    """Attention over the fully connected graph of nodes: (B, N, in_dim) → (B, N, out_dim)."""

    def __init__(self, in_dim: int, out_dim: int, temperature: float):
        super().__init__()
        self.att_proj = nn.Linear(in_dim, out_dim)
        self.att_weight = _attention_vector(out_dim)
        self.proj_with_att = nn.Linear(in_dim, out_dim)
        self.proj_without_att = nn.Linear(in_dim, out_dim)
        self.bn = nn.BatchNorm1d(out_dim)
        self.input_drop = nn.Dropout(p=0.2)
        self.temperature = temperature

    def forward(self, nodes: Tensor) -> Tensor:
        nodes = self.input_drop(nodes)
        attention = torch.tanh(self.att_proj(_pairwise(nodes))) @ self.att_weight / self.temperature
        attention = torch.softmax(attention.squeeze(-1), dim=-1)
        projected = self.proj_with_att(attention @ nodes) + self.proj_without_att(nodes)
        return _normalise(projected, self.bn)


class HeterogeneousGraphAttentionLayer(nn.Module):
    """Attention over temporal and spectral nodes together.

    A master ("stack") node attends to all of them.
    """

    def __init__(self, in_dim: int, out_dim: int, temperature: float):
        super().__init__()
        self.proj_type1 = nn.Linear(in_dim, in_dim)
        self.proj_type2 = nn.Linear(in_dim, in_dim)
        self.att_proj = nn.Linear(in_dim, out_dim)
        self.att_projM = nn.Linear(in_dim, out_dim)
        self.att_weight11 = _attention_vector(out_dim)
        self.att_weight22 = _attention_vector(out_dim)
        self.att_weight12 = _attention_vector(out_dim)
        self.att_weightM = _attention_vector(out_dim)
        self.proj_with_att = nn.Linear(in_dim, out_dim)
        self.proj_without_att = nn.Linear(in_dim, out_dim)
        self.proj_with_attM = nn.Linear(in_dim, out_dim)
        self.proj_without_attM = nn.Linear(in_dim, out_dim)
        self.bn = nn.BatchNorm1d(out_dim)
        self.input_drop = nn.Dropout(p=0.2)
        self.temperature = temperature

    def forward(self, temporal: Tensor, spectral: Tensor,
                master: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Temporal (B, N1, in), spectral (B, N2, in), master (1 or B, 1, in) → the same three.

        Their last axis becomes `out_dim`.
        """
        n1 = temporal.size(1)
        nodes = torch.cat([self.proj_type1(temporal), self.proj_type2(spectral)], dim=1)
        nodes = self.input_drop(nodes)
        attention = self._attention(nodes, n1)
        new_master = self._update_master(nodes, master)
        projected = self.proj_with_att(attention @ nodes) + self.proj_without_att(nodes)
        nodes = _normalise(projected, self.bn)
        return nodes[:, :n1], nodes[:, n1:], new_master

    def _attention(self, nodes: Tensor, n1: int) -> Tensor:
        """(B, N, N) attention map; pairs of equal and of different kinds have separate weights."""
        pairs = torch.tanh(self.att_proj(_pairwise(nodes)))
        top = torch.cat([pairs[:, :n1, :n1] @ self.att_weight11,
                         pairs[:, :n1, n1:] @ self.att_weight12], dim=2)
        low = torch.cat([pairs[:, n1:, :n1] @ self.att_weight12,
                         pairs[:, n1:, n1:] @ self.att_weight22], dim=2)
        attention = torch.cat([top, low], dim=1).squeeze(-1)
        return torch.softmax(attention / self.temperature, dim=-1)

    def _update_master(self, nodes: Tensor, master: Tensor) -> Tensor:
        attention = torch.tanh(self.att_projM(nodes * master)) @ self.att_weightM
        attention = torch.softmax(attention / self.temperature, dim=1)
        gathered = attention.transpose(1, 2) @ nodes
        return self.proj_with_attM(gathered) + self.proj_without_attM(master)


class GraphPool(nn.Module):
    """Keep the share `ratio` of the nodes with the highest learned scores.

    They come in the order of their scores, each weighted by its score.
    """

    def __init__(self, ratio: float, dim: int):
        super().__init__()
        self.proj = nn.Linear(dim, 1)
        self.drop = nn.Dropout(p=0.3)
        self.ratio = ratio

    def forward(self, nodes: Tensor) -> Tensor:
        # dropout affects only the score, not the nodes
        scores = torch.sigmoid(self.proj(self.drop(nodes)))
        keep = max(int(nodes.size(1) * self.ratio), 1)
        index = scores.topk(keep, dim=1).indices
        return (nodes * scores).gather(1, index.expand(-1, -1, nodes.size(2)))
