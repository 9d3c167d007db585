"""Graph attention, heterogeneous stacking graph attention (HS-GAL), pooling, and their read-out.

Jung et al., 2022, section 3.
"""
import torch
from torch import Tensor, nn
from torch.nn import functional as F

MASTER_TEMPERATURE = 100.0
ATTENTION_TEMPERATURE = 2.0


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


class GraphReadOut(nn.Module):
    """What follows the spectral and temporal nodes; a network adds the graphs to its own layers."""

    def add_graphs(self, n_spectral: int, width: int, gat_dims: list[int],
                   pool_ratios: list[float]) -> None:
        """Make the graph layers, for `n_spectral` spectral nodes of `width` numbers."""
        dim, hidden = gat_dims
        self.pos_S = nn.Parameter(torch.randn(1, n_spectral, width))
        self.master1 = nn.Parameter(torch.randn(1, 1, dim))
        self.master2 = nn.Parameter(torch.randn(1, 1, dim))
        self.GAT_layer_S = GraphAttentionLayer(width, dim, ATTENTION_TEMPERATURE)
        self.GAT_layer_T = GraphAttentionLayer(width, dim, ATTENTION_TEMPERATURE)
        self.pool_S = GraphPool(pool_ratios[0], dim)
        self.pool_T = GraphPool(pool_ratios[1], dim)
        for branch in "12":
            self.add_module(f"HtrgGAT_layer_ST{branch}1",
                            HeterogeneousGraphAttentionLayer(dim, hidden, MASTER_TEMPERATURE))
            self.add_module(f"HtrgGAT_layer_ST{branch}2",
                            HeterogeneousGraphAttentionLayer(hidden, hidden, MASTER_TEMPERATURE))
            self.add_module(f"pool_hS{branch}", GraphPool(pool_ratios[2], hidden))
            self.add_module(f"pool_hT{branch}", GraphPool(pool_ratios[2], hidden))
        self.drop_way = nn.Dropout(0.2)
        self.drop = nn.Dropout(0.5)
        self.out_layer = nn.Linear(5 * hidden, 2)

    def from_nodes(self, spectral: Tensor, temporal: Tensor) -> tuple[Tensor, Tensor]:
        """Spectral (B, N1, width) and temporal (B, N2, width) nodes -> (last_hidden, logits)."""
        spectral = self.pool_S(self.GAT_layer_S(spectral + self.pos_S))
        temporal = self.pool_T(self.GAT_layer_T(temporal))
        one, two = (self._branch(b, temporal, spectral) for b in "12")
        temporal, spectral, master = (torch.maximum(self.drop_way(a), self.drop_way(b))
                                      for a, b in zip(one, two))
        last_hidden = self.drop(torch.cat(
            [temporal.abs().amax(1), temporal.mean(1), spectral.abs().amax(1), spectral.mean(1),
             master.squeeze(1)], dim=1))
        # as published, training returns the layer after dropout
        return last_hidden, self.out_layer(last_hidden)

    def _branch(self, branch: str, temporal: Tensor,
                spectral: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """One of two branches: two stacked HS-GALs, a pooling between them, and a residual."""
        first, second = (getattr(self, f"HtrgGAT_layer_ST{branch}{i}") for i in "12")
        temporal, spectral, master = first(temporal, spectral, getattr(self, f"master{branch}"))
        spectral = getattr(self, f"pool_hS{branch}")(spectral)
        temporal = getattr(self, f"pool_hT{branch}")(temporal)
        temporal_more, spectral_more, master_more = second(temporal, spectral, master)
        return temporal + temporal_more, spectral + spectral_more, master + master_more
