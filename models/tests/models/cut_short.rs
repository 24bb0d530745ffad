//! Checkpoints that are not ordinary files, or that another program truncates while they are read.

use std::collections::HashMap;
use std::fs::{self, File};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use archaeo_models::{Array, State, checkpoint, write_arrays};

/// Eight arrays of 4 MB.
fn arrays() -> State {
    let array = Array { shape: vec![1024, 1024], values: vec![0.25; 1 << 20] };
    (0..8).map(|i| (format!("array{i}"), array.clone())).collect()
}

/// Loads the file at `path` repeatedly while another thread truncates and restores it: each time it is read as it was, or refused
/// in a sentence. With a mapped file the system would kill the process.
fn read_while_it_is_cut(path: &Path, whole: &[u8], expected: &State) {
    let done = AtomicBool::new(false);
    let (mut read, mut refused) = (0, 0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let file = File::options().write(true).open(path).unwrap();
            for step in (1..).take_while(|_| !done.load(Ordering::Relaxed)) {
                std::thread::sleep(Duration::from_micros(500 * (step % 13)));
                file.set_len(whole.len() as u64 * (step % 7) / 8).unwrap();
                fs::write(path, whole).unwrap();
            }
        });
        for _ in 0..60 {
            match checkpoint::read_arrays(path) {
                Ok((state, _)) => {
                    read += 1;
                    let same = |(name, array): (&String, &Array)| expected[name].shape == array.shape;
                    assert!(state.iter().all(same));
                }
                Err(error) => {
                    refused += 1;
                    let sentence = error.to_string();
                    assert!(
                        sentence.contains(&path.display().to_string()) && !sentence.contains('\n'),
                        "{sentence}"
                    );
                }
            }
        }
        done.store(true, Ordering::Relaxed);
    });
    assert!(refused > 0, "{read} were read and none was cut while it was: nothing is tried");
}

#[test]
fn safetensors_that_are_cut_while_they_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("w.safetensors");
    let state = arrays();
    write_arrays(&path, &state, HashMap::new()).unwrap();
    read_while_it_is_cut(&path, &fs::read(&path).unwrap(), &state);
}

#[test]
fn numpy_archives_that_are_cut_while_they_are_read() {
    use std::io::Write;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("w.npz");
    let state = arrays();
    let mut writer = zip::ZipWriter::new(File::create(&path).unwrap());
    let options = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Stored);
    for (name, array) in &state {
        writer.start_file(format!("{name}.npy"), options).unwrap();
        let header = "{'descr': '<f4', 'fortran_order': False, 'shape': (1024, 1024), }";
        let header = format!("{header:<117}\n");
        writer
            .write_all(&[b"\x93NUMPY\x01\x00".as_slice(), &118u16.to_le_bytes(), header.as_bytes()].concat())
            .unwrap();
        let bytes: Vec<u8> = array.values.iter().flat_map(|value| value.to_le_bytes()).collect();
        writer.write_all(&bytes).unwrap();
    }
    writer.finish().unwrap();
    read_while_it_is_cut(&path, &fs::read(&path).unwrap(), &state);
}

#[cfg(unix)]
#[test]
fn pipes_are_named_and_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    let pipe = |name: &str| assert!(Command::new("mkfifo").arg(path(name)).status().unwrap().success());
    let said = |name: &str| checkpoint::read(&path(name)).unwrap_err().to_string();
    pipe("pipe.pth");
    let sentence = said("pipe.pth");
    assert!(sentence.contains("pipe.pth: it is a pipe, which is not read; save what comes"), "{sentence}");
    // Next to the weights, and listed by an index.
    write_arrays(&path("model.safetensors"), &State::new(), HashMap::new()).unwrap();
    pipe("config.json");
    let sentence = said("model.safetensors");
    assert!(sentence.contains("config.json: it is a pipe"), "{sentence}");
    pipe("part.safetensors");
    fs::write(path("parts.json"), r#"{"weight_map": {"w": "part.safetensors"}}"#).unwrap();
    let sentence = said("parts.json");
    assert!(sentence.contains("part.safetensors: it is a pipe"), "{sentence}");
}

/// An older container whose pickles are longer than the part read first.
#[test]
fn long_pickles_of_the_older_container_are_read_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("w.pth");
    let text = |text: &str| [b"X", &(text.len() as u32).to_le_bytes()[..], text.as_bytes()].concat();
    let tensor = b"ctorch._utils\n_rebuild_tensor_v2\n((X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x000X\x03\x00\
        \x00\x00cpuK\x04tQK\x00(K\x04t(K\x01t\x89NtR";
    let mut file =
        b"\x80\x02\x8a\x0al\xfc\x9cF\xf9 j\xa8P\x19.\x80\x02M\xe9\x03.\x80\x02}.\x80\x02}".to_vec();
    file.extend([text("note"), text(&"n".repeat(3 << 20)), b"s".to_vec()].concat());
    file.extend([text("w"), tensor.to_vec(), b"s.\x80\x02](X\x01\x00\x00\x000e.".to_vec()].concat());
    file.extend(4u64.to_le_bytes());
    file.extend([1f32, 2.0, 3.0, 4.0].iter().flat_map(|value| value.to_le_bytes()));
    fs::write(&path, file).unwrap();
    assert_eq!(checkpoint::read_arrays(&path).unwrap().0["w"].values, [1.0, 2.0, 3.0, 4.0]);
}
