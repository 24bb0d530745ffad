//! Matching on classes and outputs made up for it.

use archaeo_models::{ModelCard, NetworkSpec, Preprocessing};

use super::*;

fn names(list: &[&str]) -> Vec<String> {
    list.iter().map(|&name| name.to_owned()).collect()
}

fn given(list: &[&str]) -> Outputs {
    Outputs::named(names(list))
}

fn nameless(count: usize) -> Outputs {
    Outputs { names: (0..count).map(|class| class.to_string()).collect(), naming: Naming::None }
}

fn matched(data: &[&str], outputs: &Outputs) -> Result<Matching, Unmatched> {
    with_map(data, outputs, None)
}

fn with_map(data: &[&str], outputs: &Outputs, map: Option<&str>) -> Result<Matching, Unmatched> {
    let data = names(data);
    let classes = DataClasses::new(&data, vec![true; data.len()], || vec![None; data.len()]);
    let map = map.map(|text| ClassMap::parse("map.csv", text).map_err(Unmatched::Map)).transpose()?;
    match_classes(&classes, outputs, map.as_ref())
}

fn outputs_of(matching: &Matching) -> Vec<usize> {
    matching.output_of.iter().map(|output| output.expect("every class has an output")).collect()
}

#[track_caller]
fn assert_matched(data: &[&str], outputs: &Outputs, expected: &[usize], by: MatchedBy, said: &[&str]) {
    let matching = matched(data, outputs).unwrap_or_else(|error| panic!("{data:?}: {error}"));
    assert_eq!((outputs_of(&matching), matching.by), (expected.to_vec(), by), "{data:?}");
    let notes = matching.notes.join(" ");
    assert_eq!(notes.is_empty(), said.is_empty(), "{data:?}: {notes}");
    let guessed = by == MatchedBy::Order || notes.contains("ImageFolder");
    assert_eq!(matching.uncertain, guessed, "{data:?}");
    said.iter().for_each(|part| assert!(notes.contains(part), "{data:?}: {notes}\nlacks {part}"));
}

#[track_caller]
fn assert_refused(data: &[&str], outputs: &Outputs, said: &[&str]) {
    let error = matched(data, outputs).expect_err("no match").to_string();
    said.iter().for_each(|part| assert!(error.contains(part), "{data:?}: {error}\nlacks {part}"));
}

#[test]
fn names_decide_before_places() {
    let outputs = given(&["eel", "Cat", "the_dog"]);
    let said = ["another order than the data's classes (eel, Cat, the_dog)", "matched by name"];
    assert_matched(&["cat", "dog", "eel"], &outputs, &[1, 2, 0], MatchedBy::Name, &said);
    assert_matched(&["Eel", "cat", "dog"], &outputs, &[0, 1, 2], MatchedBy::Name, &[]);
    let said =
        ["2 classes are matched with the model's outputs by name; an answer may be any of its 3 classes"];
    assert_matched(&["dog", "cat"], &outputs, &[2, 1], MatchedBy::Name, &said);
    assert_refused(
        &["cat", "emu", "fox"],
        &outputs,
        &["2 of the data's 3 classes (emu, fox)", "its outputs are eel, Cat, the_dog"],
    );
    assert_refused(&["emu", "fox", "gnu"], &outputs, &["any of the data's classes (emu, fox, gnu)"]);
    assert_refused(
        &["cat", "dog", "eel", "Cat "],
        &outputs,
        &["`cat` and `Cat ` would both be its output 1"],
    );
}

#[test]
fn numbers_are_the_outputs() {
    let four = nameless(4);
    assert_matched(&["0", "1", "2", "3"], &four, &[0, 1, 2, 3], MatchedBy::Number, &[]);
    assert_matched(&["3", "1"], &four, &[3, 1], MatchedBy::Number, &["counted from 0 (3 is output 3)"]);
    assert_matched(&["2", "4"], &four, &[1, 3], MatchedBy::Number, &["counted from 1 (2 is output 1)"]);
    // No numbers of four outputs; but there are as many, and ImageFolder would have them in another order.
    let said = ["in the order of the data's classes, 0, 1, 2, 10", "sorts folders as text: 0, 1, 10, 2"];
    assert_matched(&["0", "1", "2", "10"], &four, &[0, 1, 2, 3], MatchedBy::Order, &said);
    assert_refused(&["0", "1", "10"], &four, &["names no classes", "4 outputs", "3 classes (0, 1, 10)"]);
    let twelve: Vec<String> = (0..12).map(|class| class.to_string()).collect();
    let twelve: Vec<&str> = twelve.iter().map(String::as_str).collect();
    let order: Vec<usize> = (0..12).collect();
    assert_matched(&twelve, &nameless(12), &order, MatchedBy::Number, &["0, 1, 10, 11, …, 2"]);
    // A model that was trained here on them says itself what is what.
    assert_matched(&twelve, &given(&twelve), &order, MatchedBy::Name, &[]);
    assert_matched(
        &["0", "1", "2", "10"],
        &given(&["0", "1", "10", "2"]),
        &[0, 1, 3, 2],
        MatchedBy::Name,
        &["another order"],
    );

    let animals = given(&["cat", "dog", "eel"]);
    assert_matched(
        &["2", "0"],
        &animals,
        &[2, 0],
        MatchedBy::Number,
        &["3 outputs, counted from 0 (2 is eel)"],
    );
    assert_refused(&["0", "7", "8"], &animals, &["any of the data's classes (0, 7, 8)"]);
}

