//! Malicious checkpoints, and very many broken ones: each is refused in one sentence, without a panic and in bounded memory.
//!
//! `ARCHAEO_FUZZ_CASES` sets the number of inputs of each fuzzing test, 2,000 by default.

use std::collections::HashMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use archaeo_models::{Checkpoint, State, checkpoint, read_card};
use peak_alloc::PeakAlloc;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestError, TestRunner};
use zip::write::SimpleFileOptions;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

/// Bytes that reading any of the files here may take at most: the 64 MiB that are granted to arrays of small files, and
/// what a traversal of a one-megabyte pickle needs.
const MOST_MEMORY: usize = 200 << 20;

/// Reads a checkpoint and checks what must hold whatever is in it. One at a time, or the memory would be another's.
fn examined(path: &Path) -> Result<Checkpoint, String> {
    static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());
    let _turn = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    MEMORY.reset_peak_usage();
    let before = MEMORY.current_usage();
    let result = checkpoint::read(path).map_err(|error| error.to_string());
    let _ = read_card(path);
    let taken = MEMORY.peak_usage().saturating_sub(before);
    assert!(taken < MOST_MEMORY, "reading took {} MiB", taken >> 20);
    if let Err(sentence) = &result {
        assert!(sentence.lines().count() == 1, "{sentence}");
        assert!(sentence.len() < 1000, "{sentence}");
        assert!(sentence.contains(&path.display().to_string()), "{sentence}");
    }
    result
}

fn scratch(name: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    (folder, path)
}

#[track_caller]
fn refused(path: &Path, part: &str) {
    let sentence = examined(path).expect_err(part);
    assert!(sentence.contains(part), "{sentence}\nlacks: {part}");
}

fn fixture(name: &str) -> Vec<u8> {
    fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/checkpoints").join(name)).unwrap()
}

/// The older container of PyTorch around a pickle, with one storage of `count` zeros called `0` if the
/// pickle names any.
fn legacy(object: &[u8], count: usize) -> Vec<u8> {
    let mut file = b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02}.\x80\x02".to_vec();
    file.extend_from_slice(object);
    file.extend_from_slice(b".\x80\x02]");
    if object.windows(7).any(|window| window == b"storage") {
        file.extend_from_slice(b"X\x01\x00\x00\x000a.");
        file.extend_from_slice(&(count as u64).to_le_bytes());
    } else {
        file.push(b'.');
    }
    file.resize(file.len() + 4 * count, 0);
    file
}

/// The opcodes that push a tensor of storage `0`, its shape and strides given as opcodes.
fn tensor(shape: &[u8], strides: &[u8]) -> Vec<u8> {
    let mut opcodes =
        b"ctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\nFloatStorage\n".to_vec();
    opcodes.extend_from_slice(b"X\x01\x00\x00\x000X\x03\x00\x00\x00cpuK\x04tQK\x00(");
    opcodes.extend_from_slice(shape);
    opcodes.extend_from_slice(b"t(");
    opcodes.extend_from_slice(strides);
    opcodes.extend_from_slice(b"t\x89NtR");
    opcodes
}

/// The opcodes that push a text.
fn text(text: &str) -> Vec<u8> {
    [b"X", &(text.len() as u32).to_le_bytes()[..], text.as_bytes()].concat()
}

/// The opcodes that push a 64-bit integer.
fn long(number: u64) -> Vec<u8> {
    [b"\x8a\x08", &number.to_le_bytes()[..]].concat()
}

#[test]
fn tensors_that_claim_more_than_their_storage_has() {
    let (_folder, path) = scratch("claims.pth");
    let entry = |shape: &[u8], strides: &[u8]| {
        fs::write(&path, legacy(&[b"}", &text("w")[..], &tensor(shape, strides), b"s"].concat(), 4)).unwrap();
    };
    entry(b"K\x04", b"K\x01");
    assert_eq!(examined(&path).unwrap().state["w"].values, [0.0; 4], "the frame of this test is sound");
    entry(b"K\x05", b"K\x01");
    refused(&path, "`w`: the tensor reaches beyond its storage");
    entry(b"K\x02K\x02", b"K\x03K\x01");
    refused(&path, "`w`: the tensor reaches beyond its storage");
    entry(&long(1 << 40), b"K\x00");
    refused(&path, "is too large: it needs 4096.0 GiB of memory, more than the 64.");
    entry(&[long(1 << 40), long(1 << 40)].concat(), b"K\x00K\x00");
    refused(&path, "is too large: it claims more memory than any machine has");
    entry(&[b"K\x02", &long(1 << 40)[..]].concat(), b"K\x01K\x00");
    refused(&path, "is too large: it needs 8192.0 GiB of memory");
    entry(b"K\x02", &long(i64::MAX as u64));
    refused(&path, "`w`: the tensor reaches beyond its storage");
    entry(b"J\xff\xff\xff\xff", b"K\x01");
    refused(&path, "`w` is a tensor whose description makes no sense");
    entry(&b"K\x01".repeat(17), &b"K\x01".repeat(17));
    refused(&path, "`w` is a tensor whose description makes no sense");
}

