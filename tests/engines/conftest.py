"""Triton's interpreter takes the place of a GPU where there is none."""

import os

import torch

if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"  # read where Triton is imported first
