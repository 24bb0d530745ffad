//! Sentences about cues follow the numbers.

use archaeo_analysis::statistics::Measured;
use archaeo_report::Claim;

use super::ShapeBiasStudy;
use crate::findings::Investigation;
use crate::report::tests::synthetic::{
    change, chapter_of, claim_of, following, investigation, of_one, of_three, paired, printed,
};

fn claim(found: &Investigation, topic: &str) -> Claim {
    claim_of::<ShapeBiasStudy>(found, topic)
}

fn statement(found: &Investigation, topic: &str) -> String {
    claim(found, topic).statement
}

#[test]
fn texture_is_held_against_a_model_that_takes_no_notice() {
    let with = |vit: Measured<_>, cnn: Measured<_>| {
        let mut found = investigation();
        change::<ShapeBiasStudy>(&mut found, |shape_bias| {
            for (model, following) in shape_bias.models.values_mut().zip([vit, cnn]) {
                model.texture_following = following;
            }
        });
        statement(&found, "Texture")
    };
    // Both far above a shape bias of 50 %, and yet swayed.
    let found = investigation();
    assert_eq!(statement(&found, "Texture"), "Texture sways the ViT and the ResNet.");
    let evidence = claim(&found, "Texture").evidence;
    assert!(
        evidence.contains("In the training split 70.3\u{a0}% of the textures are their class's own"),
        "{evidence}"
    );
    assert_eq!(
        with(following(250, 0.05, 0.001), following(30, 0.03, 0.7)),
        "Texture sways the ViT; no influence of texture on the answers of the ResNet can be shown."
    );
    assert_eq!(
        with(following(250, 0.05, 0.001), Measured::undefined("it is always right")),
        "Texture sways the ViT; whether texture sways the ResNet cannot be computed."
    );
    assert!(
        with(following(10, 0.05, 0.001), following(10, 0.05, 0.001))
            .contains("name the texture's class less often")
    );
}

#[test]
fn shape_biases_are_compared_on_the_same_images_and_not_with_one_half() {
    let with = |difference| {
        let mut found = investigation();
        change::<ShapeBiasStudy>(&mut found, |shape_bias| shape_bias.pairs[0].difference = difference);
        statement(&found, "Shape or texture")
    };
    let known = |value, p_value| Measured::Known(paired(value, 0.03, p_value));
    assert_eq!(with(known(-0.17, 0.001)), "The ResNet keeps to the shape more than the ViT does.");
    assert_eq!(with(known(0.17, 0.001)), "The ViT keeps to the shape more than the ResNet does.");
    assert!(with(known(0.17, 0.08)).starts_with("It cannot be told which"));
    assert!(
        with(Measured::undefined("the ViT never decides for either cue"))
            .contains("cannot be computed, because")
    );
    for half in chapter_of::<ShapeBiasStudy>(&investigation()).claims {
        assert!(
            !format!("{}{}", half.statement, half.evidence).contains("indifference")
                || half.evidence.contains("not a neutral value")
        );
    }
}

#[test]
fn one_model_and_three_have_sentences_of_their_own() {
    let alone = claim(&of_one(), "Shape or texture").statement;
    assert!(alone.starts_with("Where the ViT decides for either cue, it is the shape in "), "{alone}");
    let three = claim(&of_three(), "Shape or texture");
    assert_eq!(three.statement.matches("keeps to the shape more").count(), 3, "{}", three.statement);
    assert!(three.evidence.contains("differences on the same images: "), "{}", three.evidence);
    let text = printed(chapter_of::<ShapeBiasStudy>(&of_three()));
    for model in ["ViT", "Swin", "ResNet"] {
        assert!(text.contains(&format!("| {model} |")), "{model}: {text}");
    }
}