#[test]
fn one_storage_under_a_great_many_names() {
    let (_folder, path) = scratch("names.pth");
    let mut object = b"}(".to_vec();
    for i in 0..3000 {
        object.extend(text(&format!("w{i}")));
        object.extend(tensor(&long(100_000), b"K\x01"));
    }
    object.push(b'u');
    fs::write(&path, legacy(&object, 100_000)).unwrap();
    refused(&path, "is too large: it needs ");
}

#[test]
fn pickles_that_grow_without_end() {
    let (_folder, path) = scratch("growth.pth");
    // Ten lists, each of ten times the one before: a traversal would visit ten billion places.
    let mut laughs = b"]q\x00".to_vec();
    for i in 0..10u8 {
        laughs.extend_from_slice(b"](");
        for _ in 0..10 {
            laughs.extend_from_slice(&[b'h', i]);
        }
        laughs.extend_from_slice(&[b'e', b'q', i + 1]);
    }
    fs::write(&path, legacy(&laughs, 0)).unwrap();
    refused(&path, "its pickle holds more than any model has");
    // The same with long names, which a path repeats.
    let mut names = b"}q\x00".to_vec();
    for i in 0..5u8 {
        names.extend_from_slice(b"}(");
        for j in 0..6 {
            names.extend(text(&"x".repeat(5000 + j)));
            names.extend_from_slice(&[b'h', i]);
        }
        names.extend_from_slice(&[b'u', b'q', i + 1]);
    }
    fs::write(&path, legacy(&names, 0)).unwrap();
    refused(&path, "its pickle holds more than any model has");
    // A dictionary that holds itself.
    let itself = [b"}q\x00", &text("model")[..], b"h\x00s"].concat();
    fs::write(&path, legacy(&itself, 0)).unwrap();
    refused(&path, "it holds no tensors by name");
    let itself =
        [b"}q\x00", &text("model")[..], b"h\x00s", &text("w"), &tensor(b"K\x04", b"K\x01"), b"s"].concat();
    fs::write(&path, legacy(&itself, 4)).unwrap();
    assert_eq!(examined(&path).unwrap().state.into_keys().collect::<Vec<_>>(), ["w"]);
    // Nesting, deeper than any stack.
    for (open, close) in [(&b"("[..], &b"t"[..]), (b"](", b"e"), (b"}K\x01", b"s")] {
        fs::write(&path, legacy(&[open.repeat(300_000), b"N".to_vec(), close.repeat(300_000)].concat(), 0))
            .unwrap();
        refused(&path, "it holds no tensors by name");
    }
    fs::write(&path, legacy(&b"N".repeat(3_000_000), 0)).unwrap();
    refused(&path, "its pickle has more than 2000000 opcodes");
    fs::write(&path, legacy(b"X\xff\xff\xff\xff", 0)).unwrap();
    refused(&path, "its pickle is broken: it is cut short");
    fs::write(&path, legacy(b"\x8e\xff\xff\xff\xff\xff\xff\xff\xff", 0)).unwrap();
    refused(&path, "its pickle is broken: it is cut short");
}

#[test]
fn storages_that_are_not_there() {
    let (_folder, path) = scratch("storages.pth");
    let object = [b"}", &text("w")[..], &tensor(b"K\x04", b"K\x01"), b"s"].concat();
    let whole = legacy(&object, 4);
    let count = whole.len() - 24;
    for claimed in [5, u64::MAX, u64::MAX / 4, 1 << 61] {
        let mut lying = whole.clone();
        lying[count..count + 8].copy_from_slice(&claimed.to_le_bytes());
        fs::write(&path, lying).unwrap();
        refused(&path, "it ends before its own contents do");
    }
    let mut renamed = whole;
    renamed[count - 3] = b'1';
    fs::write(&path, renamed).unwrap();
    refused(&path, "no tensor has storage 1");
}

fn npy(header: &str, values: &[u8]) -> Vec<u8> {
    [b"\x93NUMPY\x01\x00", &(header.len() as u16).to_le_bytes()[..], header.as_bytes(), values].concat()
}

