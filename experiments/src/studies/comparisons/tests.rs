use super::*;

/// A map of 3 × 3 with a peak at one place.
fn peak(place: usize) -> Heatmap {
    Heatmap::new(3, 3, (0..9).map(|at| (at as f32 - place as f32).abs()).collect())
}

fn flat() -> Heatmap {
    Heatmap::new(3, 3, vec![0.25; 9])
}

fn pair(first: Heatmap, second: Heatmap, same_answer: bool) -> Pair {
    Pair { called: ["the rollout".into(), "the Grad-CAM".into()], first, second, same_answer }
}

fn agreement_of(pairs: &[Pair]) -> Measured<Agreement> {
    agreement(pairs, &Resampling::new(0)).unwrap()
}

#[test]
fn maps_that_are_alike_for_all_images_agree_and_show_nothing() {
    let pairs: Vec<Pair> = (0..8).map(|i| pair(peak(4), peak(4), i % 2 == 0)).collect();
    let found = agreement_of(&pairs);
    let pairing = &found.known().unwrap().pairing;
    for value in [pairing.together.value, pairing.apart.value, 1.0 - pairing.difference.value] {
        assert!((value - 1.0).abs() < 1e-12, "{pairing:?}");
    }
    assert_eq!(pairing.p_value, 1.0);
}

#[test]
fn maps_that_follow_their_image_agree_beyond_those_of_others() {
    let pairs: Vec<Pair> = (0..9).map(|i| pair(peak(i), peak(i), i < 6)).collect();
    let found = agreement_of(&pairs);
    let found = found.known().unwrap();
    assert!((found.pairing.together.value - 1.0).abs() < 1e-12);
    assert!(found.pairing.difference.low > 0.0 && found.pairing.p_value < 0.001, "{found:?}");
    assert_eq!((found.same_answer.n, found.other_answer.n), (6, 3));
    assert!(agreement_of(&pairs[..6]).known().unwrap().other_answer.difference.is_none());
}

#[test]
fn constant_maps_are_left_out_with_a_reason() {
    let constant = pair(flat(), peak(1), true);
    assert_eq!(constant.agreement().reason(), Some("the rollout is constant"));
    assert_eq!(pair(peak(1), flat(), true).agreement().reason(), Some("the Grad-CAM is constant"));
    assert_eq!(pair(flat(), flat(), true).agreement().reason(), Some("both heatmaps are constant"));
    let pairs = [pair(peak(0), peak(0), true), constant];
    assert_eq!(
        agreement_of(&pairs).reason(),
        Some("it takes two or more images with heatmaps that are not constant, and there is 1")
    );
    assert!(agreement_of(&[]).reason().unwrap().ends_with("there are 0"));
    let pairs = [pair(peak(0), peak(0), true), pair(flat(), flat(), true), pair(peak(8), peak(8), true)];
    assert_eq!(agreement_of(&pairs).known().unwrap().pairing.together.n, 2);
}
