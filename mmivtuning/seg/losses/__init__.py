"""Losses that mmseg lacks."""

from .saliency_loss import SaliencyLoss

__all__ = ['SaliencyLoss']
