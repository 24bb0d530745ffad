"""Data, studies and the command: the parts of the lab that read files and print."""

import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

import numpy as np
from support import VisionTransformer, expected

import archaeo

SHAPES = 10


def model() -> archaeo.Model:
    """A model of ten classes with the names of Sherds' shapes, which knows nothing of them."""
    module = VisionTransformer("vit")
    rng = np.random.default_rng(0)
    module.state["head.weight"] = rng.normal(size=(SHAPES, 24)).astype(np.float32)
    module.state["head.bias"] = np.zeros(SHAPES, np.float32)
    return archaeo.Model.from_torch(module, classes=archaeo.data("sherds:train=20,val=20,test=20").classes)


class Data(unittest.TestCase):
    def setUp(self) -> None:
        self.data = archaeo.data("sherds:size=32,train=20,val=20,test=40")

    def test_a_split_is_a_sequence_of_images(self) -> None:
        test = self.data["test"]
        self.assertEqual((len(test), self.data.splits["test"], len(self.data.classes)), (40, 40, SHAPES))
        np.testing.assert_array_equal(test.labels, np.arange(40) % SHAPES)
        few = test[[3, -1]]
        self.assertEqual([image.shape for image in few.images], [(32, 32, 3)] * 2)
        self.assertEqual((list(few.labels), few.names[1]), ([3, 9], test.names[39]))
        np.testing.assert_array_equal(few.images[1], test[39].images[0])
        self.assertEqual((few[1].names, few[:1].names), (few.names[1:], few.names[:1]))
        self.assertEqual(len(test.sample(7)), 7)
        self.assertEqual(test.sample(7, seed=1).names, test.sample(7, seed=1).names)
        with self.assertRaises(IndexError):
            test[40]

    def test_masks_say_where_the_object_is(self) -> None:
        mask = self.data["test"][0].masks()[0]
        self.assertEqual((mask.shape, mask.dtype), ((32, 32), bool))
        self.assertTrue(0 < mask.mean() < 1)

    def test_samples_go_into_a_model(self) -> None:
        few = self.data["test"][:5]
        found = model()
        self.assertEqual(found(few).shape, (5, SHAPES))
        np.testing.assert_array_equal(found(few), found(few.images))
        np.testing.assert_array_equal(found(self.data["test"]), found(self.data["test"][:]))
        self.assertIn("data:image/png", few._repr_html_())

    def test_data_that_are_none_are_refused(self) -> None:
        with self.assertRaises(OSError):
            archaeo.data("nowhere")
        with tempfile.TemporaryDirectory() as folder:
            with self.assertRaisesRegex(ValueError, "holds no image"):
                archaeo.data(folder)
        with self.assertRaisesRegex(ValueError, "validation"):
            self.data["validation"]


class Studies(unittest.TestCase):
    def test_a_study_asks_models_in_memory(self) -> None:
        data = archaeo.data("sherds:size=32,train=20,val=20,test=40")
        found = archaeo.study.accuracy({"vit": model()}, data, resamples=200)
        right = (model()(data["test"][:]).argmax(axis=1) == data["test"].labels).mean()
        accuracy = json.dumps(found.findings)
        self.assertIn(f'"value": {right}', accuracy)
        self.assertTrue(found.claims)
        self.assertIn("<html", found.page)
        self.assertIn("<iframe", found._repr_html_())
        json.dumps(found.to_dict())

    def test_options_are_the_studys(self) -> None:
        data = archaeo.data("sherds:size=32,train=20,val=20,test=40")
        found = archaeo.study.heads(model(), data, images=20, resamples=200, curve=False, pairs=0, branches=[])
        ranking = found.findings["model"]["ranking"]
        self.assertEqual(sorted((head["layer"], head["head"]) for head in ranking), [(layer, head) for layer in (1, 2, 3) for head in (1, 2, 3)])
        try:
            import pandas  # noqa: F401
        except ImportError:
            self.skipTest("needs pandas")
        self.assertEqual(len(found.tables()["model.ranking"]), 9)

    def test_what_cannot_be_asked_is_said(self) -> None:
        data = archaeo.data("sherds:size=32,train=20,val=20,test=40")
        for sentence, question in (
            ("does not apply", lambda: archaeo.study.seeds(model(), data)),
            ("wish", lambda: archaeo.study.heads(model(), data, wish=3)),
            ("cannot name a model", lambda: archaeo.study.heads({"My ViT": model()}, data)),
            ("cannot be told", lambda: archaeo.study.accuracy(archaeo.Model.from_torch(VisionTransformer("vit")), data)),
        ):
            with self.subTest(sentence), self.assertRaisesRegex(ValueError, sentence):
                question()
        with self.assertRaises(AttributeError):
            archaeo.study.wish
        self.assertIn("heads", archaeo.studies())
        self.assertIn("heads", dir(archaeo.study))

    def test_an_investigation_asks_for_files(self) -> None:
        with self.assertRaisesRegex(ValueError, r"\.save\('vit\.safetensors'\)"):
            archaeo.excavate(vit=model())
        with self.assertRaisesRegex(ValueError, "studies.wish"):
            archaeo.excavate(set={"studies.wish": 1}, out=os.path.join(tempfile.gettempdir(), "archaeo-never"))


class Command(unittest.TestCase):
    def test_the_command_is_the_program(self) -> None:
        def run(*words: str) -> subprocess.CompletedProcess:
            environment = dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path))
            return subprocess.run([sys.executable, "-m", "archaeo", *words], env=environment, capture_output=True, text=True)

        version = run("--version")
        self.assertEqual((version.returncode, version.stdout.split()), (0, ["archaeo", archaeo.__version__]))
        self.assertEqual(run("wish").returncode, 2)
        failed = run("evaluate", "--weights", "nowhere.safetensors")
        self.assertEqual(failed.returncode, 1)
        self.assertIn("nowhere.safetensors", failed.stderr)
        with tempfile.TemporaryDirectory() as folder:
            path = pathlib.Path(folder) / "vit.safetensors"
            model().save(path)
            scored = run("evaluate", "--weights", str(path), "--data", "sherds:size=32,test=40", "--json")
            self.assertEqual(json.loads(scored.stdout)["n"], 40, scored.stderr)


if __name__ == "__main__":
    unittest.main()
