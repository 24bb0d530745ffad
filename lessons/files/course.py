"""What the notebooks share: the command `archaeo`, arrays of a .safetensors file, and a Vision Transformer in plain numpy."""

import json
import math
import os
import subprocess

import numpy as np


def run(*words):
    """What `archaeo WORDS` prints. The variable ARCHAEO names another program."""
    command = [os.environ.get("ARCHAEO", "archaeo"), *map(str, words), "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(done.stderr.strip())
    return done.stdout


def archaeo(*words):
    """What `archaeo WORDS --json` finds."""
    return json.loads(run(*words, "--json"))


def numbers(k, shape):
    """The numbers that exercises are about: sin(k · i²) for i = 1, 2, …, in rows."""
    return np.sin(k * (1.0 + np.arange(np.prod(shape))) ** 2).reshape(shape)


def read_safetensors(path):
    """Its arrays by name. The file is the length of a JSON header, the header, and the values."""
    with open(path, "rb") as file:
        header = json.loads(file.read(int.from_bytes(file.read(8), "little")))
        data = file.read()
    types = {"F32": "<f4", "I64": "<i8"}
    return {
        name: np.frombuffer(data[slice(*entry["data_offsets"])], types[entry["dtype"]]).reshape(entry["shape"])
        for name, entry in header.items()
        if name != "__metadata__"
    }


def softmax(scores):
    shifted = np.exp(scores - scores.max(-1, keepdims=True))
    return shifted / shifted.sum(-1, keepdims=True)


def layer_norm(x, weight, bias, epsilon=1e-6):
    centred = x - x.mean(-1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + epsilon) * weight + bias


def gelu(x):
    return 0.5 * x * (1 + np.vectorize(math.erf, otypes=[float])(x / math.sqrt(2)))


def patches(images, size):
    """(n, height, width, channels) → (n, patches, channels · size · size), row by row, each with its channels first."""
    n, height, width, channels = images.shape
    x = images.reshape(n, height // size, size, width // size, size, channels)
    return x.transpose(0, 1, 3, 5, 2, 4).reshape(n, -1, channels * size * size)


def sine_positions(side, width):
    """(side², width): sines and cosines of the row in the first half, of the column in the second."""
    frequencies = 10_000.0 ** (-np.arange(width // 4) / (width // 4))
    row, column = np.divmod(np.arange(side * side), side)
    angles = [place[:, None] * frequencies for place in (row, column)]
    return np.concatenate([wave(angle) for angle in angles for wave in (np.sin, np.cos)], axis=1)


class VisionTransformer:
    """The small ViT that comes with the lesson, in float64."""

    def __init__(self, path="models/vit.safetensors", heads=3):
        self.arrays = {name: array.astype(float) for name, array in read_safetensors(path).items()}
        self.heads = heads
        self.depth = sum(name.endswith(".norm1.weight") for name in self.arrays)

    def linear(self, x, name):
        return x @ self.arrays[f"{name}.weight"].T + self.arrays[f"{name}.bias"]

    def norm(self, x, name):
        return layer_norm(x, self.arrays[f"{name}.weight"], self.arrays[f"{name}.bias"])

    def embed(self, images):
        """(n, 32, 32, 3) in [0, 1] → (n, 65, 96): the class token, then 8 × 8 patches with their positions."""
        kernel = self.arrays["patch_embed.proj.weight"]
        width, _, size, _ = kernel.shape
        x = patches((images - 0.5) / 0.5, size) @ kernel.reshape(width, -1).T + self.arrays["patch_embed.proj.bias"]
        x = x + sine_positions(math.isqrt(x.shape[1]), width)
        return np.concatenate([np.broadcast_to(self.arrays["cls_token"], (len(x), 1, width)), x], axis=1)

    def __call__(self, images, attention):
        """Logits (n, 10), and the attention weights of each layer (n, heads, 65, 65).

        `attention(query, key, value)` takes three arrays (n, heads, tokens, width of a head), and returns context and weights.
        """
        x, every = self.embed(images), []
        for block in range(self.depth):
            name = f"blocks.{block}"
            qkv = self.linear(self.norm(x, f"{name}.norm1"), f"{name}.attn.qkv")
            n, tokens, _ = qkv.shape
            query, key, value = qkv.reshape(n, tokens, 3, self.heads, -1).transpose(2, 0, 3, 1, 4)
            context, weights = attention(query, key, value)
            every.append(weights)
            x = x + self.linear(context.transpose(0, 2, 1, 3).reshape(n, tokens, -1), f"{name}.attn.proj")
            hidden = gelu(self.linear(self.norm(x, f"{name}.norm2"), f"{name}.mlp.fc1"))
            x = x + self.linear(hidden, f"{name}.mlp.fc2")
        return self.linear(self.norm(x, "norm")[:, 0], "head"), every
