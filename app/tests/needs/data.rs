//! Real data sets: their splits, classes and images are those that their authors give.

use archaeo_data::{Dataset, OpenOptions, Spread, open};

use crate::real_data;

fn opened(name: &str) -> Dataset {
    let path = real_data(name);
    open(path.to_str().expect("a path of plain characters"), &OpenOptions::default()).expect("opens")
}

fn lengths(dataset: &Dataset) -> Vec<(&str, usize)> {
    dataset.splits().iter().map(|(name, split)| (name.as_str(), split.len())).collect()
}

pub fn cifar10_as_parquet() {
    let mut dataset = opened("cifar10-jpeg");
    assert_eq!(lengths(&dataset), [("test", 10_000), ("train", 50_000)]);
    assert_eq!(dataset.classes.len(), 10);
    assert!(dataset.classes.contains(&"frog".to_string()), "{:?}", dataset.classes);
    assert!(dataset.verify(&["test"]).expect("verifies").is_empty());
    let summary = dataset.summary();
    assert_eq!(summary.splits["test"].per_class, [1000; 10]);
    assert_eq!(summary.splits["train"].width, Some(Spread { min: 32, median: 32, max: 32 }));
}

pub fn tiny_imagenet() {
    let mut dataset = opened("tiny-imagenet-20.tar");
    assert_eq!(lengths(&dataset), [("train", 10_000), ("val", 1_000)]);
    assert_eq!((dataset.classes.len(), dataset.classes[0].as_str()), (20, "trilobite"));
    assert_eq!(dataset.split("val").expect("val").identifier(0), "val/images/val_3.JPEG");
    assert!(dataset.verify(&["val"]).expect("verifies").is_empty());
}

pub fn mednist() {
    let mut dataset = opened("mednist-6x1200.tar");
    assert_eq!(lengths(&dataset), [("test", 1_200), ("train", 6_000)]);
    assert_eq!(dataset.classes[0], "AbdomenCT");
    assert!(dataset.verify(&[]).expect("verifies").is_empty());
}

pub fn pneumoniamnist() {
    let dataset = opened("pneumoniamnist.npz");
    assert_eq!(lengths(&dataset), [("test", 624), ("train", 3_882), ("val", 524)]);
    let image = dataset.split("test").expect("test").load(0).expect("decodes").image;
    assert_eq!((image.width(), image.height()), (28, 28));
}

pub fn photographs_with_labels() {
    let mut dataset = opened("imagenet-photos-128.tar");
    assert_eq!(lengths(&dataset), [("all", 128)]);
    let all = dataset.split("all").expect("all");
    assert_eq!(all.identifier(0), "images/3efa3df701898afd.png");
    assert_eq!((dataset.classes.len(), dataset.classes[all.label(0)].as_str()), (115, "736"));
    assert!(dataset.verify(&[]).expect("verifies").is_empty());
}

pub fn cifar_batches() {
    let dataset = opened("cifar-10-batches-bin");
    assert_eq!(lengths(&dataset), [("all", 4_000), ("test", 800), ("train", 2_800), ("val", 400)]);
    assert_eq!(dataset.classes[6], "frog");
}