fn zip_of(path: &Path, name: &str, contents: &[u8], options: SimpleFileOptions) {
    let mut archive = zip::ZipWriter::new(fs::File::create(path).unwrap());
    archive.start_file(name, options).unwrap();
    archive.write_all(contents).unwrap();
    archive.finish().unwrap();
}

fn stored() -> SimpleFileOptions {
    SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored)
}

#[test]
fn numpy_arrays_of_absurd_shapes() {
    let (_folder, path) = scratch("shapes.npz");
    let header = |shape: &str| format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}");
    let array = |header: &str, values: &[u8]| zip_of(&path, "w.npy", &npy(header, values), stored());
    array(&header("(2,)"), &[0; 8]);
    assert_eq!(examined(&path).unwrap().state["w"].values, [0.0; 2], "the frame of this test is sound");
    for shape in ["(1000000000000000000,)", "(4294967296, 4294967296)", "(3,)", "(1,)"] {
        array(&header(shape), &[0; 8]);
        refused(&path, "but 8 bytes");
    }
    for shape in
        ["(-1,)", "(99999999999999999999999,)", "2", "()()", "((2,))", &format!("({})", "1,".repeat(17))]
    {
        array(&header(shape), &[0; 8]);
        assert!(examined(&path).is_err(), "{shape}");
    }
    array(&header("(0, 1000000000000000000)"), &[]);
    assert_eq!(examined(&path).unwrap().state["w"].values, [0.0; 0]);
    for header in ["", "{}", &"(".repeat(60_000), &format!("{{'descr': {}", "[".repeat(60_000))] {
        array(header, &[0; 8]);
        refused(&path, "`w` has a header that cannot be understood");
    }
    zip_of(&path, "w.npy", b"\x93NUMPY\x02\x00\xff\xff\xff\xff", stored());
    refused(&path, "`w` has a header that is cut short");
    zip_of(&path, "w.npy", b"\x93NUMPY\x09\x00\xff\xff\xff\xff", stored());
    refused(&path, "`w` is written in an unknown version of NumPy's format");
    zip_of(&path, "w.npy", b"RIFF", stored());
    refused(&path, "`w` is not a NumPy array");
    array("{'descr': '>f4', 'fortran_order': False, 'shape': (2,), }", &[0; 8]);
    refused(&path, "holds `w` as >f4");
    array(
        &format!("{{'descr': [{}], 'fortran_order': False, 'shape': (2,), }}", "('a', '<f4'),".repeat(99)),
        &[0; 8],
    );
    refused(&path, "holds `w` as a structure");
}

#[test]
fn zip_bombs() {
    let (_folder, path) = scratch("bomb.npz");
    let zeros = vec![0; 100 << 20];
    let header = format!("{{'descr': '<f4', 'fortran_order': False, 'shape': ({},), }}", zeros.len() / 4);
    let deflated = SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
    let bomb = npy(&header, &zeros);
    drop(zeros);
    for (name, part) in [("w.npy", "is too large: it needs "), ("a/data.pkl", "is too large: it needs ")] {
        zip_of(&path, name, &bomb, deflated);
        assert!(fs::metadata(&path).unwrap().len() < 1 << 20);
        refused(&path, part);
    }
    // The same again, claiming to be small.
    let mut bytes = fs::read(&path).unwrap();
    for (mark, offset) in [(&b"PK\x03\x04"[..], 22), (b"PK\x01\x02", 24)] {
        let at = bytes.windows(4).position(|window| window == mark).unwrap() + offset;
        bytes[at..at + 4].copy_from_slice(&1000u32.to_le_bytes());
    }
    fs::write(&path, bytes).unwrap();
    assert!(examined(&path).is_err());
}

/// One change to a file.
#[derive(Clone, Debug)]
enum Mutation {
    Byte(Index, u8),
    Number(Index, u64, usize),
    Cut(Index),
    Remove(Index, usize),
    Repeat(Index, usize, Index),
    Insert(Index, Vec<u8>),
}

