//! Which labels are likely to be wrong, by confident learning (Northcutt, Jiang & Chuang, 2021, JAIR 70).

/// A label that models doubt.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Suspicion {
    /// The image.
    pub image: usize,
    /// The class that it is more likely to be of.
    pub class: usize,
    /// How much: the probability of its label minus the largest of any other class, from −1; the smaller, the more it is doubted.
    pub margin: f64,
}

/// The images off the diagonal of the confident joint, the most doubted first.
///
/// `probabilities` `[n, classes]`, row by row, are those of models that did not learn from these images. Class j has the threshold tⱼ, the
/// mean probability of j over the images labelled j. An image counts as one of class j where its probability of j reaches tⱼ; of several
/// such classes, the one with the largest probability. Its label is doubted where that class is another than its label (section 3.1). The
/// order is by the margin of the label's probability (section 3.3). A class without an image has no threshold, and nothing counts as one of it.
///
/// # Panics
/// Probabilities that are not one row per label, or a label that is no class.
pub fn suspected_labels(probabilities: &[f64], labels: &[usize], classes: usize) -> Vec<Suspicion> {
    assert_eq!(probabilities.len(), labels.len() * classes, "each image has a probability for every class");
    let mut thresholds = vec![(0.0, 0usize); classes];
    for (row, &label) in probabilities.chunks_exact(classes.max(1)).zip(labels) {
        let (sum, count) = &mut thresholds[label];
        *sum += row[label];
        *count += 1;
    }
    // Rounding must not lift a threshold above the one probability that it is the mean of.
    let reaches = |class: usize, probability: f64| {
        let (sum, count) = thresholds[class];
        count > 0 && probability * count as f64 >= sum * (1.0 - 1e-12)
    };
    let largest = |row: &[f64], counts: &dyn Fn(usize) -> bool| {
        let classes = (0..row.len()).filter(|&class| counts(class));
        classes.reduce(|best, class| if row[class] > row[best] { class } else { best })
    };
    let mut found: Vec<Suspicion> = (probabilities.chunks_exact(classes.max(1)).zip(labels).enumerate())
        .filter_map(|(image, (row, &label))| {
            let class = largest(row, &|class| reaches(class, row[class])).filter(|&class| class != label)?;
            let other = largest(row, &|class| class != label)?;
            Some(Suspicion { image, class, margin: row[label] - row[other] })
        })
        .collect();
    found.sort_by(|a, b| a.margin.total_cmp(&b.margin).then(a.image.cmp(&b.image)));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand: thresholds are 0.6, 0.7 and 0.5.
    #[test]
    fn the_confident_joint_of_a_small_table() {
        let rows = [
            ([0.8, 0.1, 0.1], 0),
            ([0.7, 0.2, 0.1], 0),
            // 0.75 of class 1 reaches 0.7: doubted.
            ([0.15, 0.75, 0.1], 0),
            ([0.75, 0.15, 0.1], 0),
            ([0.05, 0.9, 0.05], 1),
            // 0.5 of class 2 reaches 0.5, and 0.5 of class 1 does not reach 0.7: doubted, by a margin of 0.
            ([0.0, 0.5, 0.5], 1),
            // No class reaches its threshold: wrong, but not doubted.
            ([0.55, 0.05, 0.4], 2),
            ([0.2, 0.2, 0.6], 2),
        ];
        let probabilities: Vec<f64> = rows.iter().flat_map(|(row, _)| *row).collect();
        let labels: Vec<usize> = rows.iter().map(|(_, label)| *label).collect();
        let found = suspected_labels(&probabilities, &labels, 3);
        assert_eq!(found.iter().map(|of| (of.image, of.class)).collect::<Vec<_>>(), [(2, 1), (5, 2)]);
        assert!((found[0].margin + 0.6).abs() < 1e-12 && found[1].margin == 0.0, "{found:?}");
    }

    /// Of classes that both reach their threshold the likelier counts, and a class without an image never does.
    #[test]
    fn the_likeliest_of_several_counts_and_empty_classes_do_not() {
        let probabilities = [0.3, 0.4, 0.3, 0.4, 0.3, 0.3, 0.1, 0.0, 0.9];
        let found = suspected_labels(&probabilities, &[0, 1, 0], 3);
        // Thresholds 0.2 and 0.3, none for class 2.
        assert_eq!(found.iter().map(|of| (of.image, of.class)).collect::<Vec<_>>(), [(0, 1), (1, 0)]);
        assert!(suspected_labels(&[], &[], 3).is_empty());
    }
}
