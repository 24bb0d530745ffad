"""Objects of timm and torchvision themselves, of every supported architecture, where they are installed."""

import unittest

import numpy as np

import archaeo
from archaeo import _images, _torch

try:
    import timm
    import torch
    import torchvision
except ImportError as error:
    raise unittest.SkipTest(f"NOT CHECKED against timm and torchvision: {error}") from error

from support import close, normalised

archaeo.configure(progress=False)

#: Small models: the name in timm, and what differs.
TIMM = [
    ("vit_tiny_patch16_224", {}),
    ("vit_small_patch16_224", dict(depth=2, num_classes=7)),
    ("vit_tiny_patch16_224", dict(img_size=64, patch_size=8, embed_dim=48, depth=2, num_heads=4, global_pool="avg", num_classes=3)),
    ("vit_tiny_patch16_224", dict(depth=2, global_pool="avg", fc_norm=False)),
    ("vit_small_patch14_dinov2", dict(depth=2, img_size=98, num_classes=6)),
    ("vit_small_patch14_reg4_dinov2", dict(depth=2, img_size=98, num_classes=6)),
    ("vit_base_patch32_clip_quickgelu_224", dict(depth=2)),
    ("deit_tiny_distilled_patch16_224", dict(depth=2)),
    ("beit_base_patch16_224", dict(depth=2)),
    ("swin_tiny_patch4_window7_224", dict(depths=(2, 2, 2, 2))),
    ("efficientvit_m0", {}),
    ("resnet18", {}),
    ("resnet50", dict(num_classes=11)),
]


def prepared(model: "archaeo.Model") -> "torch.Tensor":
    return torch.rand(2, 3, model.image_size, model.image_size, generator=torch.Generator().manual_seed(0))


class Timm(unittest.TestCase):
    def test_logits_are_timms(self) -> None:
        for name, sizes in TIMM:
            with self.subTest(name, **sizes):
                torch.manual_seed(1)
                module = timm.create_model(name, **sizes).eval()
                model = archaeo.Model.from_torch(module)
                images = prepared(model)
                with torch.no_grad():
                    close(self, model(images), module(normalised(model, images)))

    def test_attention_is_timms(self) -> None:
        torch.manual_seed(1)
        module = timm.create_model("vit_tiny_patch16_224").eval()
        for block in module.blocks:
            block.attn.fused_attn = False
        kept = []
        hooks = [block.attn.attn_drop.register_forward_hook(lambda _, __, weights: kept.append(weights)) for block in module.blocks]
        model = archaeo.Model.from_torch(module)
        images = prepared(model)
        with torch.no_grad():
            module(normalised(model, images))
        for hook in hooks:
            hook.remove()
        close(self, model.attention(images), torch.stack(kept, 1))

    def test_preprocessing_is_the_configurations(self) -> None:
        module = timm.create_model("vit_small_patch16_224", depth=1, pretrained_cfg_overlay=dict(crop_pct=0.8, interpolation="bilinear", mean=(0.1, 0.2, 0.3)))
        found = archaeo.Model.from_torch(module).info["preprocessing"]
        self.assertEqual((found["crop"], found["interpolation"]), (0.8, "bilinear"))
        np.testing.assert_allclose(found["mean"], (0.1, 0.2, 0.3))

    def test_pictures_are_prepared_as_timm_prepares_them(self) -> None:
        from PIL import Image

        module = timm.create_model("vit_tiny_patch16_224", depth=1).eval()
        cfg = timm.data.resolve_data_config({}, model=module)
        transform = timm.data.create_transform(**cfg)
        picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (300, 400, 3), dtype=np.uint8))
        model = archaeo.Model.from_torch(module)
        own = normalised(model, torch.from_numpy(model.prepare(picture)))
        self.assertLessEqual((own[0] - transform(picture)).abs().max().item(), 2.1 / 255 / 0.5)

    def test_other_activations_and_poolings_are_refused(self) -> None:
        for sizes, sentence in ((dict(act_layer="relu"), "GELU or QuickGELU"), (dict(global_pool="map"), "pools by 'map'"), (dict(qk_norm=True), "normalises queries and keys")):
            with self.subTest(sentence), self.assertRaisesRegex(ValueError, sentence):
                archaeo.Model.from_torch(timm.create_model("vit_tiny_patch16_224", depth=1, **sizes))
        with self.assertRaisesRegex(ValueError, "not supported"):
            archaeo.Model.from_torch(timm.create_model("convnext_atto"))

    def test_half_precision_is_widened_and_wrappers_are_looked_through(self) -> None:
        torch.manual_seed(1)
        module = timm.create_model("vit_tiny_patch16_224", depth=1).eval()
        whole = archaeo.Model.from_torch(torch.nn.DataParallel(module))
        images = prepared(whole)
        with torch.no_grad():
            close(self, whole(images), module(normalised(whole, images)))
            half = archaeo.Model.from_torch(module.to(torch.bfloat16))
            close(self, half(images), module.float()(normalised(whole, images)))


class Torchvision(unittest.TestCase):
    def test_logits_are_torchvisions(self) -> None:
        for name in ("vit_b_16", "resnet18", "swin_t", "swin_b"):
            with self.subTest(name):
                torch.manual_seed(1)
                module = getattr(torchvision.models, name)().eval()
                if name == "vit_b_16":
                    torch.nn.init.normal_(module.heads.head.weight, std=0.1)
                model = archaeo.Model.from_torch(module)
                images = prepared(model)
                with torch.no_grad():
                    close(self, model(images), module(normalised(model, images)))


class Tensors(unittest.TestCase):
    def test_a_tensor_is_taken_where_it_is(self) -> None:
        tensor = torch.rand(2, 3, 32, 32)
        self.assertEqual(_images.as_array(tensor).ctypes.data, tensor.data_ptr())
        self.assertEqual(_images.as_array(tensor.requires_grad_()).ctypes.data, tensor.data_ptr())
        self.assertEqual(_images.as_array(tensor.detach().to(torch.bfloat16)).dtype, np.float32)

    def test_weights_are_views_of_the_module(self) -> None:
        module = timm.create_model("vit_tiny_patch16_224", depth=1)
        arrays = _torch.read(module).arrays
        for name, tensor in module.state_dict().items():
            self.assertEqual(arrays[name].ctypes.data, tensor.data_ptr())

    def test_a_tensor_elsewhere_is_refused(self) -> None:
        with self.assertRaisesRegex(ValueError, "move it to the CPU"):
            _images.as_array(torch.rand(2, device="meta"))
        with self.assertRaisesRegex(ValueError, "has no values"):
            with torch.device("meta"):
                module = timm.create_model("vit_tiny_patch16_224", depth=1)
            archaeo.Model.from_torch(module)


if __name__ == "__main__":
    unittest.main()