#[test]
fn without_names_the_order_is_taken_and_said() {
    let said = ["names no classes", "in the order of the data's classes, cat, dog."];
    assert_matched(&["cat", "dog"], &nameless(2), &[0, 1], MatchedBy::Order, &said);
    assert_refused(&["cat", "dog"], &nameless(3), &["3 outputs where the data has 2 classes (cat, dog)"]);
    assert_refused(&["cat", "dog"], &nameless(1), &["1 output where the data has 2 classes"]);
}

#[test]
fn imagenets_classes_are_known_by_identifier_and_by_name() {
    let outputs = Outputs::imagenet();
    let said =
        ["taken to be ImageNet-1k's", "by WordNet identifier; an answer may be any of its 1,000 classes"];
    let ids = ["n03126707", "n01440764-tench", "n02012849"];
    assert_matched(&ids, &outputs, &[517, 0, 134], MatchedBy::WordnetId, &said);
    let said = ["2 classes are matched with the model's outputs by name"];
    assert_matched(&["great white shark", "goldfish"], &outputs, &[2, 1], MatchedBy::Name, &said);
    assert_matched(
        &["Carassius auratus", "n01440764"],
        &outputs,
        &[1, 0],
        MatchedBy::NameAndWordnetId,
        &["name and"],
    );
    assert_refused(
        &["crane", "goldfish"],
        &outputs,
        &["`crane` may be its output 134 (crane (n02012849)) or its output 517 (crane (n03126707))"],
    );
    // Of two names one of which is part of the other, both are needed to tell them apart.
    assert_refused(&["maillot", "goldfish"], &outputs, &["`maillot` may be its output 638"]);
    let both = ["maillot", "maillot, tank suit"];
    assert_matched(&both, &outputs, &[638, 639], MatchedBy::Name, &["by name"]);
    // Nobody named a thousand outputs: they are ImageNet's if all of the data's classes are.
    let said = ["taken to be ImageNet-1k's"];
    assert_matched(&["n01443537", "n01440764"], &nameless(1000), &[1, 0], MatchedBy::WordnetId, &said);
    assert_refused(&["cat", "dog"], &nameless(1000), &["1,000 outputs where the data has 2 classes"]);
    assert_refused(&["a", "b"], &outputs, &["any of the data's classes (a, b)", "tench, goldfish"]);
    assert_matched(
        &["7", "3"],
        &outputs,
        &[7, 3],
        MatchedBy::Number,
        &["1,000 outputs, counted from 0 (7 is cock)"],
    );
}

#[test]
fn a_thousand_names_of_the_hub_bear_identifiers_by_their_place() {
    // As in the `id2label` of Vision Transformers: all synonyms, `crane` twice.
    let hub: Vec<String> = imagenet::synsets().iter().map(|synset| synset.names.to_owned()).collect();
    let outputs = Outputs::named(hub);
    let said = ["by WordNet identifier"];
    assert_matched(&["n03126707", "n02012849"], &outputs, &[517, 134], MatchedBy::WordnetId, &said);
    // Some names among others are no identifiers: 20 classes of Tiny ImageNet, two of them shared with ImageNet-1k.
    let outputs = given(&["goldfish", "sea slug", "nobody's", "other's", "cat"]);
    assert_refused(&["n01443537"], &outputs, &["n01443537"]);
}

#[test]
fn an_identifier_in_the_path_decides_where_a_name_does_not() {
    let data = names(&["crane", "goldfish"]);
    let ids = vec![Some("n03126707".to_owned()), None];
    let classes = DataClasses::new(&data, vec![true; 2], || ids.clone());
    let matching = match_classes(&classes, &Outputs::imagenet(), None).unwrap();
    assert_eq!(outputs_of(&matching), [517, 1]);
}

#[test]
fn classes_without_images_need_no_output() {
    let data = names(&["cat", "emu", "eel"]);
    let classes = DataClasses::new(&data, vec![true, false, true], || vec![None; 3]);
    let matching = match_classes(&classes, &given(&["eel", "cat"]), None).unwrap();
    assert_eq!(matching.output_of, [Some(1), None, Some(0)]);
    assert!(matching.left_out.is_empty());
}

