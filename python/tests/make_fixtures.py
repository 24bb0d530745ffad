"""Writes `fixtures/timm.npz`: small models of timm, what they hold, and what timm answers.

    python python/tests/make_fixtures.py        # needs torch and timm

For every model: its arrays (`NAME/state/ARRAY`), images, logits, features and attention weights of every layer, in double precision, rounded
to 32 bits. `fixtures/timm.json` has what an object of timm says besides: its class, heads, epsilon, pooling, `pretrained_cfg`.
"""

import json
import pathlib

import numpy as np
import timm
import torch

FOLDER = pathlib.Path(__file__).parent / "fixtures"

MODELS = {
    "vit": ("vit_tiny_patch16_224", dict(img_size=32, patch_size=8, embed_dim=24, depth=3, num_heads=3, num_classes=5)),
    "registers": (
        "vit_tiny_patch16_224",
        dict(img_size=32, patch_size=8, embed_dim=16, depth=2, num_heads=2, num_classes=4, reg_tokens=2, no_embed_class=True, global_pool="avg", fc_norm=False),
    ),
}


def attention_of(model, images):
    maps = []

    def keep(module, inputs, _):
        (x,) = inputs
        n, tokens, width = x.shape
        q, k, _ = module.qkv(x).reshape(n, tokens, 3, module.num_heads, width // module.num_heads).permute(2, 0, 3, 1, 4)
        maps.append((q @ k.transpose(-2, -1) * module.scale).softmax(-1))

    hooks = [block.attn.register_forward_hook(keep) for block in model.blocks]
    model(images)
    for hook in hooks:
        hook.remove()
    return torch.stack(maps, 1)


def main():
    arrays, said = {}, {}
    for name, (architecture, sizes) in MODELS.items():
        torch.manual_seed(7)
        model = timm.create_model(architecture, **sizes).eval()
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
        state = {key: value.clone() for key, value in model.state_dict().items()}
        images = torch.rand(3, 3, sizes["img_size"], sizes["img_size"])
        cfg = model.pretrained_cfg
        mean, std = (torch.tensor(cfg[key]).view(1, 3, 1, 1).double() for key in ("mean", "std"))
        model = model.double()
        with torch.no_grad():
            normalised = (images.double() - mean) / std
            found = {
                "images": images,
                "logits": model(normalised),
                "features": model.forward_head(model.forward_features(normalised), pre_logits=True),
                "attention": attention_of(model, normalised),
            }
        arrays |= {f"{name}/{key}": value.float().numpy() for key, value in found.items()}
        arrays |= {f"{name}/state/{key}": value.numpy() for key, value in state.items()}
        said[name] = {
            "class": type(model).__name__,
            "num_heads": model.blocks[0].attn.num_heads,
            "eps": model.blocks[0].norm1.eps,
            "global_pool": model.global_pool,
            "pretrained_cfg": {key: cfg[key] for key in ("architecture", "mean", "std", "interpolation", "crop_pct", "input_size")},
        }
    np.savez_compressed(FOLDER / "timm.npz", **arrays)
    (FOLDER / "timm.json").write_text(json.dumps(said, indent=1) + "\n")


if __name__ == "__main__":
    main()