fn mutations() -> impl Strategy<Value = Vec<Mutation>> {
    let place = || any::<Index>();
    let number = prop_oneof![
        Just(0),
        Just(1),
        Just(u64::MAX),
        Just(1 << 60),
        Just(1 << 31),
        Just(i64::MAX as u64),
        any::<u64>(),
        0..1000u64
    ];
    let mutation = prop_oneof![
        4 => (place(), any::<u8>()).prop_map(|(at, value)| Mutation::Byte(at, value)),
        3 => (place(), number, prop_oneof![Just(1usize), Just(2), Just(4), Just(8)])
            .prop_map(|(at, value, width)| Mutation::Number(at, value, width)),
        1 => place().prop_map(Mutation::Cut),
        2 => (place(), 1..200usize).prop_map(|(at, length)| Mutation::Remove(at, length)),
        2 => (place(), 1..400usize, place()).prop_map(|(from, length, to)| Mutation::Repeat(from, length, to)),
        1 => (place(), prop::collection::vec(any::<u8>(), 1..20)).prop_map(|(at, bytes)| Mutation::Insert(at, bytes)),
    ];
    prop::collection::vec(mutation, 1..6)
}

fn mutated(mut bytes: Vec<u8>, mutations: &[Mutation]) -> Vec<u8> {
    for mutation in mutations {
        let length = bytes.len();
        if length == 0 {
            return bytes;
        }
        let end = |from: usize, count: usize| length.min(from + count);
        match mutation {
            Mutation::Byte(at, value) => bytes[at.index(length)] = *value,
            Mutation::Number(at, value, width) => {
                let at = at.index(length);
                let place = &mut bytes[at..end(at, *width)];
                place.copy_from_slice(&value.to_le_bytes()[..place.len()]);
            }
            Mutation::Cut(at) => bytes.truncate(at.index(length)),
            Mutation::Remove(at, count) => {
                let at = at.index(length);
                bytes.drain(at..end(at, *count));
            }
            Mutation::Repeat(from, count, to) => {
                let from = from.index(length);
                let copy = bytes[from..end(from, *count)].to_vec();
                let to = to.index(length);
                bytes.splice(to..to, copy);
            }
            Mutation::Insert(at, new) => {
                let at = at.index(length);
                bytes.splice(at..at, new.iter().copied());
            }
        }
    }
    bytes
}

/// Runs `strategy`'s inputs through the reader; the share that it refused.
fn fuzz<S: Strategy<Value = Vec<u8>>>(name: &str, strategy: S) -> f64 {
    let cases = std::env::var("ARCHAEO_FUZZ_CASES").map_or(2000, |cases| cases.parse().expect("a number"));
    let (_folder, path) = scratch(name);
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let refused = std::cell::Cell::new(0);
    let result = TestRunner::new(config).run(&strategy, |bytes| {
        // A file that is cut to be written again is flushed to the disk by some file systems; a new one is not.
        let _ = fs::remove_file(&path);
        fs::write(&path, &bytes).unwrap();
        refused.set(refused.get() + u32::from(examined(&path).is_err()));
        Ok(())
    });
    match result {
        Ok(()) => f64::from(refused.get()) / f64::from(cases),
        Err(TestError::Fail(reason, bytes)) => panic!("{name}: {reason}: {}", bytes.escape_ascii()),
        Err(error) => panic!("{name}: {error}"),
    }
}

/// Sets the checksums of a zip archive to 0, which says that none were computed: or no change would be looked at.
fn without_checksums(mut bytes: Vec<u8>) -> Vec<u8> {
    for (mark, offset) in [(b"PK\x03\x04", 14), (b"PK\x01\x02", 16)] {
        let places: Vec<usize> = bytes
            .windows(4)
            .enumerate()
            .filter(|(_, window)| window == mark)
            .map(|(at, _)| at + offset)
            .collect();
        for at in places {
            bytes[at..at + 4].fill(0);
        }
    }
    bytes
}

fn fuzz_mutations(files: &[(&str, bool)]) {
    let files: Vec<Vec<u8>> = files
        .iter()
        .map(|(name, checksums)| if *checksums { fixture(name) } else { without_checksums(fixture(name)) })
        .collect();
    let strategy =
        (prop::sample::select(files), mutations()).prop_map(|(bytes, changes)| mutated(bytes, &changes));
    let refused = fuzz("mutated", strategy);
    assert!(refused > 0.2 && refused < 0.999, "{refused} of the files were refused: too few or all");
}

#[test]
fn mutated_zip_checkpoints() {
    fuzz_mutations(&[
        ("no_checksums.pth", true),
        ("training.pth", false),
        ("views.pth", false),
        ("kinds.pth", false),
        ("module.pth", false),
        ("script.pt", false),
        ("plain.pth", true),
    ]);
}

#[test]
fn mutated_legacy_checkpoints() {
    fuzz_mutations(&[
        ("legacy.pth", true),
        ("legacy_protocol_4.pth", true),
        ("training_legacy.pth", true),
        ("views_legacy.pth", true),
        ("kinds_legacy.pth", true),
    ]);
}