#[test]
fn a_map_goes_first_and_may_leave_classes_out() {
    let outputs = given(&["eel", "cat", "dog", "emu"]);
    let matching = with_map(
        &["katze", "hund", "emu", "unknown"],
        &outputs,
        Some("class,output\nkatze,cat\nhund,2\nunknown,\n"),
    )
    .unwrap();
    assert_eq!(matching.output_of, [Some(1), Some(2), Some(3), None]);
    assert_eq!((matching.by, matching.left_out), (MatchedBy::Map, vec![3]));
    // Two classes may be one output where the user says so; tabs and semicolons separate as well.
    for text in ["tabby\tcat\ntiger cat\tcat\n", "tabby;cat\r\ntiger cat;1\r\n"] {
        let matching = with_map(&["tabby", "tiger cat"], &outputs, Some(text)).unwrap();
        assert_eq!(outputs_of(&matching), [1, 1], "{text}");
    }
    let imagenet = Outputs::imagenet();
    let text = "kran,n03126707\nfisch,tench, Tinca tinca\n";
    assert_eq!(outputs_of(&with_map(&["kran", "fisch"], &imagenet, Some(text)).unwrap()), [517, 0]);

    let refused = |text: &str, said: &[&str]| {
        let error = with_map(&["katze", "hund"], &outputs, Some(text)).unwrap_err().to_string();
        said.iter().for_each(|part| assert!(error.contains(part), "{text}: {error}\nlacks {part}"));
    };
    refused(
        "katz,cat\nhund,dogg\nkatze,9\n",
        &[
            "map.csv cannot be used as a class map: line 1: the data has no class `katz` (did you mean `katze`?)",
            "line 2: the model has no class `dogg` (did you mean `dog`?)",
            "line 3: the model has no output 9; they are 0 to 3",
        ],
    );
    refused("katze,cat\nkatze,dog\n", &["line 2: `katze` has a line already"]);
    refused("katze\nhund,dog\n", &["line 1 has no two columns"]);
    refused("katze,cat\n", &["any of the data's classes (hund)"]);
    let error = with_map(&["kran"], &imagenet, Some("kran,crane")).unwrap_err().to_string();
    assert!(error.contains("`crane` may be output 134") && error.contains("write its number"), "{error}");
}

#[test]
fn who_named_the_outputs() {
    let card = |name: &str, classes: Vec<String>| ModelCard {
        name: name.into(),
        network: NetworkSpec::named("resnet18", classes.len(), 224).unwrap(),
        preprocessing: Preprocessing::plain(224),
        classes,
    };
    let numbers = |count: usize| (0..count).map(|class| class.to_string()).collect::<Vec<_>>();
    let naming = |card: &ModelCard, own| Outputs::of(card, own).naming;
    assert_eq!(naming(&card("resnet18", numbers(1000)), false), Naming::Assumed);
    assert_eq!(naming(&card("somebody/else", numbers(1000)), false), Naming::None);
    assert_eq!(naming(&card("resnet18", numbers(10)), false), Naming::None);
    assert_eq!(naming(&card("resnet18", numbers(10)), true), Naming::Given);
    assert_eq!(naming(&card("x", names(&["LABEL_0", "LABEL_1"])), false), Naming::None);
    assert_eq!(naming(&card("x", names(&["LABEL_1", "LABEL_0"])), false), Naming::Given);
}

#[test]
fn prompts_may_call_classes_by_other_names() {
    let prompts = |list: &[&str]| Outputs { names: names(list), naming: Naming::Prompts };
    let matching = matched(&["n1", "n2", "dog"], &prompts(&["a cat", "an eel", "dog"])).unwrap();
    assert_eq!(
        (outputs_of(&matching), matching.by, matching.uncertain),
        (vec![0, 1, 2], MatchedBy::Order, false)
    );
    assert!(matching.notes[0].contains("n1 is a cat, n2 is an eel, dog is dog"), "{:?}", matching.notes);
    // Names that are the data's decide, wherever they stand; some that are not stay unknown.
    assert_eq!(outputs_of(&matched(&["cat", "dog"], &prompts(&["dog", "cat"])).unwrap()), [1, 0]);
    assert!(matched(&["cat", "dog"], &prompts(&["dog", "kitten"])).is_err());
    assert!(matched(&["cat", "dog"], &prompts(&["kitten"])).is_err());
}

#[test]
fn counts_are_grouped() {
    assert_eq!([0, 12, 999, 1000, 1_234_567].map(grouped), ["0", "12", "999", "1,000", "1,234,567"]);
}
