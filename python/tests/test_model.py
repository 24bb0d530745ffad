"""Models from objects, and everything that is asked of them, against stored answers of timm and closed forms."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import textwrap
import unittest

import numpy as np
from support import GELU, Tensor, VisionTransformer, expected

import archaeo
from archaeo import _images, _torch

HERE = pathlib.Path(__file__).parent


def model(name: str = "vit") -> archaeo.Model:
    return archaeo.Model.from_torch(VisionTransformer(name))


class AgainstTimm(unittest.TestCase):
    def test_logits_features_and_attention_are_timms(self) -> None:
        for name in ("vit", "registers"):
            with self.subTest(name):
                found, images = model(name), expected(name, "images")
                for what, answer in (("logits", found(images)), ("features", found.features(images)), ("attention", found.attention(images))):
                    self.assertEqual(answer.shape, expected(name, what).shape)
                    self.assertLess(np.abs(answer - expected(name, what)).max(), 1e-4, what)

    def test_an_answer_does_not_depend_on_the_batch(self) -> None:
        found, images = model(), np.concatenate([expected("vit", "images")] * 20)
        together = found(images)
        for image in (0, 17, 59):
            np.testing.assert_array_equal(found(images[image : image + 1])[0], together[image])

    def test_rollout_is_the_papers_equation(self) -> None:
        for name, read in (("vit", [0]), ("registers", range(3, 19))):
            maps = expected(name, "attention").astype(np.float64).mean(axis=2)
            tokens = maps.shape[-1]
            for image, found in enumerate(model(name).rollout(expected(name, "images")).heatmaps):
                product = np.eye(tokens)
                for layer in maps[image]:
                    product = (0.5 * layer + 0.5 * np.eye(tokens)) @ product
                prefix = tokens - found.size
                row = product[list(read)].mean(axis=0)[prefix:]
                np.testing.assert_allclose(found.ravel(), row, atol=1e-5)

    def test_rollout_takes_its_options(self) -> None:
        found, images = model(), expected("vit", "images")
        unusual = found.rollout(images, fusion="max", discard=0.5, start=2)
        self.assertIn("largest over heads", unusual.unusual)
        self.assertFalse(np.array_equal(unusual.heatmaps, found.rollout(images).heatmaps))
        maps = expected("vit", "attention").astype(np.float64).mean(axis=2)[:, 2:]
        last = found.rollout(images, start=3).heatmaps
        np.testing.assert_allclose(last.reshape(3, -1), 0.5 * maps[:, 0, 0, 1:], atol=1e-5)

    def test_what_the_object_says_is_what_is_used(self) -> None:
        found = model()
        self.assertEqual((found.heads, found.image_size, found.classes), ([3, 3, 3], 32, list("01234")))
        self.assertEqual(found.info["preprocessing"]["crop"], 0.9)
        self.assertEqual(found.info["network"]["epsilon"], 1e-6)
        other = archaeo.Model.from_torch(VisionTransformer("vit"), classes=["a", "b", "c", "d", "e"], crop=1.0, mean=(0.4, 0.4, 0.4))
        self.assertEqual((other.classes[1], other.info["preprocessing"]["crop"]), ("b", 1.0))
        self.assertEqual(other.info["preprocessing_from"]["mean"], "request")
        self.assertFalse(np.allclose(other(expected("vit", "images")), found(expected("vit", "images"))))


class Questions(unittest.TestCase):
    def setUp(self) -> None:
        self.model, self.images = model(), expected("vit", "images")

    def test_every_method_explains_every_image(self) -> None:
        self.assertIn("chefer", self.model.methods())
        for method in self.model.methods():
            found = self.model.explain(self.images, method=method)
            self.assertEqual(found.heatmaps.shape[0], 3, method)
            self.assertTrue(np.isfinite(found.heatmaps).all(), method)
            np.testing.assert_array_equal(found.targets, self.model(self.images).argmax(axis=1))
        for image in range(3):
            self.assertTrue(found.overlay(image).startswith(b"\x89PNG"))
        self.assertIn("data:image/png;base64,", found._repr_html_())

    def test_a_target_is_one_class_or_one_per_image(self) -> None:
        one = self.model.explain(self.images, method="grad-cam", target=2)
        each = self.model.explain(self.images, method="grad-cam", target=np.array([2, 1, 2]))
        np.testing.assert_array_equal(one.targets, [2, 2, 2])
        np.testing.assert_array_equal(one.heatmaps[0], each.heatmaps[0])
        self.assertFalse(np.array_equal(one.heatmaps[1], each.heatmaps[1]))

    def test_replaced_by_its_mean_over_the_image_itself_a_part_is_what_it_was(self) -> None:
        image = self.images[:1]
        heads = [(1, 2), (3, 1)]
        same = self.model.ablate(image, heads=heads, mlps=[2], by="mean", reference=image)
        np.testing.assert_allclose(same.after, same.before, atol=2e-5)
        gone = self.model.ablate(self.images, heads=heads, mlps=[2])
        np.testing.assert_array_equal(gone.before, self.model(self.images))
        self.assertGreater(np.abs(gone.after - gone.before).max(), 1e-2)
        self.assertEqual(gone.parts, ["head 2 of layer 1", "head 1 of layer 3", "mlp 2"])

    def test_without_all_layers_the_logits_are_those_of_the_embedding(self) -> None:
        gone = self.model.ablate(self.images, layers=[1, 2, 3])
        state = {key: value.astype(np.float64) for key, value in VisionTransformer("vit").state.items()}
        token = (state["cls_token"] + state["pos_embed"][:, :1])[0, 0]
        normed = (token - token.mean()) / np.sqrt(token.var() + 1e-6) * state["norm.weight"] + state["norm.bias"]
        np.testing.assert_allclose(gone.after, np.tile(state["head.weight"] @ normed + state["head.bias"], (3, 1)), atol=1e-4)

    def test_an_attack_stays_in_its_ball_and_says_what_the_model_says(self) -> None:
        levels = np.round(self.images * 255) / 255
        labels = self.model(levels).argmax(axis=1)
        for attack, norm, epsilon in (("fgsm", "linf", 8 / 255), ("apgd-t", "linf", 8 / 255), ("pgd", "l2", 0.5)):
            found = self.model.attack(levels.astype(np.float32), labels, attack, norm, epsilon)
            change = (found.images - levels).reshape(3, -1)
            length = np.abs(change).max(axis=1) if norm == "linf" else np.linalg.norm(change, axis=1)
            self.assertLessEqual(length.max(), epsilon + 1e-5, attack)
            np.testing.assert_allclose(found.images * 255, np.round(found.images * 255), atol=1e-3)
            np.testing.assert_array_equal(found.answers, self.model(found.images).argmax(axis=1))
            np.testing.assert_array_equal(found.success, found.answers != labels)
            self.assertEqual(found.clean_accuracy, 1.0)
        self.assertIn("data:image/png", found._repr_html_())

    def test_an_attack_may_look_for_the_smallest_perturbation_or_lead_somewhere(self) -> None:
        labels = self.model(self.images).argmax(axis=1)
        smallest = self.model.attack(self.images, labels, "ddn")
        self.assertTrue((smallest.distance[smallest.success] > 0).all())
        target = (labels + 1) % 5
        led = self.model.attack(self.images, labels, "pgd", epsilon=0.2, targets=target)
        np.testing.assert_array_equal(led.success, led.answers == target)

    def test_predictions_are_the_softmax(self) -> None:
        found, logits = self.model.predict(self.images, top=2), self.model(self.images).astype(np.float64)
        shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
        np.testing.assert_allclose(found.probabilities[:, 0], shares.max(axis=1), rtol=1e-6)
        np.testing.assert_array_equal(found.classes[:, 0], logits.argmax(axis=1))

    def test_a_model_is_saved_and_loaded(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "model.safetensors"
            self.model.save(path)
            np.testing.assert_array_equal(archaeo.Model.load(path)(self.images), self.model(self.images))

    def test_results_are_plain_data(self) -> None:
        labels = self.model(self.images).argmax(axis=1)
        results = [
            self.model.predict(self.images),
            self.model.rollout(self.images),
            self.model.ablate(self.images, heads=[(1, 1)]),
            self.model.attack(self.images, labels, "fgsm"),
        ]
        for result in results:
            json.dumps(result.to_dict())
            self.assertTrue(result._repr_html_())
        try:
            import pandas
        except ImportError:
            self.skipTest("needs pandas")
        rows = [15, 3, 3, 3]
        for result, count in zip(results, rows):
            frame = result.to_pandas()
            self.assertIsInstance(frame, pandas.DataFrame)
            self.assertEqual(len(frame), count)


class Images(unittest.TestCase):
    def test_arrays_are_taken_where_they_are(self) -> None:
        array = expected("vit", "images").copy()
        for held in (array, Tensor(array), memoryview(array)):
            found = _images.prepared(model()._native, held)
            self.assertEqual(found.ctypes.data, array.ctypes.data, type(held))

    def test_arrays_of_an_object_are_taken_where_they_are(self) -> None:
        module = VisionTransformer("vit")
        for name, array in _torch.read(module).arrays.items():
            self.assertEqual(array.ctypes.data, module.state[name].ctypes.data)

    def test_answers_are_the_labs_own_memory(self) -> None:
        answer = model().attention(expected("vit", "images"))
        while isinstance(answer.base, np.ndarray):
            answer = answer.base
        self.assertEqual(type(answer.base).__name__, "PySliceContainer")

    def test_bytes_pictures_and_files_are_resized_alike(self) -> None:
        rng = np.random.default_rng(0)
        picture = rng.integers(0, 256, (50, 70, 3), dtype=np.uint8)
        found = model()
        prepared = found.prepare(picture)
        self.assertEqual(prepared.shape, (1, 3, 32, 32))
        self.assertEqual(found.prepare([picture, picture[:40]]).shape, (2, 3, 32, 32))
        with tempfile.TemporaryDirectory() as folder:
            file = os.path.join(folder, "picture.png")
            pathlib.Path(file).write_bytes(archaeo._archaeo.png(picture))
            np.testing.assert_array_equal(found.prepare(file), prepared)
            try:
                from PIL import Image
            except ImportError:
                self.skipTest("needs Pillow")
            np.testing.assert_array_equal(found.prepare(Image.open(file)), prepared)

    def test_without_a_crop_a_picture_of_the_models_size_stays_as_it_is(self) -> None:
        picture = np.random.default_rng(0).integers(0, 256, (1, 32, 32, 3), dtype=np.uint8)
        whole = archaeo.Model.from_torch(VisionTransformer("vit"), crop=1.0)
        np.testing.assert_array_equal(whole.prepare(picture), (picture / np.float32(255)).transpose(0, 3, 1, 2))


class Errors(unittest.TestCase):
    def refused(self, sentence: str, question, kind=ValueError) -> None:
        with self.assertRaises(kind) as caught:
            question()
        self.assertIn(sentence, str(caught.exception))
        self.assertNotIn("--", str(caught.exception))

    def test_images(self) -> None:
        found, images = model(), expected("vit", "images")
        for sentence, given in (
            ("from 0 to 1, but image 1 has 7", np.stack([images[0], images[1] * 0 + 7])),
            ("but image 0 has NaN", images * np.nan),
            ("not [3, 3, 16, 16]", images[:, :, :16, :16]),
            ("bring the channels first", images.transpose(0, 2, 3, 1)),
            ("bring the channels last", (images * 255).astype(np.uint8)),
            ("not int64", (images * 255).astype(np.int64)),
            ("there is no image", images[:0]),
            ("there is no image", []),
            ("three channels", np.zeros((32, 32), np.uint8)),
            ("either all floats or all pictures", [images[0], np.zeros((32, 32, 3), np.uint8)]),
        ):
            with self.subTest(sentence):
                self.refused(sentence, lambda given=given: found(given))
        self.refused("No such file", lambda: found("nowhere.png"), FileNotFoundError)

    def test_questions(self) -> None:
        found, images = model(), expected("vit", "images")
        for sentence, question in (
            ("there is no such method", lambda: found.explain(images, method="wish")),
            ("has no output 9", lambda: found.explain(images, method="chefer", target=9)),
            ("one label for each image", lambda: found.attack(images, [0], "pgd")),
            ("attack='wish': there is no such attack; there are fgsm", lambda: found.attack(images, [0, 0, 0], "wish")),
            ("no norm", lambda: found.attack(images, [0, 0, 0], "pgd", "l7")),
            ("more than all of their range", lambda: found.attack(images, [0, 0, 0], "pgd", epsilon=8)),
            ("takes no epsilon", lambda: found.attack(images, [0, 0, 0], "ddn", epsilon=0.1)),
            ("does not have head 8 of layer 1", lambda: found.ablate(images, heads=[(1, 8)])),
            ("numbered from 1, and 0 is given", lambda: found.ablate(images, heads=[(0, 1)])),
            ("from 1 to 3, not at 0", lambda: found.rollout(images, start=0)),
            ("nothing to take away", lambda: found.ablate(images)),
            ("by mean, max or min", lambda: found.rollout(images, fusion="sum")),
            ("from 1 to 3, not at 4", lambda: found.rollout(images, start=4)),
            ("`discard=` must be at least 0", lambda: found.rollout(images, discard=1.0)),
        ):
            with self.subTest(sentence):
                self.refused(sentence, question)

    def test_models(self) -> None:
        self.refused("nowhere.safetensors", lambda: archaeo.Model.load("nowhere.safetensors"), FileNotFoundError)
        self.refused("a torch.nn.Module is needed, not int", lambda: archaeo.Model.from_torch(3))
        self.refused("3 names of classes are given", lambda: archaeo.Model.from_torch(VisionTransformer("vit"), classes=list("abc")))
        other = VisionTransformer("vit")
        other.global_pool = "map"
        self.refused("pools by 'map'", lambda: archaeo.Model.from_torch(other))
        other = VisionTransformer("vit")
        del other.state["blocks.1.norm1.weight"]
        other.state["blocks.1.extra"] = np.zeros(3, np.float32)
        self.refused("missing     blocks.1.norm1.weight", lambda: archaeo.Model.from_torch(other))
        other = VisionTransformer("vit")
        other.state["head.bias"] = other.state["head.bias"] * np.nan
        self.refused("`head.bias`", lambda: archaeo.Model.from_torch(other))

    def test_an_unknown_architecture_is_named(self) -> None:
        other = VisionTransformer("vit")
        other.state = {"strange": np.zeros(3, np.float32)}
        self.refused("does not say which model it holds; name it with `model=`", lambda: archaeo.Model.from_torch(other))

    def test_an_activation_that_is_not_known_is_named(self) -> None:
        class ReLU(GELU):
            pass

        other = VisionTransformer("vit")
        other.parts[-1].act = ReLU()
        self.refused("GELU or QuickGELU", lambda: archaeo.Model.from_torch(other))


class Process(unittest.TestCase):
    """What holds for the whole process."""

    def run_python(self, code: str) -> str:
        environment = dict(os.environ, PYTHONPATH=os.pathsep.join([str(HERE), *sys.path]))
        output = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], env=environment, capture_output=True, text=True)
        self.assertEqual(output.returncode, 0, output.stderr)
        return output.stdout.strip()

    def test_importing_imports_nothing(self) -> None:
        loaded = self.run_python(
            """
            import sys
            before = set(sys.modules)
            import archaeo
            print(*sorted(name.split(".")[0] for name in set(sys.modules) - before))
            """
        )
        self.assertFalse({"numpy", "torch", "pandas", "tqdm", "dataclasses"} & set(loaded.split()), loaded)
        self.assertEqual(self.run_python("import sys, archaeo; print('archaeo._archaeo' in sys.modules)"), "False")

    def test_memory_is_flat_over_a_thousand_calls(self) -> None:
        if not os.path.exists("/proc/self/statm"):
            self.skipTest("needs /proc")
        grown = self.run_python(
            """
            import os, archaeo
            from support import VisionTransformer, expected

            def resident():
                return int(open("/proc/self/statm").read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

            model, images = archaeo.Model.from_torch(VisionTransformer("vit")), expected("vit", "images")
            def calls(count):
                for _ in range(count):
                    model(images), model.attention(images), model.features(images), model.rollout(images)
                    model.explain(images, method="rollout")
            calls(100)
            before = resident()
            calls(1000)
            print((resident() - before) / 2**20)
            """
        )
        self.assertLess(float(grown), 8.0, "MiB")

    @unittest.skipIf(os.name == "nt", "signals are those of Unix")
    def test_ctrl_c_ends_a_question(self) -> None:
        code = """
            import os, signal, threading, time
            import numpy as np
            import archaeo
            from support import VisionTransformer, expected

            model = archaeo.Model.from_torch(VisionTransformer("vit"))
            images = np.concatenate([expected("vit", "images")] * 100)
            labels = model(images).argmax(axis=1)
            threading.Timer(1.0, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
            began = time.monotonic()
            try:
                model.attack(images, labels, "apgd-t", epsilon=1 / 255, steps=100000)
                print("it ended")
            except KeyboardInterrupt:
                print("interrupted" if time.monotonic() - began < 60 else "too late")
            print(model(images[:1]).shape)
            """
        self.assertEqual(self.run_python(code).split("\n"), ["interrupted", "(1, 5)"])

    def test_other_threads_run_meanwhile(self) -> None:
        code = """
            import threading
            import numpy as np
            import archaeo
            from support import VisionTransformer, expected

            model = archaeo.Model.from_torch(VisionTransformer("vit"))
            images = np.concatenate([expected("vit", "images")] * 200)
            counted, done = [0], threading.Event()
            def count():
                while not done.is_set():
                    counted[0] += 1
                    done.wait(0.0005)
            thread = threading.Thread(target=count)
            thread.start()
            while counted[0] < 3:
                pass
            before = counted[0]
            model.attention(images)
            during = counted[0] - before
            done.set()
            thread.join()
            print(during > 3)
            """
        self.assertEqual(self.run_python(code), "True")


if __name__ == "__main__":
    unittest.main()