#[test]
fn mutated_numpy_archives() {
    fuzz_mutations(&[
        ("arrays.npz", false),
        ("compressed.npz", true),
        ("brain.npz", false),
        ("arrays.npz", true),
    ]);
}

#[test]
fn mutated_safetensors() {
    let (_folder, path) = scratch("small.safetensors");
    let state: State = (0..6u8)
        .map(|i| {
            let shape = vec![usize::from(i), 2];
            (format!("w{i}"), archaeo_models::Array { values: vec![0.5; 2 * usize::from(i)], shape })
        })
        .collect();
    archaeo_models::write_arrays(&path, &state, HashMap::from([("a".into(), "b".into())])).unwrap();
    let whole = fs::read(&path).unwrap();
    let strategy = mutations().prop_map(move |changes| mutated(whole.clone(), &changes));
    let refused = fuzz("mutated.safetensors", strategy);
    assert!(refused > 0.2 && refused < 0.999, "{refused} of the files were refused: too few or all");
}

/// What every opcode looks like, with arguments of its kind.
fn opcodes() -> impl Strategy<Value = Vec<u8>> {
    let fixed = prop::sample::select(
        &b"(.0122NJK()]}etluadsbRoQ\x85\x86\x87\x88\x89\x8f\x90\x91\x93\x94\x81\x92"[..],
    );
    const TEXTS: [&str; 9] =
        ["state_dict", "model", "storage", "w", "0", "_parameters", "optimizer", "module", "x"];
    const GLOBALS: [&[u8]; 8] = [
        b"ctorch._utils\n_rebuild_tensor_v2\n",
        b"ctorch._utils\n_rebuild_parameter\n",
        b"ctorch._tensor\n_rebuild_from_type_v2\n",
        b"ccollections\nOrderedDict\n",
        b"ctorch\nFloatStorage\n",
        b"cargparse\nNamespace\n",
        b"ia\nb\n",
        b"cos\nsystem\n",
    ];
    prop_oneof![
        8 => fixed.prop_map(|opcode| vec![opcode]),
        4 => prop::sample::select(&TEXTS[..]).prop_map(text),
        4 => (0..6u8).prop_map(|number| vec![b'K', number]),
        2 => any::<u64>().prop_map(long),
        3 => prop::sample::select(&GLOBALS[..]).prop_map(<[u8]>::to_vec),
        3 => (0..6u8).prop_map(|key| vec![b'q', key]),
        3 => (0..6u8).prop_map(|key| vec![b'h', key]),
        3 => Just(tensor(b"K\x02K\x02", b"K\x02K\x01")),
        1 => any::<u8>().prop_map(|byte| vec![byte]),
    ]
}

#[test]
fn invented_pickles() {
    let strategy = prop::collection::vec(opcodes(), 1..60).prop_map(|opcodes| legacy(&opcodes.concat(), 4));
    fuzz("invented.pth", strategy);
    // With values enough on the stack, more of a program gets done.
    let fed = prop::collection::vec(opcodes(), 1..60).prop_map(|opcodes| {
        legacy(&[&b"}q\x00}q\x01]q\x02}q\x03)q\x04]q\x05"[..], &opcodes.concat()].concat(), 4)
    });
    fuzz("fed.pth", fed);
}

#[test]
fn random_bytes_behind_every_beginning() {
    const BEGINNINGS: [&[u8]; 8] = [
        b"",
        b"\x80\x02",
        b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.",
        b"PK\x03\x04",
        b"PK\x05\x06",
        b"\x20\x00\x00\x00\x00\x00\x00\x00{",
        b"{\"weight_map\": {",
        b"<",
    ];
    let strategy = (prop::sample::select(&BEGINNINGS[..]), prop::collection::vec(any::<u8>(), 0..300))
        .prop_map(|(beginning, rest)| [beginning, &rest].concat());
    let refused = fuzz("random", strategy);
    assert_eq!(refused, 1.0);
}

#[test]
fn what_a_file_says_cannot_write_on_the_terminal() {
    let (_folder, path) = scratch("escape.pth");
    let escape = "\u{1b}[2Jw\nand\r";
    fs::write(&path, legacy(&[b"}", &text(escape)[..], &tensor(b"K\x05", b"K\x01"), b"s"].concat(), 4))
        .unwrap();
    refused(&path, r"`\u{1b}[2Jw\nand\r`: the tensor reaches beyond its storage");
    fs::write(
        &path,
        legacy(&[b"}", &text(&"w".repeat(5000))[..], &tensor(b"K\x05", b"K\x01"), b"s"].concat(), 4),
    )
    .unwrap();
    refused(&path, "www…);");
}
