"""Objects of Hugging Face transformers, of every class that is read, where it is installed; weights are random, so nothing is downloaded."""

import pathlib
import tempfile
import unittest

import numpy as np

import archaeo

try:
    import torch
    import transformers
except ImportError as error:
    raise unittest.SkipTest(f"NOT CHECKED against transformers: {error}") from error

from support import close, normalised

archaeo.configure(progress=False)

#: Sizes that ViTs, DeiTs and BEiTs share.
TOKENS = dict(hidden_size=48, num_hidden_layers=2, num_attention_heads=4, intermediate_size=96, image_size=32, patch_size=8)

#: DINOv2 says its MLP by a ratio.
DINOV2 = {key: value for key, value in TOKENS.items() if key != "intermediate_size"} | dict(mlp_ratio=2)

#: Small models with heads: the class, the class of its configuration, and its sizes.
CLASSIFIERS = [
    ("ViTForImageClassification", "ViTConfig", TOKENS),
    ("ViTForImageClassification", "ViTConfig", TOKENS | dict(layer_norm_eps=1e-5, hidden_act="quick_gelu")),
    ("DeiTForImageClassification", "DeiTConfig", TOKENS),
    ("DeiTForImageClassificationWithTeacher", "DeiTConfig", TOKENS),
    ("BeitForImageClassification", "BeitConfig", TOKENS | dict(use_relative_position_bias=True, layer_scale_init_value=0.1)),
    ("SwinForImageClassification", "SwinConfig", dict(image_size=32, patch_size=2, embed_dim=24, depths=[2, 2], num_heads=[2, 4], window_size=4)),
    ("Dinov2ForImageClassification", "Dinov2Config", DINOV2),
    ("Dinov2WithRegistersForImageClassification", "Dinov2WithRegistersConfig", DINOV2 | dict(num_register_tokens=4)),
    ("ResNetForImageClassification", "ResNetConfig", dict(embedding_size=16, hidden_sizes=[16, 32, 64, 128], depths=[1, 1, 1, 1], layer_type="basic")),
    ("ResNetForImageClassification", "ResNetConfig", dict(embedding_size=16, hidden_sizes=[64, 128, 256, 512], depths=[1, 2, 1, 1])),
]


def built(kind: str, config: str, **sizes: object) -> "torch.nn.Module":
    """An object whose biases, scales and statistics are random, too: as they begin, they would hide that one is not read."""
    torch.manual_seed(1)
    module = getattr(transformers, kind)(getattr(transformers, config)(**sizes)).eval()
    for name, tensor in module.state_dict().items():
        if tensor.is_floating_point() and tensor.ndim <= 1:
            tensor.copy_(torch.rand(tensor.shape) * 0.5 + (0.75 if name.endswith(("weight", "running_var", "lambda1")) else 0.0))
    return module


def prepared(model: "archaeo.Model") -> "torch.Tensor":
    return torch.rand(2, 3, model.image_size, model.image_size, generator=torch.Generator().manual_seed(0))


class Transformers(unittest.TestCase):
    def test_logits_are_those_of_transformers(self) -> None:
        for kind, config, sizes in CLASSIFIERS:
            with self.subTest(kind, **sizes):
                module = built(kind, config, num_labels=5, **sizes)
                model = archaeo.Model.from_torch(module)
                images = prepared(model)
                with torch.no_grad():
                    close(self, model(images), module(normalised(model, images)).logits)

    def test_attention_is_that_of_transformers(self) -> None:
        module = built("ViTForImageClassification", "ViTConfig", num_labels=5, attn_implementation="eager", **TOKENS)
        model = archaeo.Model.from_torch(module)
        images = prepared(model)
        with torch.no_grad():
            true = module(normalised(model, images), output_attentions=True).attentions
        close(self, model.attention(images), torch.stack(true, 1))

    def test_features_of_a_model_without_a_head(self) -> None:
        for kind, config, sizes in (("ViTModel", "ViTConfig", TOKENS), ("Dinov2Model", "Dinov2Config", DINOV2)):
            with self.subTest(kind):
                module = built(kind, config, **sizes)
                model = archaeo.Model.from_torch(module)
                images = prepared(model)
                with torch.no_grad():
                    close(self, model.features(images), module(normalised(model, images)).last_hidden_state[:, 0])

    def test_clip_answers_to_prompts(self) -> None:
        # The sizes of ViT-B/32, the smallest that is known.
        torch.manual_seed(1)
        module = transformers.CLIPModel(transformers.CLIPConfig()).eval()
        with tempfile.TemporaryDirectory() as folder:
            templates = pathlib.Path(folder) / "templates.txt"
            templates.write_text("a photo of a {}\n")
            model = archaeo.Model.from_torch(module, prompts=templates, classes=["cat", "dog"])
        self.assertEqual(list(model.classes), ["cat", "dog"])
        images = prepared(model)
        # What the tokenizer of CLIP makes of "a photo of a cat" and "a photo of a dog".
        tokens = torch.tensor([[49406, 320, 1125, 539, 320, animal, 49407] for animal in (2368, 1929)])
        with torch.no_grad():
            close(self, model(images), module(input_ids=tokens, pixel_values=normalised(model, images)).logits_per_image)
        with self.assertRaisesRegex(ValueError, "give them with `prompts=`"):
            archaeo.Model.from_torch(module)

    def test_the_processor_says_how_images_are_prepared(self) -> None:
        module = built("ViTForImageClassification", "ViTConfig", num_labels=5, **TOKENS)
        processor = transformers.ViTImageProcessor(size={"height": 32, "width": 32}, image_mean=[0.1, 0.2, 0.3], image_std=[0.4, 0.5, 0.6], resample=2)
        found = archaeo.Model.from_torch(module, processor=processor).info["preprocessing"]
        np.testing.assert_allclose(found["mean"], (0.1, 0.2, 0.3))
        np.testing.assert_allclose(found["std"], (0.4, 0.5, 0.6))
        self.assertEqual((found["interpolation"], found["fit"]), ("bilinear", "squash"))

    def test_classes_are_those_of_the_configuration(self) -> None:
        names = {0: "ant", 1: "bee", 2: "wasp"}
        module = built("ViTForImageClassification", "ViTConfig", id2label=names, label2id={name: i for i, name in names.items()}, **TOKENS)
        self.assertEqual(list(archaeo.Model.from_torch(module).classes), ["ant", "bee", "wasp"])

    def test_what_is_not_supported_is_said(self) -> None:
        for kind, config, sizes, sentence in (
            ("BeitForImageClassification", "BeitConfig", TOKENS | dict(use_absolute_position_embeddings=True), "relative positions"),
            ("ConvNextForImageClassification", "ConvNextConfig", dict(hidden_sizes=[8, 16, 16, 16], depths=[1, 1, 1, 1]), "not supported|not known"),
            ("ViTForImageClassification", "ViTConfig", TOKENS | dict(hidden_act="relu"), "relu"),
            ("ViTForImageClassification", "ViTConfig", TOKENS | dict(qkv_bias=False), "qkv_bias"),
        ):
            with self.subTest(kind), self.assertRaisesRegex(ValueError, sentence):
                archaeo.Model.from_torch(built(kind, config, num_labels=5, **sizes))


if __name__ == "__main__":
    unittest.main()
