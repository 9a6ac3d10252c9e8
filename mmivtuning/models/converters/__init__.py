"""Converters of published weights into mmpretrain checkpoints."""
